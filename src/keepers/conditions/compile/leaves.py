"""Each kind of condition as a term: the figures it needs, when it holds, and when that may change by itself."""

from __future__ import annotations

import functools
import operator
from typing import Any

from keepers.conditions import ast
from keepers.conditions.comparisons import Clock, ComparedValue, seconds, sure
from keepers.conditions.compile.accounts import account
from keepers.conditions.compile.did import did
from keepers.conditions.compile.features import Features, Finish, Term
from keepers.conditions.compile.latest import TRAIT_FIELDS
from keepers.conditions.compile.sequences import sequence
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.operators import BY_NAME


def finish_condition(condition: ast.Condition, features: Features, leaves: dict[ast.Condition, Finish]) -> Finish:
    """The condition's finisher; every leaf is requested once, and kept in `leaves` for explanations."""
    match condition:
        case ast.AllOf(items):
            return _group([finish_condition(i, features, leaves) for i in items], operator.and_, True)
        case ast.AnyOf(items):
            return _group([finish_condition(i, features, leaves) for i in items], operator.or_, False)
        case ast.Not(item):
            inner = finish_condition(item, features, leaves)
            return lambda row: _negated(inner(row))
        case _:
            if condition not in leaves:
                leaves[condition] = _once(_leaf(condition, features))
            return leaves[condition]


def _once(finish: Finish) -> Finish:
    kept: dict[int, Term] = {}

    def finished(row: Any) -> Term:
        if id(row) not in kept:
            kept[id(row)] = finish(row)
        return kept[id(row)]

    return finished


def _group(finishers: list[Finish], combine: Any, empty: bool) -> Finish:
    def finish(row: Any) -> Term:
        terms = [f(row) for f in finishers]
        if not terms:
            return Term(ibis.literal(False))
        holds = functools.reduce(combine, [t.holds for t in terms])
        return Term(holds, tuple(e for t in terms for e in t.edges), tuple(a for t in terms for a in t.ahead))

    return finish


def _negated(term: Term) -> Term:
    return Term(~term.holds, term.edges, term.ahead, term.seen)


def _leaf(condition: ast.Condition, features: Features) -> Finish:
    match condition:
        case ast.Anyone():
            return lambda row: Term(ibis.literal(True))
        case ast.Trait():
            return _trait(condition, features)
        case ast.Did():
            return did(condition, features)
        case ast.Sequence():
            return sequence(condition, features)
        case ast.InSegment(segment, lasting):
            return _state(f"segment:{segment}", 1, lasting, features)
        case ast.InStage(lifecycle, stage, lasting):
            return _state(f"lifecycle:{lifecycle}", features.ordinal(lifecycle, stage), lasting, features)
        case ast.Account():
            return account(condition, features)
        case ast.Sample():
            return lambda row: _sample(condition, row)
        case _:
            raise AssertionError(f"{type(condition).__name__} is a group, not a leaf")


def _trait(leaf: ast.Trait, features: Features) -> Finish:
    if any(BY_NAME[test.op].uses_local_date for test in leaf.tests):
        features.needs_zone = True
    computed = features.computed.get(leaf.name)
    if computed is not None:
        value_of = computed.request(features)
    elif not features.schema.has_trait(leaf.name):

        def value_of(row: Any) -> tuple[ComparedValue, tuple[Any, ...]]:
            return ComparedValue(), ()

    else:
        prefix = features.trait(leaf.name)

        def value_of(row: Any) -> tuple[ComparedValue, tuple[Any, ...]]:
            value = ComparedValue(**{kind: row[f"{prefix}_{kind}"] for kind in TRAIT_FIELDS})
            return value, (row[f"{prefix}_next"],)

    def finish(row: Any) -> Term:
        value, ahead = value_of(row)
        clock = _clock(row, features)
        holds = functools.reduce(operator.and_, (BY_NAME[t.op].holds(value, t.operand, clock) for t in leaf.tests))
        flips = tuple(f for t in leaf.tests for f in BY_NAME[t.op].flips(value, t.operand, clock))
        seen = {"number": value.number, "text": value.text, "boolean": value.boolean, "instant": value.instant}
        return Term(holds, flips, ahead, {k: v for k, v in seen.items() if v is not None})

    return finish


def _clock(row: Any, features: Features) -> Clock:
    clock = features.clock_of(row)
    if not features.needs_zone:
        return clock
    offset = row.offset_s.as_interval("s")

    def midnight(date: Any) -> Any:
        instant = date.cast("timestamp") - offset
        return ibis.least(instant, ibis.coalesce(row.offset_until, instant))

    return Clock(row.now, (row.now + offset).date(), midnight, clock.refs)


def _state(definition: str, wanted: int, lasting: Any, features: Features) -> Finish:
    value, since = features.state(definition)

    def finish(row: Any) -> Term:
        holds = sure(row[value] == wanted)
        seen = {"value": row[value], "since": row[since]}
        if not lasting:
            return Term(holds, seen=seen)
        ripe = row[since] + seconds(lasting)
        return Term(holds & sure(ripe <= row.now), (ripe,), seen=seen)

    return finish


def _sample(leaf: ast.Sample, row: Any) -> Term:
    bucket = (ibis.literal(leaf.salt + ":") + row.bucket_key).hexdigest("md5")
    holds: Any = ibis.literal(True)
    if leaf.start > 0:
        holds = holds & (bucket >= share_bound(leaf.start))
    if leaf.end < 1:
        holds = holds & (bucket < share_bound(leaf.end))
    return Term(sure(holds), seen={"bucket": bucket})


def share_bound(share: float) -> str:
    """The first md5 (as 32 hex digits) past a share of all hashes: text order is number order."""
    return f"{round(share * (1 << 32)):08x}" + "0" * 24
