"""What a score is: traits worked out of events, by the playbook's settings and figures fitted from history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from msgspec import Struct

from keepers.conditions.compile.features import ComputedTrait
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import DerivedEvent
from keepers.conditions.schema import Schema


class Score(ABC):
    """One score. A file of this package that defines a subclass has one more; its `id` is its section in a playbook.

    Conditions read its traits like any other; they are worked out at the moment of evaluation.
    """

    id: ClassVar[str]
    traits: ClassVar[tuple[str, ...]]
    settings: ClassVar[type[Struct]]
    """what a playbook may write; every field has a default"""
    figures: ClassVar[type[Struct]]
    """what is fitted from history and frozen until it is revised; every field has a default. Kept as JSON"""
    revised_after: ClassVar[timedelta] = timedelta(days=30)
    """how long figures stay before a plan proposes new ones"""

    @abstractmethod
    def parse(self, data: Any, at: str = "") -> Any:
        """The settings from plain data. Raises DefinitionError naming the field."""

    @abstractmethod
    def event(self, settings: Any) -> str:
        """The event, or derived event, that it is worked out of."""

    @abstractmethod
    def computed(self, settings: Any, figures: Any) -> Mapping[str, ComputedTrait]:
        """Its traits by name."""

    @abstractmethod
    def signature(self, settings: Any, figures: Any) -> list[Any]:
        """All that decides the traits' values, for JSON."""

    def history(
        self, settings: Any, schema: Schema, derived: dict[str, DerivedEvent], mode: Mode
    ) -> tuple[Any, ...] | None:
        """Ibis expressions whose rows the figures are fitted from; None when nothing of the kind ever arrived."""
        return None

    def fit(self, rows: Sequence[Sequence[tuple[Any, ...]]], now: datetime) -> Any:
        """Figures from the rows of each of `history`'s expressions."""
        return self.figures()

    def is_enough(self, figures: Any) -> bool:
        """Whether the figures rest on enough to be frozen."""
        return False

    def is_fixed(self, settings: Any) -> bool:
        """Whether the playbook writes down by hand all that would be fitted."""
        return False


class ScoreInForce(Struct, frozen=True):
    """What decides a score's traits."""

    settings: Any
    figures: Any
