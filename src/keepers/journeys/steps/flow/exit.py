"""Exit: the run ends, with a reason."""

from __future__ import annotations

from typing import ClassVar

from keepers.journeys.requests import Leave
from keepers.journeys.steps.step import Passing, Seen, Step


class Exit(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "exit"
    summary: ClassVar[dict[str, str]] = {
        "en": "End the journey here, with a reason",
        "ru": "Завершить цепочку здесь, с указанием причины",
        "pl": "Zakończ ścieżkę w tym miejscu, z podaniem powodu",
        "zh": "在此结束旅程，并注明原因",
        "it": "Termina qui il percorso, con un motivo",
    }

    exit: str

    def run(self, seen: Seen) -> Passing:
        yield from ()
        return Leave(self.exit or "exit")

    def ports(self) -> dict[str, str]:
        return {}
