"""Reachability of stages and segments: conditions that always hold, never hold, or need events that do not arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from keepers.conditions import ast
from keepers.conditions.definitions import Segment
from keepers.conditions.operators import BY_NAME

Seen = Callable[[str], bool]


def always(condition: ast.Condition) -> bool:
    """Whether a condition matches everybody, by its form alone."""
    match condition:
        case ast.Anyone():
            return True
        case ast.AllOf(items):
            return bool(items) and all(always(i) for i in items)
        case ast.AnyOf(items):
            return any(always(i) for i in items)
        case ast.Not(item):
            return never(item)
        case _:
            return False


def never(condition: ast.Condition) -> bool:
    """Whether a condition can match nobody, by its form alone."""
    return not possible(condition, {}, lambda event: True)


def possible(
    condition: ast.Condition,
    segments: Mapping[str, Segment],
    seen: Seen,
    inside: Collection[str] = (),
) -> bool:
    """Whether it can hold for anybody when only events that are `seen` arrive.

    Segments are looked into where they are known; `inside` are those being looked into.
    """
    match condition:
        case ast.AllOf(items):
            return bool(items) and all(possible(i, segments, seen, inside) for i in items)
        case ast.AnyOf(items):
            return any(possible(i, segments, seen, inside) for i in items)
        case ast.Not(item):
            return not always(item)
        case ast.Account(inner):
            return possible(inner, segments, seen, inside)
        case ast.Did(event=event, aggregates=aggregates):
            # A count may be asked to be zero, which unseen events pass.
            return (bool(aggregates) and _passes_zero(aggregates)) or seen(event)
        case ast.Sequence(steps=steps):
            return all(step.negated or seen(step.event) for step in steps)
        case ast.InSegment(segment=name) if name in segments and name not in inside:
            return possible(segments[name].who, segments, seen, {*inside, name})
        case _:
            return True


def helping(condition: ast.Condition, segments: Mapping[str, Segment], inside: Collection[str] = ()) -> set[str]:
    """The events whose arrival can make it hold: those not under a `not`."""
    match condition:
        case ast.AllOf(items) | ast.AnyOf(items):
            return {event for item in items for event in helping(item, segments, inside)}
        case ast.Account(inner):
            return helping(inner, segments, inside)
        case ast.Did(event=event):
            return {event}
        case ast.Sequence(steps=steps):
            return {step.event for step in steps if not step.negated}
        case ast.InSegment(segment=name) if name in segments and name not in inside:
            return helping(segments[name].who, segments, {*inside, name})
        case _:
            return set()


def _passes_zero(aggregates: tuple[ast.Aggregate, ...]) -> bool:
    """Counts such as `{lte: 3}`, that no events at all pass."""
    return all(BY_NAME[test.op].passes_zero(test.operand) for aggregate in aggregates for test in aggregate.tests)
