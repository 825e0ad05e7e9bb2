"""Update: traits of the customer."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.references import resolve
from keepers.journeys.requests import NEXT
from keepers.journeys.requests import UpdateTraits as Updating
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import Target, Values


class TraitChange(Struct, frozen=True, forbid_unknown_fields=True):
    traits: Values

    def __post_init__(self) -> None:
        if not self.traits:
            raise ValueError(problem("no trait is named; write {{traits: {{welcomed: true}}}}"))


class Update(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "update"
    has_outcome: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Set traits of the customer")

    update: TraitChange
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        yield Updating(resolve(self.update.traits, seen.lookup))
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def values(self) -> Any:
        return self.update.traits
