"""Time window: continues at once while it is open, else when it opens next."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct, field

from keepers.contact.local_time import next_open
from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import NEXT, Wait
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import Clock, Target, Weekday, Zone, clock, days_of, require_zone


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """From one local time to another, over midnight when the second is not later; the weekday is the first's."""

    start: Clock = field(default="00:00", name="from")
    end: Clock = field(default="00:00", name="to")
    weekdays: tuple[Weekday, ...] = ()
    zone: Zone = "customer"

    def __post_init__(self) -> None:
        require_zone(self.zone)
        if not self.weekdays and self.start == self.end:
            raise ValueError(problem("the window is always open; write “from” and “to”, “weekdays”, or both"))


class Window(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "window"
    waits: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Continue only at certain hours and weekdays")

    window: Hours
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        yield from ()
        hours = self.window
        zone = seen.zone_named(hours.zone)
        opens = next_open(zone, seen.now, clock(hours.start), clock(hours.end), days_of(hours.weekdays))
        return NEXT if opens <= seen.now else Wait(opens)

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def uses_customer_zone(self) -> bool:
        return self.window.zone == "customer"
