"""Experiment: variants and a holdout, the same for a customer each time; every arm is recorded as exposed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from keepers.contact.eligibility import Skip
from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.bucketing import fraction, pick
from keepers.journeys.requests import CheckEligibility, Expose, Go, RememberArm
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import END, Id, Share, Target, Weight, When

HOLDOUT = "holdout"


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    go: Target
    weight: Weight = 50


class Arms(Struct, frozen=True, forbid_unknown_fields=True):
    variants: Annotated[tuple[Variant, ...], Meta(min_length=1, max_length=20)]
    holdout: Share = 0.0
    holdout_go: Target = END
    goal: When = None
    """what the arms are compared by; it moves no run"""

    def __post_init__(self) -> None:
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) < len(ids) or {HOLDOUT, "otherwise"} & set(ids):
            raise ValueError(problem("every variant needs an id of its own, other than “holdout” and “otherwise”"))
        if len(ids) == 1 and not self.holdout:
            raise ValueError(problem("one variant without a holdout compares nothing; add a variant or a holdout"))


class Experiment(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "experiment"
    summary: ClassVar[TextId] = text_id("step", "Compare variants, with a holdout that gets none of them")

    experiment: Arms
    otherwise: Target = END
    """for customers whom the messages of the arms may not reach: they are not part of the experiment"""

    def run(self, seen: Seen) -> Passing:
        if seen.arm is not None and seen.arm in self.ports():
            return Go(seen.arm)
        if seen.reachable:
            decision = yield CheckEligibility(seen.reachable, is_exposure=True)
            if isinstance(decision, Skip):
                return Go("otherwise", decision.reason)
        arm = self.assign(fraction(seen.journey, self.id, seen.bucket_key))
        yield RememberArm(arm)
        yield Expose(f"{seen.journey}.{self.id}", arm)
        return Go(arm)

    def assign(self, share: float) -> str:
        """The arm of a customer's fraction in [0, 1): the holdout first, the rest by weights."""
        arms = self.experiment
        if share < arms.holdout:
            return HOLDOUT
        rest = (share - arms.holdout) / (1 - arms.holdout)
        return arms.variants[pick([v.weight for v in arms.variants], rest)].id

    def ports(self) -> dict[str, str]:
        arms = self.experiment
        found = {variant.id: variant.go for variant in arms.variants}
        held = {HOLDOUT: arms.holdout_go} if arms.holdout else {}
        return found | held | {"otherwise": self.otherwise}

    def exposing_ports(self) -> tuple[str, ...]:
        return tuple(port for port in self.ports() if port != "otherwise")

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        if self.experiment.goal is not None:
            yield "goal", self.experiment.goal, "experiment.goal"
