"""Runs the compiled expressions: for a scope or for everybody, now or as of a past moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from keepers.conditions import ast, graph
from keepers.conditions.compile.compile import StandingQuery, Vocabulary, by_mode, compile_condition, compile_queries
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import DerivedEvent, Segment
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import Schema, TypedTable
from keepers.evaluation.active_queries import Definitions, build, conditions_of, hidden_accounts, rule
from keepers.evaluation.query_cache import QueryCache

if TYPE_CHECKING:
    import duckdb

    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.scores.score import Score
    from keepers.warehouse.database import Warehouse

COUNTED = "counted"
"""The id under which an ad-hoc condition is answered."""
EXPLAINED = "explained"
HISTORY = "history"


Explanation = tuple[str, list[tuple[str, tuple[str, ...]]]]
"""a query, and for each leaf of its condition the column of the answer and what the figures are called"""
_compiled_queries: QueryCache[str] = QueryCache(str)
_explanations: QueryCache[Explanation] = QueryCache(Explanation)
_histories: QueryCache[list[str]] = QueryCache(list[str])


class Evaluator:
    """Compiles standing queries to SQL, once per (rules, what they read), and runs it."""

    def __init__(
        self,
        warehouse: Warehouse,
        compiled: QueryCache[str] = _compiled_queries,
        explained: QueryCache[Explanation] = _explanations,
        histories: QueryCache[list[str]] = _histories,
    ) -> None:
        self.warehouse = warehouse
        self._compiled = compiled
        self._explained = explained
        self._histories = histories
        self._folder = warehouse.path.parent if warehouse.path else None

    def sql(self, queries: tuple[StandingQuery, ...], schema: Schema, vocabulary: Vocabulary, mode: Mode) -> str:
        """The query for some standing queries: profile_id, now, v<number>, x<number>."""
        key = (
            tuple((q.number, msgspec.json.encode(rule(q.definition), enc_hook=str)) for q in queries),
            _relevant(queries, schema, vocabulary),
            mode,
        )

        def compiled() -> str:
            return _sql_of(compile_queries(queries, schema, vocabulary, mode).expression)

        return self._compiled.get(key, compiled, self._folder)

    def as_of(self, queries: ActiveQueries, ids: list[str], now: datetime) -> duckdb.DuckDBPyConnection:
        """Answers definitions (and all they read) for everybody as of a moment, over what was known by then.

        Leaves the answers in the temporary table `asof_states` (query_id, profile_id, value, since) of this thread's
        cursor, which is returned. `since` is when the subject came into that value, where that was recorded.
        """
        cursor = self.prepare_as_of(now)
        schema = self.warehouse.schema(now)
        for layer in queries.upstream(ids):
            for alike in by_mode(layer):
                mode = Mode(as_of=True, subject=alike[0].subject, trusted_only=alike[0].trusted_only)
                self._add_as_of_states(cursor, alike, self.sql(alike, schema, queries.vocabulary, mode), now)
        return cursor

    def count(self, queries: ActiveQueries, condition: ast.Condition, now: datetime, of: str = "person") -> int:
        """How many subjects a condition holds for, as of a moment."""
        counted = Segment(COUNTED, condition, of="account" if of == "account" else "person")
        preview = with_segment(queries, counted)
        cursor = self.as_of(preview, [f"segment:{COUNTED}"], now)
        number = preview.by_id[f"segment:{COUNTED}"].number
        row = cursor.execute("SELECT count(*) FROM asof_states WHERE query_id = ? AND value = 1", [number]).fetchone()
        return int(row[0]) if row else 0

    def explain(
        self,
        queries: ActiveQueries,
        condition: ast.Condition,
        of: Any,
        profile_id: int,
        now: datetime,
        *,
        trusted_only: bool = False,
    ) -> tuple[bool, dict[ast.Condition, tuple[bool, dict[str, Any]]]]:
        """Whether a condition holds for one subject, and each leaf's answer with the figures it saw.

        Call after `as_of` for what the condition reads; reads the `asof_states` left there.
        """
        cursor = self.warehouse.cursor()
        cursor.execute("CREATE OR REPLACE TEMP TABLE scope (profile_id BIGINT, now TIMESTAMP)")
        cursor.execute("INSERT INTO scope VALUES (?, ?)", [profile_id, now])
        cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        schema = self.warehouse.schema(now)
        mode = Mode(scoped=True, as_of=True, subject=of, trusted_only=trusted_only)
        sql, named = self._explanation(condition, schema, queries.vocabulary, mode)
        found = cursor.execute(sql)
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

    def history_sql(
        self, score: Score, settings: Any, derived: dict[str, DerivedEvent], schema: Schema, mode: Mode
    ) -> list[str]:
        """The queries whose rows a score's figures are fitted from; none when nothing of the kind ever arrived."""
        reads = StandingQuery(0, HISTORY, Segment(HISTORY, ast.Did(score.event(settings))))
        vocabulary = Vocabulary(derived=derived)
        key = (
            score.id,
            msgspec.json.encode(settings, enc_hook=str),
            _relevant((reads,), schema, vocabulary),
            mode,
        )

        def compiled() -> list[str]:
            return [_sql_of(query) for query in score.history(settings, schema, derived, mode) or ()]

        return self._histories.get(key, compiled, self._folder)

    def _explanation(
        self, condition: ast.Condition, schema: Schema, vocabulary: Vocabulary, mode: Mode
    ) -> tuple[str, dict[ast.Condition, tuple[str, tuple[str, ...]]]]:
        """The query that explains a condition, compiled once for all profiles."""
        explained = StandingQuery(0, EXPLAINED, Segment(EXPLAINED, condition, of=mode.subject))
        key = (condition, _relevant((explained,), schema, vocabulary), mode)

        def compiled() -> Explanation:
            expression, named = compile_condition(condition, schema, vocabulary, mode)
            return _sql_of(expression), named

        sql, named = self._explained.get(key, compiled, self._folder)
        return sql, dict(zip(ast.leaves(condition), named, strict=True))

    def prepare_as_of(self, now: datetime) -> duckdb.DuckDBPyConnection:
        """This thread's cursor with the moment set, merges as they were then, and no answers yet."""
        cursor = self.warehouse.cursor()
        cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        cursor.execute(
            """
            CREATE OR REPLACE TEMP TABLE asof_states (
                query_id INTEGER, profile_id BIGINT, value SMALLINT, since TIMESTAMP
            )
            """
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

    def _add_as_of_states(
        self, cursor: duckdb.DuckDBPyConnection, queries: tuple[StandingQuery, ...], sql: str, now: datetime
    ) -> None:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE asof_answers AS {sql}")
        for query in queries:
            cursor.execute(
                # A changed rule has new records, but a kept stage keeps its `since` (see waves.py).
                f"""
                INSERT INTO asof_states
                SELECT {query.number}, a.profile_id, a."v{query.number}", coalesce(s.since, h.since)
                FROM asof_answers a
                LEFT JOIN states s
                  ON s.query_id = {query.number} AND s.profile_id = a.profile_id AND s.value = a."v{query.number}"
                 AND s.since <= ?
                LEFT JOIN (
                    SELECT profile_id, max("at") AS since, arg_max(to_value, n) AS value
                    FROM changes
                    WHERE query_id = {query.number} AND "at" <= ?
                    GROUP BY profile_id
                ) h ON h.profile_id = a.profile_id AND h.value = a."v{query.number}"
                WHERE a."v{query.number}" > 0
                """,
                [now, now],
            )


def with_segment(queries: ActiveQueries, segment: Segment) -> ActiveQueries:
    """The active queries with one more segment; the others keep their numbers, so recorded history still fits."""
    old = queries.definitions
    definitions = Definitions(
        old.events, old.segments | {segment.id: segment}, old.lifecycles, old.scores, old.questions,
        old.currencies, old.trusted,
    )  # fmt: skip
    numbers = {name: query.number for name, query in queries.by_id.items()}
    fresh = [name for name in definitions.by_id() if name not in numbers]
    # The warehouse has no numbers below zero; the segment's rule may differ from the active one of that id.
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


def _places(found: TypedTable) -> tuple[Any, ...]:
    return found.table, sorted(found.overflow), found.has_more, sorted(found.named)


def _relevant(queries: tuple[StandingQuery, ...], schema: Schema, vocabulary: Vocabulary) -> bytes:
    """The part of schema and vocabulary that the SQL depends on: other changes recompile nothing."""
    events = {name: trait.event for name, trait in vocabulary.computed.items()}
    reads = graph.Reads()
    definitions: set[str] = set()
    rates = ""
    for query in queries:
        if vocabulary.currencies is not None and any(map(ast.uses_reporting, conditions_of(query.definition))):
            rates = vocabulary.currencies.signature
        reads |= graph.reads_of(query.definition, vocabulary.derived, events)
        definitions |= hidden_accounts(conditions_of(query.definition)).keys()
    definitions |= reads.definitions
    parts = [
        [
            (
                (t.event, t.columns, t.has_future, *_places(t)),
                [(path, child.columns, *_places(child)) for path, child in sorted(t.children.items())],
            )
            for t in map(schema.event, sorted(reads.events))
            if t is not None
        ],
        [vocabulary.derived[word] for word in sorted(reads.words)],
        [vocabulary.computed[name].signature for name in sorted(reads.traits & vocabulary.computed.keys())],
        sorted((name, vocabulary.query_ids[name]) for name in definitions & vocabulary.query_ids.keys()),
        sorted((name, vocabulary.stages[name]) for name in reads.lifecycles & vocabulary.stages.keys()),
        [name for name in sorted(reads.traits) if schema.has_trait(name)],
        schema.has_merges,
        rates,
    ]
    return msgspec.json.encode(parts, enc_hook=str)
