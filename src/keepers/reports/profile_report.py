"""One profile: identities, events, stages and segments, and which clauses of their conditions hold, with figures."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from keepers.conditions import ast
from keepers.conditions.definitions import Lifecycle
from keepers.conditions.wording import describe
from keepers.evaluation.active_queries import is_hidden
from keepers.model.fields import Text
from keepers.warehouse.fixed_tables import TRAIT_ORDER

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator


class Clause(Struct, frozen=True):
    """A condition and its answer; `seen` are the figures of a leaf, `parts` the conditions inside a group."""

    says: str
    holds: bool
    seen: dict[str, Any] = field(default_factory=dict)
    parts: tuple[Clause, ...] = ()


class Membership(Struct, frozen=True, rename={"is_in": "in"}):
    """Where a subject stands in one stage (or segment), since when, and why or why not."""

    id: str
    name: Text
    is_in: bool
    since: datetime | None
    why: Clause


class Place(Struct, frozen=True):
    """A subject's place in a lifecycle: the last stage whose clauses hold."""

    lifecycle: str
    name: Text
    stage: str | None
    since: datetime | None
    stages: tuple[Membership, ...]


class RecentEvent(Struct, frozen=True):
    event: str
    time: datetime
    properties: Any


class ProfileReport(Struct, frozen=True):
    profile_id: int
    kind: str
    known_since: datetime
    zone: str
    as_of: datetime
    traits: dict[str, Any]
    computed: dict[str, Any]
    segments: tuple[Membership, ...]
    lifecycles: tuple[Place, ...]
    events: tuple[RecentEvent, ...]
    identities: tuple[dict[str, str], ...] = ()


def report_profile(
    evaluator: Evaluator, queries: ActiveQueries, profile_id: int, now: datetime, locale: str = "en", last: int = 10
) -> ProfileReport | None:
    """Everything about one subject as of a moment; None when it was not known by then."""
    cursor = evaluator.warehouse.cursor()
    row = cursor.execute(
        "SELECT kind, created_at, zone FROM profiles WHERE profile_id = ? AND created_at <= ?", [profile_id, now]
    ).fetchone()
    if row is None:
        return None
    kind, created_at, zone = row
    answered = [query for query in queries.by_id.values() if query.subject == kind and not is_hidden(query.id)]
    evaluator.as_of(queries, [query.id for query in answered], now)
    held = {
        number: (value, since)
        for number, value, since in cursor.execute(
            "SELECT query_id, value, since FROM asof_states WHERE profile_id = ?", [profile_id]
        ).fetchall()
    }
    explain = _Explainer(evaluator, queries, kind, profile_id, now, locale)
    segments, lifecycles = [], []
    for query in sorted(answered, key=lambda query: query.id):
        value, since = held.get(query.number, (0, None))
        if isinstance(query.definition, Lifecycle):
            lifecycles.append(_place(query.definition, value, since, explain))
        else:
            why = explain(query.definition.who, trusted_only=query.trusted_only)
            segments.append(Membership(query.definition.id, query.definition.name, value == 1, since, why))
    return ProfileReport(
        profile_id,
        kind,
        created_at,
        zone,
        now,
        _traits(evaluator, profile_id, now),
        _computed(evaluator, queries, kind, profile_id, now),
        tuple(segments),
        tuple(lifecycles),
        _events(evaluator, profile_id, now, last),
    )


def _place(lifecycle: Lifecycle, value: int, since: datetime | None, explain: _Explainer) -> Place:
    stages = tuple(
        Membership(s.id, s.name, n == value, since if n == value else None, explain(s.when))
        for n, s in enumerate(lifecycle.stages, start=1)
    )
    stage = lifecycle.stages[value - 1].id if value else None
    return Place(lifecycle.id, lifecycle.name, stage, since, stages)


class _Explainer:
    """Explains conditions for one subject: every leaf's answer from one query per condition."""

    def __init__(
        self, evaluator: Evaluator, queries: ActiveQueries, kind: Any, profile_id: int, now: datetime, locale: str
    ) -> None:
        self._evaluator = evaluator
        self._queries = queries
        self._subject = (kind, profile_id, now)
        self._locale = locale

    def __call__(self, condition: ast.Condition, *, trusted_only: bool = False) -> Clause:
        kind, profile_id, now = self._subject
        _, leaves = self._evaluator.explain(self._queries, condition, kind, profile_id, now, trusted_only=trusted_only)
        return self._clause(condition, leaves)

    def _clause(self, condition: ast.Condition, leaves: dict[ast.Condition, tuple[bool, dict[str, Any]]]) -> Clause:
        says = describe(condition, self._locale)
        match condition:
            case ast.AllOf(items) | ast.AnyOf(items):
                parts = tuple(self._clause(item, leaves) for item in items)
                holds = [p.holds for p in parts]
                passed = bool(holds) and (all(holds) if isinstance(condition, ast.AllOf) else any(holds))
                return Clause(says, passed, {}, parts)
            case ast.Not(item):
                inner = self._clause(item, leaves)
                return Clause(says, not inner.holds, inner.seen, inner.parts)
            case _:
                holds_leaf, seen = leaves[condition]
                return Clause(says, holds_leaf, {k: plain(v) for k, v in seen.items() if v is not None})


def plain(value: Any) -> Any:
    """A figure as JSON can hold it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral() else float(value)
    return value


def _traits(evaluator: Evaluator, profile_id: int, now: datetime) -> dict[str, Any]:
    rows = (
        evaluator.warehouse.cursor()
        .execute(
            f"""
            SELECT trait, arg_max(raw, {TRAIT_ORDER})
            FROM trait_values v
            LEFT JOIN asof_canon c ON c.from_id = v.profile_id
            WHERE coalesce(c.to_id, v.profile_id) = ? AND time <= ? AND known_at <= ?
            GROUP BY trait
            ORDER BY trait
            """,
            [profile_id, now, now],
        )
        .fetchall()
    )
    found = {trait: msgspec.json.decode(raw) for trait, raw in rows}
    return {trait: value for trait, value in found.items() if value is not None}


def _computed(
    evaluator: Evaluator, queries: ActiveQueries, kind: Any, profile_id: int, now: datetime
) -> dict[str, Any]:
    condition = ast.AllOf(
        tuple(ast.Trait(name, (ast.Comparison("exists", True),)) for name in queries.vocabulary.computed)
    )
    _, leaves = evaluator.explain(queries, condition, kind, profile_id, now)
    found = {leaf.name: seen for leaf, (_, seen) in leaves.items() if isinstance(leaf, ast.Trait)}
    return {
        name: next(iter(seen.values())) for name, seen in found.items() if any(v is not None for v in seen.values())
    }


def _events(evaluator: Evaluator, profile_id: int, now: datetime, last: int) -> tuple[RecentEvent, ...]:
    rows = (
        evaluator.warehouse.cursor()
        .execute(
            """
            SELECT t.event, t.time, t.raw
            FROM tracks t
            WHERE (t.profile_id = $id OR t.profile_id IN (SELECT from_id FROM asof_canon WHERE to_id = $id))
              AND t.time <= $now AND t.known_at <= $now
            ORDER BY t.time DESC, t.seq DESC
            LIMIT $last
            """,
            {"id": profile_id, "now": now, "last": last},
        )
        .fetchall()
    )
    found = []
    for event, time, raw in rows:
        message = msgspec.json.decode(raw)
        found.append(RecentEvent(event, time, message.get("properties") or message.get("traits") or {}))
    return tuple(found)
