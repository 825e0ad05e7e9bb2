"""Wait until an event comes or a condition holds, or until the timeout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import NEXT, CheckCondition, Go, Wait
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import JUST_AFTER, Duration, Target, When, require_spans, span


class AwaitedEvent(Struct, frozen=True, forbid_unknown_fields=True):
    """An event after the step was entered (`event`, `where`), or a condition (`when`), which may hold already."""

    event: str | None = None
    where: dict[str, Any] | None = None
    when: When = None

    def __post_init__(self) -> None:
        if (self.event is None) == (self.when is None):
            raise ValueError(problem("write either “event” or “when”"))
        if self.event is None and self.where is not None:
            raise ValueError(problem("“where” belongs to “event”; put it inside the condition"))


class WaitUntil(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "wait"
    waits: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Wait until something happens or a condition holds, with a timeout")

    wait: AwaitedEvent
    timeout: Duration | None = None
    next: Target = ""
    on_timeout: Target = ""

    def __post_init__(self) -> None:
        require_spans(self.timeout)

    def run(self, seen: Seen) -> Passing:
        reply = yield CheckCondition(f"{self.id}.until")
        if reply.holds:
            return NEXT
        deadline = seen.begun + span(self.timeout) if self.timeout else None
        if deadline is not None and seen.now >= deadline:
            return Go("timeout")
        return Wait(deadline)

    def ports(self) -> dict[str, str]:
        return {"next": self.next, "timeout": self.on_timeout} if self.timeout else {"next": self.next}

    def may_wait_forever(self) -> bool:
        return self.timeout is None

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        wait = self.wait
        if wait.event is None:
            yield "until", wait.when, "wait.when"
            return
        did = {"did": wait.event, "since": {"ref": "run.step_entered_at", "offset": JUST_AFTER}}
        yield "until", did | ({"where": wait.where} if wait.where else {}), "wait"
