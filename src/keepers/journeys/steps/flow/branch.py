"""Branch: the first condition that holds decides the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct, field

from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import CheckCondition, Go
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target, When


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    when: When
    go: Target
    name: str = ""


class Branch(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "branch"
    summary: ClassVar[TextId] = text_id("step", "Choose a branch by conditions; the first that holds is taken")

    branch: Annotated[tuple[Case, ...], Meta(min_length=1, max_length=50)]
    otherwise: Target = field(default="", name="else")

    def run(self, seen: Seen) -> Passing:
        replies = yield tuple(CheckCondition(f"{self.id}.when.{n}") for n in range(len(self.branch)))
        for n, reply in enumerate(replies):
            if reply.holds:
                return Go(f"when.{n}")
        return Go("else")

    def ports(self) -> dict[str, str]:
        return {f"when.{n}": case.go for n, case in enumerate(self.branch)} | {"else": self.otherwise}

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        for n, case in enumerate(self.branch):
            yield f"when.{n}", case.when, f"branch[{n}].when"
