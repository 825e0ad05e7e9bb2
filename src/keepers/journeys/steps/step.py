"""What every journey step is: fields as they are written, and a generator that yields what it wants."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from msgspec import Struct, StructMeta

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
    """an experiment's: messages of all its arms"""
    lookup: Lookup

    def zone_named(self, name: str) -> str:
        """The zone a definition means: `customer` or one by name."""
        return self.zone if name == "customer" else name


class _Kind(StructMeta, ABCMeta):
    """A struct whose subclasses must say what is abstract in it."""


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=_Kind):
    """One step. Subclasses are found by the registry: each is a file, with its `head`, the field that names it."""

    head: ClassVar[str]
    summary: ClassVar[dict[str, str]]
    """one line for the palette and the documentation, per locale"""
    waits: ClassVar[bool] = False
    """whether a loop may run through it"""

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

    def messages(self) -> tuple[str, ...]:
        """Templates the step sends."""
        return ()

    def values(self) -> Any:
        """Plain data that may hold refs."""
        return None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of the step as it is written."""
        return msgspec.json.schema(cls)
