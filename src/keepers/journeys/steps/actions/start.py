"""Start journey: the customer enters another one too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import field

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.references import resolve
from keepers.journeys.requests import NEXT
from keepers.journeys.requests import StartJourney as Starting
from keepers.journeys.steps.step import Passing, Seen, Step, StepReference
from keepers.model.fields import Id, Target, Values


class Start(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "start"
    has_outcome: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Start another journey for the customer")

    start: Id
    data: Values = field(default_factory=dict)
    """the trigger of the other journey"""
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        yield Starting(self.start, resolve(self.data, seen.lookup))
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def references(self) -> Iterator[StepReference]:
        yield StepReference("journey", self.start, "start")

    def values(self) -> Any:
        return self.data
