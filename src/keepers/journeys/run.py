"""One customer's way through a journey, and what moving it came to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from keepers.journeys.requests import AskConditions, Look, Request, StepQuestion

if TYPE_CHECKING:
    pass

ARMS = "_arms"
"""in `Run.vars`: step → the arm of its split or experiment"""
GOAL = "_goal"
"""in `Run.vars`: when a goal that does not end the run was reached"""
PASSED = "_passed"
"""in `Run.state`: the run stands before its step has run; waits passed since it last waited"""
PAUSED = "_paused_s"
"""in `Run.state`: seconds of pausing that the step's delays do not count"""
RESUMED = "_resumed_at"
"""in `Run.state`: until when (ISO 8601) pauses are in `PAUSED` already, so that none counts twice"""
REST = "_rest"
"""in `Run.state`: the run came round a loop whose wait had nothing to wait for"""


class Run(Struct, frozen=True):
    """Where a customer is in a journey. Times are naive UTC."""

    id: int
    journey: str
    version: int
    profile_id: int
    bucket_key: str
    zone: str
    """the customer's at this wake: fresh each time, so that a move to another zone counts"""
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
    """what the step remembers"""
    wake_at: datetime | None = None
    status: Literal["active", "ended"] = "active"
    reason: str = ""
    hops: int = 0


What = Literal["passed", "waits", "goal", "ended"]


class Effect(Struct, frozen=True):
    """Something to be done, once: (step, visit) is unique within a run."""

    step: str
    visit: int
    request: Request


class Trail(Struct, frozen=True):
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
    """The run as it is to be kept, what is to be done, and whose change wakes it before `run.wake_at`."""

    run: Run
    effects: tuple[Effect, ...]
    trail: tuple[Trail, ...]
    watched: frozenset[AskConditions | Look]
