"""Emit: appends an event of the customer, as if it had been tracked."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct, field

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.references import resolve
from keepers.journeys.requests import NEXT
from keepers.journeys.requests import EmitEvent as Emitting
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target, Values


class EmittedEvent(Struct, frozen=True, forbid_unknown_fields=True):
    event: Annotated[str, Meta(min_length=1, max_length=200)]
    properties: Values = field(default_factory=dict)


class Emit(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "emit"
    has_outcome: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id("step", "Record an event of the customer's")

    emit: EmittedEvent
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        yield Emitting(self.emit.event, resolve(self.emit.properties, seen.lookup))
        return NEXT

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def values(self) -> Any:
        return self.emit.properties
