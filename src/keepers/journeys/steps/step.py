"""What every journey step is: fields as they are written, and a generator that yields what it wants."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import Struct, StructMeta

from keepers.i18n.catalogues import TextId
from keepers.journeys.references import Lookup
from keepers.journeys.requests import Result
from keepers.model.fields import Id
from keepers.model.texts import Text

Passing = Generator[Any, Any, Result]
"""yields a question or a tuple of them, gets the answer or answers; then requests; returns where to go"""


class Seen:
    """What a step sees of its run."""

    __slots__ = (
        "arm", "begun", "bucket_key", "journey", "lookup", "now", "reachable", "since", "state", "vars", "visit",
        "zone",
    )  # fmt: skip

    journey: str
    now: datetime
    zone: str
    """the customer's"""
    bucket_key: str
    since: datetime
    """when the step was entered"""
    begun: datetime
    """the same, later by however long the run was paused: what delays count from"""
    state: dict[str, Any]
    visit: int
    vars: dict[str, Any]
    arm: str | None
    """the arm this step put the customer in before"""
    reachable: tuple[str, ...]
    """messages that the step's exposing ports can lead to"""
    lookup: Lookup

    def zone_named(self, name: str) -> str:
        """The zone a definition means: `customer` or one by name."""
        return self.zone if name == "customer" else name


class StepReference(NamedTuple):
    """Another definition that a step names, and the step's field that names it."""

    kind: Literal["message", "coupon", "journey"]
    id: str
    field: str


class _Kind(StructMeta, ABCMeta):
    """A struct whose subclasses must say what is abstract in it."""


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=_Kind):
    """One step. Subclasses are found by the registry: each is a file, with its `head`, the field that names it."""

    head: ClassVar[str]
    summary: ClassVar[TextId]
    """one line for the palette and the documentation"""
    waits: ClassVar[bool] = False
    """whether a loop may run through it"""
    has_answer: ClassVar[bool] = False
    """whether it keeps an answer in the run, which refs read as `run.<step>.…`"""

    id: Id
    name: Text = ""

    @abstractmethod
    def run(self, seen: Seen) -> Passing:
        """Asks all it must know, then yields what is to be done, then returns Go, Wait or Leave."""

    @abstractmethod
    def ports(self) -> dict[str, str]:
        """port → the step it leads to, as written: empty for the following one, `end` for none."""

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        """(name, condition as written, field): asked as `<step>.<name>`."""
        return iter(())

    def references(self) -> Iterator[StepReference]:
        """The definitions it names; a message it names is one it sends."""
        return iter(())

    def messages(self) -> tuple[str, ...]:
        """Templates the step sends."""
        return tuple(reference.id for reference in self.references() if reference.kind == "message")

    def traits(self) -> Iterator[tuple[str, str]]:
        """(trait, field that names it): those it looks at by themselves, whose changes wake the run."""
        return iter(())

    def uses_customer_zone(self) -> bool:
        """Whether how long it waits depends on the customer's local time."""
        return False

    def breaks_loop(self) -> bool:
        """Whether a loop through it takes time."""
        return self.waits

    def may_wait_forever(self) -> bool:
        """Whether the run stays until something else moves it."""
        return False

    def exposing_ports(self) -> tuple[str, ...]:
        """The ports whose ways count in `Seen.reachable`: it leads a customer on only whom all of them may reach."""
        return ()

    def values(self) -> Any:
        """Plain data that may hold refs."""
        return None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of the step as it is written."""
        return msgspec.json.schema(cls)
