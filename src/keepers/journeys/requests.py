"""What a step yields and returns: questions first, then effects, then where the run goes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from keepers.contact.eligibility import Decision


class CheckCondition(Struct, frozen=True, tag=True):
    """Whether the condition holds for the run's customer. The answer is a Reply. See `Journey.questions`."""

    question: str


class ReadTrait(Struct, frozen=True, tag=True):
    """The latest value of a trait, None when there is none. A change of it wakes the waiting run."""

    trait: str


class CheckEligibility(Struct, frozen=True, tag=True):
    """Whether these messages may go to the customer. The answer is a Decision.

    With `is_exposure` nothing is sent: the customer must be one that all of them could reach (`eligibility.together`).
    With `coupon` there must be a code of that pool for the customer, else the decision is Skip("no_coupon").
    """

    messages: tuple[str, ...]
    is_exposure: bool = False
    coupon: str | None = None


StepQuestion = CheckCondition | ReadTrait | CheckEligibility


class Reply(Struct, frozen=True):
    """The answer of CheckCondition, and the earliest instant after now at which it may change without a new event."""

    holds: bool
    changes_at: datetime | None = None


class Send(Struct, frozen=True, tag=True):
    """A message was decided on: to be queued, held or stored as skipped. `coupon` names the pool of its code."""

    message: str
    decision: Decision
    coupon: str | None = None


class UpdateTraits(Struct, frozen=True, tag=True):
    traits: dict[str, Any]


class EmitEvent(Struct, frozen=True, tag=True):
    event: str
    properties: dict[str, Any]


class Call(Struct, frozen=True, tag=True):
    """A call over a channel with answers (see `ChannelDescription.has_answer`).

    Its answer is put into `run.vars[step]` as {status, body, visit}, and the run is woken.
    """

    channel: str
    url: str
    method: str = "POST"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class StartJourney(Struct, frozen=True, tag=True):
    """The customer enters another journey, with `data` as its trigger."""

    journey: str
    data: dict[str, Any]


class Expose(Struct, frozen=True, tag=True):
    """The customer takes part in an experiment from now on, in this arm (`holdout` among them)."""

    experiment: str
    arm: str


Request = Send | UpdateTraits | EmitEvent | Call | StartJourney | Expose


class RememberArm(Struct, frozen=True):
    """Stores the arm of this step in the run."""

    arm: str


class Go(Struct, frozen=True):
    """On through a port of the step."""

    port: str = "next"
    reason: str = ""


class Wait(Struct, frozen=True):
    """Stay, until an instant (UTC) or an answer changes. `state` is stored for the step."""

    until: datetime | None = None
    state: dict[str, Any] = field(default_factory=dict)


class Leave(Struct, frozen=True):
    """The run ends."""

    reason: str


Result = Go | Wait | Leave
NEXT = Go()
