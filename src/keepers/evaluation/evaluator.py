"""Runs the compiled expressions: for a scope or for everybody, now or as of a past moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

import duckdb
import ibis
import msgspec

from keepers.conditions import ast, graph
from keepers.conditions.compile.compile import StandingQuery, Vocabulary, compile_asks, compile_condition
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import Segment
from keepers.conditions.schema import Schema
from keepers.evaluation.active_queries import (
    ActiveQueries,
    Definitions,
    build,
    conditions_of,
    hidden_accounts,
    rule,
)
from keepers.warehouse.database import Warehouse

_KEPT = 512
COUNTED = "counted"
"""The id under which an ad-hoc condition is answered."""
EXPLAINED = "explained"


T = TypeVar("T")


class CompiledSql(Generic[T]):
    """What was compiled in this process, by all that it depends on; the oldest makes room for the newest.

    All evaluators share it, whatever their warehouse: compiling costs more than most queries do.
    """

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._found: dict[tuple[Any, ...], T] = {}
        self._lock = Lock()

    def get(self, key: tuple[Any, ...], compiled: Callable[[], T]) -> T:
        """What is kept under the key, or what is compiled now."""
        found = self._found.get(key)
        if found is None:
            found = compiled()
            with self._lock:
                if len(self._found) >= self._size:
                    del self._found[next(iter(self._found))]
                self._found[key] = found
        return found


_asked = CompiledSql[str]()
_explained = CompiledSql[tuple[str, dict[ast.Condition, tuple[str, tuple[str, ...]]]]]()


class Evaluator:
    """Turns asks into SQL, once per (rules, what they read), and runs it."""

    def __init__(self, warehouse: Warehouse, compiled: CompiledSql[str] = _asked) -> None:
        self.warehouse = warehouse
        self._compiled = compiled

    def sql(self, asks: tuple[StandingQuery, ...], schema: Schema, vocabulary: Vocabulary, mode: Mode) -> str:
        """The query for some asks: profile_id, now, v<number>, x<number>."""
        key = (
            tuple((a.number, msgspec.json.encode(rule(a.definition), enc_hook=str)) for a in asks),
            _relevant(asks, schema, vocabulary),
            mode,
        )
        return self._compiled.get(key, lambda: _sql_of(compile_asks(asks, schema, vocabulary, mode).expression))

    def as_of(self, standing: ActiveQueries, ids: list[str], now: datetime) -> duckdb.DuckDBPyConnection:
        """Answers definitions (and all they ask about) for everybody as of a moment, over what was known by then.

        Leaves the answers in the temporary table `asof_states` (ask, profile_id, value, since) of this thread's
        cursor, which is returned. `since` is when the subject came into that value, where that was recorded.
        """
        cursor = self.prepare_as_of(now)
        schema = self.warehouse.schema(now)
        for layer in standing.upstream(ids):
            for kind in ("account", "person"):
                asks = tuple(ask for ask in layer if ask.subject == kind)
                if asks:
                    query = self.sql(asks, schema, standing.vocabulary, Mode(as_of=True, subject=asks[0].subject))
                    self._keep_as_of(cursor, asks, query, now)
        return cursor

    def count(self, standing: ActiveQueries, condition: ast.Condition, now: datetime, of: str = "person") -> int:
        """How many subjects a condition holds for, as of a moment."""
        asked = Segment(COUNTED, condition, of="account" if of == "account" else "person")
        preview = with_segment(standing, asked)
        cursor = self.as_of(preview, [f"segment:{COUNTED}"], now)
        number = preview.asks[f"segment:{COUNTED}"].number
        row = cursor.execute("SELECT count(*) FROM asof_states WHERE ask = ? AND value = 1", [number]).fetchone()
        return int(row[0]) if row else 0

    def explain(
        self, standing: ActiveQueries, condition: ast.Condition, of: Any, profile_id: int, now: datetime
    ) -> tuple[bool, dict[ast.Condition, tuple[bool, dict[str, Any]]]]:
        """Whether a condition holds for one subject, and each leaf's answer with the figures it saw.

        Call after `as_of` for what the condition asks about; reads the `asof_states` left there.
        """
        cursor = self.warehouse.cursor()
        cursor.execute("CREATE OR REPLACE TEMP TABLE scope (profile_id BIGINT, now TIMESTAMP)")
        cursor.execute("INSERT INTO scope VALUES (?, ?)", [profile_id, now])
        cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        schema = self.warehouse.schema(now)
        mode = Mode(scoped=True, as_of=True, subject=of)
        query, named = self._explanation(condition, schema, standing.vocabulary, mode)
        found = cursor.execute(query)
        columns = [c[0] for c in found.description or []]
        row = found.fetchone()
        if row is None:
            return False, {leaf: (False, {}) for leaf in named}
        values = dict(zip(columns, row, strict=True))
        seen = {
            leaf: (bool(values[name]), {label: values[f"{name}_{k}"] for k, label in enumerate(labels)})
            for leaf, (name, labels) in named.items()
        }
        return bool(values["holds"]), seen

    def _explanation(
        self, condition: ast.Condition, schema: Schema, vocabulary: Vocabulary, mode: Mode
    ) -> tuple[str, dict[ast.Condition, tuple[str, tuple[str, ...]]]]:
        """The query that explains a condition, made once for everybody it is explained to."""
        asked = StandingQuery(0, EXPLAINED, Segment(EXPLAINED, condition, of=mode.subject))
        key = (condition, _relevant((asked,), schema, vocabulary), mode)

        def compiled() -> tuple[str, dict[ast.Condition, tuple[str, tuple[str, ...]]]]:
            expression, named = compile_condition(condition, schema, vocabulary, mode)
            return _sql_of(expression), named

        return _explained.get(key, compiled)

    def prepare_as_of(self, now: datetime) -> duckdb.DuckDBPyConnection:
        """This thread's cursor with the moment of asking set, merges as they were then, and no answers yet."""
        cursor = self.warehouse.cursor()
        cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE asof_states (ask INTEGER, profile_id BIGINT, value SMALLINT, since TIMESTAMP)"
        )
        cursor.execute("CREATE OR REPLACE TEMP TABLE asof_canon (from_id BIGINT, to_id BIGINT)")
        links = cursor.execute(
            """
            SELECT from_id, to_id
            FROM (
                SELECT from_id, to_id, seq, "at", NULL AS until FROM merge_links
                UNION ALL
                SELECT from_id, to_id, seq, "at", until FROM ended_merges
            )
            WHERE "at" <= $now AND (until IS NULL OR until > $now)
            ORDER BY seq
            """,
            {"now": now},
        ).fetchall()
        pairs = flat(links)
        if pairs:
            cursor.executemany("INSERT INTO asof_canon VALUES (?, ?)", [list(pair) for pair in pairs.items()])
        return cursor

    def _keep_as_of(
        self, cursor: duckdb.DuckDBPyConnection, asks: tuple[StandingQuery, ...], query: str, now: datetime
    ) -> None:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE asof_answers AS {query}")
        for ask in asks:
            cursor.execute(
                # A changed rule's record is new, but who kept their stage kept its `since` (see waves.py).
                f"""
                INSERT INTO asof_states
                SELECT {ask.number}, a.profile_id, a."v{ask.number}", coalesce(s.since, h.since)
                FROM asof_answers a
                LEFT JOIN states s
                  ON s.ask = {ask.number} AND s.profile_id = a.profile_id AND s.value = a."v{ask.number}"
                 AND s.since <= ?
                LEFT JOIN (
                    SELECT profile_id, max("at") AS since, arg_max(to_value, n) AS value
                    FROM changes
                    WHERE ask = {ask.number} AND "at" <= ?
                    GROUP BY profile_id
                ) h ON h.profile_id = a.profile_id AND h.value = a."v{ask.number}"
                WHERE a."v{ask.number}" > 0
                """,
                [now, now],
            )


