"""Branch: the first condition that holds shows the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct, field

from keepers.journeys.requests import AskConditions, Go
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.fields import Target, When


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    when: When
    go: Target
    name: str = ""


class Branch(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "branch"
    summary: ClassVar[dict[str, str]] = {
        "en": "Go different ways by conditions; the first that holds counts",
        "ru": "Разные пути по условиям; действует первое выполненное",
        "pl": "Różne drogi według warunków; liczy się pierwszy spełniony",
        "zh": "按条件分支，第一个成立的条件生效",
        "it": "Strade diverse secondo le condizioni; vale la prima che si verifica",
    }

    branch: Annotated[tuple[Case, ...], Meta(min_length=1, max_length=50)]
    otherwise: Target = field(default="", name="else")

    def run(self, seen: Seen) -> Passing:
        replies = yield tuple(AskConditions(f"{self.id}.when.{n}") for n in range(len(self.branch)))
        for n, reply in enumerate(replies):
            if reply.holds:
                return Go(f"when.{n}")
        return Go("else")

    def ports(self) -> dict[str, str]:
        return {f"when.{n}": case.go for n, case in enumerate(self.branch)} | {"else": self.otherwise}

    def conditions(self) -> Iterator[tuple[str, Any, str]]:
        for n, case in enumerate(self.branch):
            yield f"when.{n}", case.when, f"branch[{n}].when"
