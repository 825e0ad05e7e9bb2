"""Jump: continues at another step."""

from __future__ import annotations

from typing import ClassVar

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import NEXT
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target


class Jump(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "jump"
    summary: ClassVar[TextId] = text_id("step", "Continue at another step; a loop must contain a wait")

    jump: Target

    def run(self, seen: Seen) -> Passing:
        yield from ()
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.jump}
