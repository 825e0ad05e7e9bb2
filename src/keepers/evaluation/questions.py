"""Answers the questions of journey runs: any condition, each at its own moment with its own run's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from keepers.conditions import ast, graph
from keepers.conditions.comparisons import REF_KINDS
from keepers.conditions.compile.accounts import account_definition
from keepers.conditions.compile.compile import StandingQuery
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import Segment
from keepers.journeys.requests import Reply
from keepers.warehouse.profile_lookup import survivors
from keepers.warehouse.typed_tables import STAMP, arrow
from keepers.warehouse.values import read_date, scalar

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator
    from keepers.warehouse.database import Warehouse

_SCOPE = {"profile_id": pa.int64(), "now": STAMP, "position": pa.int64()}
_KINDS = {"number": pa.float64(), "text": pa.string(), "boolean": pa.bool_(), "instant": STAMP}
_NOBODY = Reply(False)
Values = tuple[float | None, str | None, bool | None, datetime | None]
"""What a ref stands for, as REF_KINDS"""


class Question(NamedTuple):
    """The question of one run. `keys`: ref path → scalar or datetime (naive UTC); what is missing has no value."""

    run_id: int
    profile_id: int
    now: datetime
    keys: Mapping[str, Any] = {}


def answer(
    evaluator: Evaluator,
    queries: ActiveQueries,
    conditions: Mapping[str, ast.Condition],
    questions: Sequence[Question],
    *,
    trusted_only: bool = False,
) -> dict[tuple[str, int], Reply]:
    """The answer of every condition for every question: (condition, run_id) → Reply.

    `queries` are the definitions that the conditions may name. Each question is answered at its own moment over all
    that has been loaded, with memberships and stages as they were then. The same set of conditions is compiled once:
    pass those of one journey together, always the same ones. With `trusted_only` only trusted rows are read.

    Uses the calling thread's cursor and temporary tables alone: also inside `warehouse.transaction()`.
    """
    if not conditions or not questions:
        return {}
    query = _Query(evaluator, queries, conditions, trusted_only)
    found: dict[tuple[str, int], Reply] = {}
    for batch in _batches(evaluator.warehouse, questions):
        replies = query.run(batch)
        for question, of_run in zip(batch, replies, strict=True):
            for name, reply in zip(conditions, of_run, strict=True):
                found[name, question.run_id] = reply
    return found


class _Query:
    """The compiled conditions, run for one batch at a time."""

    def __init__(
        self,
        evaluator: Evaluator,
        queries: ActiveQueries,
        conditions: Mapping[str, ast.Condition],
        trusted_only: bool,
    ) -> None:
        self._warehouse = evaluator.warehouse
        self._cursor = evaluator.warehouse.cursor()
        self._paths = tuple(sorted(frozenset[str]().union(*(ast.refs(c) for c in conditions.values()))))
        self._mode = Mode(scoped=True, refs=self._paths, trusted_only=trusted_only)
        compiled = tuple(StandingQuery(n, name, Segment(name, who)) for n, (name, who) in enumerate(conditions.items()))
        self._compiled = compiled
        # As of the earliest moment: one text of the query, whether or not an event lies after a question.
        schema = evaluator.warehouse.schema(datetime.min)
        self._has_merges = schema.has_merges
        self._sql = evaluator.sql(compiled, schema, queries.vocabulary, self._mode)
        self._named = _definitions(conditions.values(), queries)
        self._accounts = _accounts(conditions.values(), queries)

    def run(self, batch: Sequence[Question]) -> list[list[Reply]]:
        """The replies to the questions in order, per question. No profile is twice in a batch."""
        self._write_scope(batch)
        self._bring_states(batch)
        replies = [[_NOBODY] * len(self._compiled)] * len(batch)
        rows = self._cursor.execute(f"SELECT s.position, q.* FROM ({self._sql}) q JOIN scope s USING (profile_id)")
        names = [column[0] for column in rows.description or []]
        holds = [names.index(f"v{query.number}") for query in self._compiled]
        changes = [names.index(f"x{query.number}") for query in self._compiled]
        for row in rows.fetchall():
            replies[row[0]] = [Reply(row[v] == 1, row[x]) for v, x in zip(holds, changes, strict=True)]
        return replies

    def _write_scope(self, batch: Sequence[Question]) -> None:
        """Table `scope`: whom, when, and for every ref a column per kind of value."""
        zone = self._warehouse.zone
        kinds = dict(_SCOPE)
        columns: list[list[Any]] = [[a.profile_id for a in batch], [a.now for a in batch], list(range(len(batch)))]
        names = iter(self._mode.ref_columns)
        for path in self._paths:
            values = [value_of(a.keys.get(path), zone) for a in batch]
            for n, kind in enumerate(REF_KINDS):
                kinds[next(names)] = _KINDS[kind]
                columns.append([value[n] for value in values])
        self._cursor.register("arriving_scope", arrow(kinds, list(zip(*columns, strict=True))))
        carried = "".join(f', a."{name}"' for name in self._mode.ref_columns)
        # An event's time may be earlier than the moment at which it made its customer known.
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE scope AS
            SELECT a.profile_id, greatest(a.now, p.created_at) AS now, a.position{carried}
            FROM arriving_scope a
            JOIN profiles p ON p.profile_id = a.profile_id
            """
        )
        self._cursor.unregister("arriving_scope")

    def _bring_states(self, batch: Sequence[Question]) -> None:
        """Table `near_states`: what each customer was in at the moment of the question, for the definitions read."""
        if not self._named and not self._accounts:
            return
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE near_states AS
            SELECT query_id, profile_id, value, since
            FROM states
            WHERE query_id IN ({_listed(self._named)}) AND profile_id IN (SELECT profile_id FROM scope)
            """
        )
        self._undo_changes(min(question.now for question in batch))
        if self._accounts:
            # The present answer of accounts: the questions of their members may have different moments.
            self._cursor.execute(
                f"""
                INSERT INTO near_states
                SELECT query_id, profile_id, value, since
                FROM states
                WHERE query_id IN ({_listed(self._accounts)})
                """
            )

    def _undo_changes(self, earliest: datetime) -> None:
        """Undoes the changes after the moments of the questions. First answers are no changes."""
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE undone AS
            SELECT c.query_id, c.profile_id, arg_min(c.from_value, c.n) AS value, any_value(s.now) AS now
            FROM changes c
            JOIN scope s ON s.profile_id = c.profile_id
            WHERE c."at" > ? AND c."at" > s.now AND c.query_id IN ({_listed(self._named)}) AND NOT c.initial
            GROUP BY c.query_id, c.profile_id
            """,
            [earliest],
        )
        if not self._cursor.execute("SELECT count(*) FROM undone").fetchall()[0][0]:
            return
        self._cursor.execute(
            """
            DELETE FROM near_states USING undone t
            WHERE near_states.query_id = t.query_id AND near_states.profile_id = t.profile_id
            """
        )
        self._cursor.execute(
            """
            INSERT INTO near_states
            SELECT t.query_id, t.profile_id, t.value, max(c."at")
            FROM undone t
            LEFT JOIN changes c ON c.query_id = t.query_id AND c.profile_id = t.profile_id AND c."at" <= t.now
            GROUP BY t.query_id, t.profile_id, t.value
            """
        )


