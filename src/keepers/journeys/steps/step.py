"""What every journey step is: its fields as written, and a generator that yields questions and effects."""

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
from keepers.model.fields import Id, Text

Passing = Generator[Any, Any, Result]
"""yields a question or a tuple of them, gets the answer or answers; then requests; returns where to go"""


class Seen:
    """What a step reads of its run."""

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
    """the same plus the time the run was paused: delays count from here"""
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
    """A struct whose subclasses must define its abstract methods."""


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=_Kind):
    """One step. Subclasses are found by the registry: each is a file, with its `head`, the field that names it."""

    head: ClassVar[str]
    summary: ClassVar[TextId]
    """one line for the palette and the documentation"""
    waits: ClassVar[bool] = False
    """whether a loop may run through it"""
    has_outcome: ClassVar[bool] = False
    """whether it appends events or traits, or starts runs"""
    has_answer: ClassVar[bool] = False
    """whether it stores an answer in the run, which refs read as `run.<step>.…`"""

    id: Id
    name: Text = ""

    @abstractmethod
    def run(self, seen: Seen) -> Passing:
        """Asks all its questions, then yields its effects, then returns Go, Wait or Leave."""

    @abstractmethod
    def ports(self) -> dict[str, str]:
        """port → the step it leads to, as written: empty for the following one, `end` for none."""

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        """(name, condition as written, field): evaluated as `<step>.<name>`."""
        return iter(())

    def references(self) -> Iterator[StepReference]:
        """The definitions it names; a message it names is one it sends."""
        return iter(())

    def messages(self) -> tuple[str, ...]:
        """Templates the step sends."""
        return tuple(reference.id for reference in self.references() if reference.kind == "message")

    def traits(self) -> Iterator[tuple[str, str]]:
        """(trait, field that names it): the traits it reads, whose changes wake the run."""
        return iter(())

    def uses_customer_zone(self) -> bool:
        """Whether how long it waits depends on the customer's local time."""
        return False

    def breaks_loop(self) -> bool:
        """Whether a loop through it takes time."""
        return self.waits

    def may_wait_forever(self) -> bool:
        """Whether only a goal, an exit or another step can move the run on."""
        return False

    def exposing_ports(self) -> tuple[str, ...]:
        """Ports whose routes count for `Seen.reachable`: entered only if all their messages may reach the customer."""
        return ()

    def values(self) -> Any:
        """Plain data that may hold refs."""
        return None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of the step as it is written."""
        return msgspec.json.schema(cls)