def with_segment(standing: ActiveQueries, segment: Segment) -> ActiveQueries:
    """The standing definitions with one more; those in force keep their numbers, so recorded history still fits."""
    old = standing.definitions
    definitions = Definitions(
        old.events, old.segments | {segment.id: segment}, old.lifecycles, old.scores, old.questions
    )
    numbers = {name: ask.number for name, ask in standing.asks.items()}
    fresh = [name for name in definitions.by_id() if name not in numbers]
    # Numbers below zero belong to nobody in the warehouse; the segment's own rule may differ from the one in force.
    lowest = min([0, *numbers.values()])
    numbers |= {name: lowest - n for n, name in enumerate(fresh, start=1)}
    numbers[f"segment:{segment.id}"] = lowest - len(fresh) - 1
    return build(definitions, numbers)


def flat(links: list[tuple[int, int]]) -> dict[int, int]:
    """Merges in order as from → final survivor."""
    final: dict[int, int] = {}
    for source, target in links:
        while target in final:
            target = final[target]
        if target == source:
            continue
        for known, into in final.items():
            if into == source:
                final[known] = target
        final[source] = target
    return final


def _sql_of(expression: Any) -> str:
    return str(ibis.to_sql(expression, dialect="duckdb", pretty=False))


def _relevant(asks: tuple[StandingQuery, ...], schema: Schema, vocabulary: Vocabulary) -> bytes:
    """The part of schema and vocabulary that the asks' SQL depends on: what is new elsewhere recompiles nothing."""
    events = {name: trait.event for name, trait in vocabulary.computed.items()}
    reads = graph.Reads()
    asked: set[str] = set()
    for ask in asks:
        reads |= graph.reads_of(ask.definition, vocabulary.derived, events)
        asked |= hidden_accounts(conditions_of(ask.definition)).keys()
    asked |= reads.definitions
    parts = [
        [
            (t.event, t.table, t.columns, sorted(t.overflow), t.children, t.has_future)
            for t in (schema.events[name] for name in sorted(reads.events & schema.events.keys()))
        ],
        [vocabulary.derived[word] for word in sorted(reads.words)],
        [vocabulary.computed[name].signature for name in sorted(reads.traits & vocabulary.computed.keys())],
        sorted((name, vocabulary.asks[name]) for name in asked & vocabulary.asks.keys()),
        sorted((name, vocabulary.stages[name]) for name in reads.lifecycles & vocabulary.stages.keys()),
        sorted(reads.traits & schema.traits),
        schema.has_merges,
    ]
    return msgspec.json.encode(parts, enc_hook=str)
