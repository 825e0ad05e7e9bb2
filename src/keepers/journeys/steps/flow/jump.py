"""Jump: on at another step."""

from __future__ import annotations

from typing import ClassVar

from keepers.journeys.requests import NEXT
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target


class Jump(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "jump"
    summary: ClassVar[dict[str, str]] = {
        "en": "Go on at another step; a loop must lead through a wait",
        "ru": "Продолжить с другого шага; цикл должен проходить через ожидание",
        "pl": "Przejdź do innego kroku; pętla musi prowadzić przez oczekiwanie",
        "zh": "跳到另一步骤；循环必须经过等待",
        "it": "Prosegui da un altro passo; un ciclo deve passare per un'attesa",
    }

    jump: Target

    def run(self, seen: Seen) -> Passing:
        yield from ()
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.jump}
