"""A journey as it is published: how it is entered, when it is left, and its steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from keepers.conditions import ast
from keepers.journeys.entry.definitions import Entry
from keepers.journeys.references import keys_for
from keepers.journeys.requests import CheckCondition
from keepers.journeys.run import PASSED, Run
from keepers.journeys.steps.step import Step
from keepers.model.fields import Duration, Id, Text, When
from keepers.model.identity import Accepted


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """Reached at once, also while waiting. With `exit: false` it is only recorded."""

    when: When
    exit: bool = True


class Leaving(Struct, frozen=True, forbid_unknown_fields=True):
    """Ends the run at once, also while it waits."""

    when: When
    reason: str = "exit"


class Reentry(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of `after` (since the run before was entered) and `per` (a property of the trigger)."""

    after: Duration | None = None
    per: str | None = None


class Journey(Struct, frozen=True, kw_only=True):
    """What runs follow. `routes` has the steps' ports resolved: step → port → step, None where the run ends."""

    id: Id
    version: int = 0
    name: Text = ""
    description: Text = ""
    entries: tuple[Entry, ...] = ()
    condition: ast.Condition | None = None
    reentry: str | Reentry = "never"
    max_age: Duration = "72h"
    goal: Goal | None = None
    exits: tuple[Leaving, ...] = ()
    priority: str = ""
    """of its messages without one of their own; empty for the usual one"""
    trust: Accepted | None = None
    """what it accepts; None for the default: with transactional messages `server`, else `any`"""
    steps: dict[str, Step]
    routes: dict[str, dict[str, str | None]]
    conditions: dict[str, ast.Condition] = field(default_factory=dict)
    refs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """question → refs of the run it is evaluated with"""
    bound: frozenset[str] = frozenset()
    """questions about the time since a step was entered: evaluated only for a run at that step"""
    reachable: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """experiment → messages of all its arms"""
    exit_questions: tuple[CheckCondition, ...] = ()
    """the goal and the exits, in the order in which they count"""

    @property
    def first(self) -> str:
        return next(iter(self.steps))

    @property
    def has_outcomes(self) -> bool:
        """Whether its runs bring forth what other definitions read: events, traits, runs of other journeys."""
        return any(step.has_outcome for step in self.steps.values())

    def questions(self) -> dict[str, ast.Condition]:
        """`entry.0`, `if`, `goal`, `exit.0`, `<step>.until`, `<step>.when.0` … → condition."""
        return self.conditions

    def keys(self, question: str, run: Run) -> Mapping[str, Any]:
        """The values of the run that a question is evaluated with."""
        paths = self.refs.get(question)
        return keys_for(run, paths) if paths else {}


def begin(
    journey: Journey,
    *,
    profile_id: int,
    bucket_key: str,
    zone: str,
    now: datetime,
    trigger: dict[str, Any] | None = None,
    hops: int = 0,
    id: int = 0,
) -> Run:
    """A new run, standing before its first step and due at once."""
    return Run(
        id=id,
        journey=journey.id,
        version=journey.version,
        profile_id=profile_id,
        bucket_key=bucket_key,
        zone=zone,
        entered_at=now,
        step=journey.first,
        since=now,
        visits={journey.first: 1},
        trigger=trigger or {},
        state={PASSED: []},
        wake_at=now,
        hops=hops,
    )