def value_of(value: Any, zone: str) -> Values:
    """A key as its kinds: number, text, boolean, instant. A text that is a date is an instant too."""
    if value is None:
        return None, None, None, None
    if isinstance(value, datetime):
        return None, None, None, value
    if isinstance(value, list | dict | tuple):
        return None, None, None, None
    kind, held = scalar(value.isoformat() if isinstance(value, date) else value)
    if kind == "text":
        dated = read_date(held, zone)
        return None, held, None, dated[0] if dated else None
    return (held, None, None, None) if kind == "number" else (None, None, held, None)


def _batches(warehouse: Warehouse, questions: Sequence[Question]) -> list[list[Question]]:
    """The questions in batches in which no profile is twice; a merged profile counts as the one it was merged into."""
    final = survivors(warehouse, {question.profile_id for question in questions})
    batches: list[list[Question]] = []
    batch_of: dict[int, int] = {}
    for question in questions:
        profile_id = final.get(question.profile_id, question.profile_id)
        batch = batch_of[profile_id] = batch_of.get(profile_id, -1) + 1
        if batch == len(batches):
            batches.append([])
        batches[batch].append(
            question if profile_id == question.profile_id else question._replace(profile_id=profile_id)
        )
    return batches


def _definitions(conditions: Iterable[ast.Condition], queries: ActiveQueries) -> frozenset[int]:
    """The numbers of the segments and lifecycles that conditions name."""
    found = frozenset[str]()
    for condition in conditions:
        found |= graph.reads(condition, {}).definitions
    return frozenset(queries.by_id[name].number for name in found)


def _accounts(conditions: Iterable[ast.Condition], queries: ActiveQueries) -> frozenset[int]:
    """The numbers of the hidden definitions behind `account:`."""
    parts = [part for condition in conditions for part in ast.walk(condition)]
    return frozenset(queries.by_id[account_definition(p)].number for p in parts if isinstance(p, ast.Account))


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "NULL"
