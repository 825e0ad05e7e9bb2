"""The conditions language as a tree of frozen structs. `parsing` reads it from plain data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from msgspec import Struct

from keepers.model.moments import Moment

Function = Literal["count", "sum", "avg", "min", "max", "distinct"]
FUNCTIONS: tuple[Function, ...] = ("count", "sum", "avg", "min", "max", "distinct")


class Ref(Struct, frozen=True):
    """A value of the run a condition is evaluated for: `trigger.order_id`, `run.entered_at`, `run.<step>.<path>`.

    A ref without a value is equal to nothing.
    """

    path: str


class Comparison(Struct, frozen=True):
    """One comparison: an operator's id (see `operators.py`) and what it compares with, or Refs to it."""

    op: str
    operand: Any

    __test__ = False  # not a test of pytest's

    @property
    def operands(self) -> tuple[Any, ...]:
        return self.operand if isinstance(self.operand, tuple) else (self.operand,)

    @property
    def refs(self) -> frozenset[str]:
        """The paths of the run's values it compares with."""
        named = (o.path if isinstance(o, Ref) else o.ref for o in self.operands if isinstance(o, Ref | Moment))
        return frozenset(path for path in named if path)


class PropertyTest(Struct, frozen=True):
    """Comparisons on one property; with `some`, on one item of a list of objects."""

    path: str
    tests: tuple[Comparison, ...] = ()
    some: tuple[PropertyTest, ...] = ()

    @property
    def refs(self) -> frozenset[str]:
        own = frozenset(path for test in self.tests for path in test.refs)
        return own.union(*(inner.refs for inner in self.some))


class ReportingTest(PropertyTest, frozen=True):
    """Comparisons on an amount as it reads in the reporting currency."""

    is_reporting: bool = True


class Aggregate(Struct, frozen=True, omit_defaults=True):
    """A figure over the matching events and the comparisons it must pass. `of` is None for count.

    With `is_reporting` it is of amounts as they read in the reporting currency.
    """

    function: Function
    of: str | None
    tests: tuple[Comparison, ...]
    is_reporting: bool = False


class TimeWindow(Struct, frozen=True):
    """Which times count: from `start` to `end`. Relative bounds are half-open (start, end], absolute [start, end)."""

    start: Moment | None = None
    end: Moment | None = None

    @property
    def refs(self) -> frozenset[str]:
        return frozenset(m.ref for m in (self.start, self.end) if m is not None and m.ref)


class AllOf(Struct, frozen=True, tag=True):
    items: tuple[Condition, ...]


class AnyOf(Struct, frozen=True, tag=True):
    items: tuple[Condition, ...]


class Not(Struct, frozen=True, tag=True):
    item: Condition


class Anyone(Struct, frozen=True, tag=True):
    """Everybody known at the moment of evaluation."""


class Trait(Struct, frozen=True, tag=True):
    name: str
    tests: tuple[Comparison, ...]


class Did(Struct, frozen=True, tag=True):
    """Events in a window. With `occurrence`, only the first or last one ever is looked at."""

    event: str
    where: tuple[PropertyTest, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    window: TimeWindow = TimeWindow()
    occurrence: Literal["first", "last"] | None = None


class SequenceStep(Struct, frozen=True):
    """`within` is the span since the step before; a `negated` last step must not follow within it."""

    event: str
    where: tuple[PropertyTest, ...] = ()
    within: timedelta | None = None
    negated: bool = False


class Sequence(Struct, frozen=True, tag=True):
    steps: tuple[SequenceStep, ...]
    same: str | None = None
    window: TimeWindow = TimeWindow()


class InSegment(Struct, frozen=True, tag=True):
    segment: str
    lasting: timedelta = timedelta(0)


class InStage(Struct, frozen=True, tag=True):
    lifecycle: str
    stage: str
    lasting: timedelta = timedelta(0)


class Account(Struct, frozen=True, tag=True):
    """Member, now, of an account for which the inner condition holds."""

    condition: Condition


class Sample(Struct, frozen=True, tag=True):
    """A stable share of everybody: md5(salt, bucket_key) read as a fraction lies in [start, end)."""

    salt: str
    start: float
    end: float


Condition = AllOf | AnyOf | Not | Anyone | Trait | Did | Sequence | InSegment | InStage | Account | Sample
NOBODY = AnyOf(())


def children(condition: Condition) -> tuple[Condition, ...]:
    """The conditions directly inside one."""
    match condition:
        case AllOf(items) | AnyOf(items):
            return items
        case Not(item):
            return (item,)
        case Account(inner):
            return (inner,)
        case _:
            return ()


def walk(condition: Condition) -> list[Condition]:
    """The condition and all inside it, outermost first."""
    found = [condition]
    for child in children(condition):
        found += walk(child)
    return found


def leaves(condition: Condition) -> list[Condition]:
    """The leaves of a condition: what groups and denials are made of, each once, in their order."""
    match condition:
        case AllOf() | AnyOf() | Not():
            return list(dict.fromkeys(leaf for child in children(condition) for leaf in leaves(child)))
        case _:
            return [condition]


def uses_reporting(condition: Condition) -> bool:
    """Whether an amount in it is read in the reporting currency."""
    return any(
        any(a.is_reporting for a in getattr(part, "aggregates", ())) or any(map(has_reporting, _wheres(part)))
        for part in walk(condition)
    )


def has_reporting(where: tuple[PropertyTest, ...]) -> bool:
    """Whether one of the tests is of an amount in the reporting currency."""
    return any(isinstance(test, ReportingTest) for test in where)


def _wheres(part: Condition) -> list[tuple[PropertyTest, ...]]:
    match part:
        case Did(where=where):
            return [where]
        case Sequence(steps=steps):
            return [step.where for step in steps]
        case _:
            return []


def refs(condition: Condition) -> frozenset[str]:
    """The paths of all refs in a condition: what must be known of the run it is evaluated for."""
    found: set[str] = set()
    for part in walk(condition):
        match part:
            case Trait(tests=tests):
                found.update(*(t.refs for t in tests))
            case Did(where=where, aggregates=aggregates, window=window):
                found.update(window.refs, *(p.refs for p in where), *(t.refs for a in aggregates for t in a.tests))
            case Sequence(steps=steps, window=window):
                found.update(window.refs, *(p.refs for step in steps for p in step.where))
            case _:
                pass
    return frozenset(found)
