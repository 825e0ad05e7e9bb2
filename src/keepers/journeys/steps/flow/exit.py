"""Exit: the run ends, with a reason."""

from __future__ import annotations

from typing import ClassVar

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import Leave
from keepers.journeys.steps.step import Passing, Seen, Step


class Exit(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "exit"
    summary: ClassVar[TextId] = text_id("step", "End the journey here, with a reason")

    exit: str

    def run(self, seen: Seen) -> Passing:
        yield from ()
        return Leave(self.exit or "exit")

    def ports(self) -> dict[str, str]:
        return {}
