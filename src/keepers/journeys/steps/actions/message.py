"""Message: decided by policy, then queued, held, or kept as skipped."""

from __future__ import annotations

from typing import ClassVar

from keepers.contact.eligibility import Hold, Skip
from keepers.journeys.requests import NEXT, Check, Go, Send
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Id, Target


class Message(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "message"
    summary: ClassVar[dict[str, str]] = {
        "en": "Send a message, if consent, quiet hours and caps allow it",
        "ru": "Отправить сообщение, если позволяют согласие, тихие часы и лимиты",
        "pl": "Wyślij wiadomość, jeśli pozwalają zgoda, cisza nocna i limity",
        "zh": "在同意、免打扰时段和频次上限允许时发送消息",
        "it": "Invia un messaggio, se consenso, ore di silenzio e limiti lo permettono",
    }

    message: Id
    coupon: Id | None = None
    """a pool; the code it gives is {{ offer.code }}"""
    next: Target = ""
    otherwise: Target = ""
    """where a skipped message leads"""

    def run(self, seen: Seen) -> Passing:
        decision = yield Check((self.message,), coupon=self.coupon)
        yield Send(self.message, decision, self.coupon)
        if isinstance(decision, Skip):
            return Go("otherwise", decision.reason)
        return Go("next", decision.reason) if isinstance(decision, Hold) else NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next, "otherwise": self.otherwise}

    def messages(self) -> tuple[str, ...]:
        return (self.message,)
