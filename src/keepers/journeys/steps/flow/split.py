"""Split: by weights, the same way for a customer each time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.bucketing import fraction, pick
from keepers.journeys.requests import Go, RememberArm
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target, Weight


class Share(Struct, frozen=True, forbid_unknown_fields=True):
    go: Target
    weight: Weight = 50


class Split(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "split"
    summary: ClassVar[TextId] = text_id(
        "step", "Split customers into branches by weight; a customer always gets the same branch"
    )

    split: Annotated[tuple[Share, ...], Meta(min_length=2, max_length=20)]

    def run(self, seen: Seen) -> Passing:
        if seen.arm is not None and seen.arm in self.ports():
            return Go(seen.arm)
        share = fraction(seen.journey, self.id, seen.bucket_key)
        arm = str(pick([way.weight for way in self.split], share))
        yield RememberArm(arm)
        return Go(arm)

    def ports(self) -> dict[str, str]:
        return {str(n): way.go for n, way in enumerate(self.split)}
