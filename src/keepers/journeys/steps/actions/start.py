"""Start journey: the customer enters another one too."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import field

from keepers.journeys.references import resolve
from keepers.journeys.requests import NEXT
from keepers.journeys.requests import StartJourney as Starting
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Id, Target, Values


class Start(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "start"
    summary: ClassVar[dict[str, str]] = {
        "en": "Start another journey for the customer",
        "ru": "Запустить для клиента другую цепочку",
        "pl": "Rozpocznij dla klienta inną ścieżkę",
        "zh": "为客户启动另一段旅程",
        "it": "Avvia un altro percorso per il cliente",
    }

    start: Id
    data: Values = field(default_factory=dict)
    """what the other journey finds in its trigger"""
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        yield Starting(self.start, resolve(self.data, seen.lookup))
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def values(self) -> Any:
        return self.data
