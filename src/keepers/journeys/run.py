"""One customer's run through a journey, and the result of moving it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from keepers.journeys.requests import CheckCondition, ReadTrait, Request, StepQuestion
from keepers.model.identity import Trust

ARMS = "_arms"
"""in `Run.vars`: step → the arm of its split or experiment"""
GOAL = "_goal"
"""in `Run.vars`: when a goal that does not end the run was reached"""
UNTRUSTED = "_untrusted"
"""in `Run.vars`: it was entered by what came by a public key"""
PASSED = "_passed"
"""in `Run.state`, before the step has run: the waits passed since the run last waited"""
PAUSED = "_paused_s"
"""in `Run.state`: paused seconds, which the step's delays do not count"""
RESUMED = "_resumed_at"
"""in `Run.state`: until when (ISO 8601) pauses are counted in `PAUSED`, so that none counts twice"""
REST = "_rest"
"""in `Run.state`: until when a run rests in a loop whose wait had nothing to wait for"""


class Run(Struct, frozen=True):
    """Where a customer is in a journey. Times are naive UTC."""

    id: int
    journey: str
    version: int
    profile_id: int
    bucket_key: str
    zone: str
    """the customer's present zone, read at each wake"""
    entered_at: datetime
    step: str | None
    since: datetime
    """when the step was entered"""
    visits: dict[str, int] = field(default_factory=dict)
    """step → how often it was entered"""
    vars: dict[str, Any] = field(default_factory=dict)
    """step → its webhook's answer {status, body, visit}; `_arms`, `_goal`"""
    trigger: dict[str, Any] = field(default_factory=dict)
    """event, time (ISO 8601), seq, and the event's properties beside them"""
    state: dict[str, Any] = field(default_factory=dict)
    """stored by the step"""
    wake_at: datetime | None = None
    status: Literal["active", "ended"] = "active"
    reason: str = ""
    hops: int = 0

    @property
    def trust(self) -> Trust:
        """What the events and traits are trusted with that it brings forth: no more than what it was entered by."""
        return trust_of_run(self.vars)


def trust_of_run(variables: Mapping[str, Any]) -> Trust:
    """What a run with these `vars` brings forth is trusted with."""
    return "public" if UNTRUSTED in variables else "own"


What = Literal["passed", "waits", "goal", "ended"]


class Effect(Struct, frozen=True):
    """An effect, performed once: (step, visit) is unique within a run."""

    step: str
    visit: int
    request: Request


class HistoryLine(Struct, frozen=True):
    """A line of a run's history.

    `what`: passed (data: port) · waits (data: until) · goal · ended.
    """

    at: datetime
    step: str | None
    visit: int
    what: What
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class NeedsAnswers(Struct, frozen=True):
    """Questions to be answered as of `now`; nothing has moved."""

    questions: frozenset[StepQuestion]


class Moved(Struct, frozen=True):
    """The run to be stored, its effects, and the questions whose change wakes it before `run.wake_at`."""

    run: Run
    effects: tuple[Effect, ...]
    history: tuple[HistoryLine, ...]
    watched: frozenset[CheckCondition | ReadTrait]
