"""Webhook: calls an address and waits for its answer, usable later as `run.<step>.body`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.references import resolve
from keepers.journeys.requests import NEXT, Call, Go, Wait
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import URL, Duration, Target, require_spans, span
from keepers.model.moments import format_instant, parse_instant
from keepers.model.reasons import Reason

_CALLED = "called"


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(pattern=URL, max_length=2000)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: Any = None
    """plain data, sent as JSON; {ref: …} stands for a value of the run"""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any("\n" in text or "\r" in text for pair in self.headers.items() for text in pair):
            raise ValueError(problem("a header cannot hold a line break"))


class Webhook(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "webhook"
    has_answer: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Call another system; its answer can be used later")

    webhook: Request
    timeout: Duration = "1h"
    next: Target = ""
    on_failure: Target = ""

    def __post_init__(self) -> None:
        require_spans(self.timeout)

    def run(self, seen: Seen) -> Passing:
        if _CALLED not in seen.state:
            request = self.webhook
            yield Call(self.head, request.url, request.method, resolve(request.body, seen.lookup), request.headers)
            return Wait(seen.now + span(self.timeout), {_CALLED: format_instant(seen.now)})
        answer = seen.vars.get(self.id)
        if isinstance(answer, dict) and answer.get("visit", seen.visit) == seen.visit:
            status = answer.get("status")
            is_fine = isinstance(status, int) and 200 <= status < 300
            reason = Reason("webhook_answered", str(status)) if status else Reason("webhook_silent")
            return NEXT if is_fine else Go("failure", str(reason))
        deadline = parse_instant(seen.state[_CALLED]) + span(self.timeout) + (seen.begun - seen.since)
        return Go("failure", str(Reason("webhook_late"))) if seen.now >= deadline else Wait(deadline, seen.state)

    def ports(self) -> dict[str, str]:
        return {"next": self.next, "failure": self.on_failure}

    def values(self) -> Any:
        return self.webhook.body
