"""Message: checked for eligibility, then queued, held, or stored as skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from keepers.contact.eligibility import Hold, Skip
from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import NEXT, CheckEligibility, Go, Send
from keepers.journeys.steps.step import Passing, Seen, Step, StepReference
from keepers.model.fields import Id, Target


class Message(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "message"
    summary: ClassVar[TextId] = text_id("step", "Send a message, if consent, quiet hours and caps allow it")

    message: Id
    coupon: Id | None = None
    """a pool; the code it gives is {{ offer.code }}"""
    next: Target = ""
    otherwise: Target = ""
    """where a skipped message leads"""

    def run(self, seen: Seen) -> Passing:
        decision = yield CheckEligibility((self.message,), coupon=self.coupon)
        yield Send(self.message, decision, self.coupon)
        if isinstance(decision, Skip):
            return Go("otherwise", decision.reason)
        return Go("next", decision.reason) if isinstance(decision, Hold) else NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next, "otherwise": self.otherwise}

    def references(self) -> Iterator[StepReference]:
        yield StepReference("message", self.message, "message")
        if self.coupon is not None:
            yield StepReference("coupon", self.coupon, "coupon")
