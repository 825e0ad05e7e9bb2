"""Answers the questions of journey runs: any condition, each asking at its own moment with its own run's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from keepers.conditions import ast, graph
from keepers.conditions.comparisons import REF_KINDS
from keepers.conditions.compile.accounts import account_definition
from keepers.conditions.compile.compile import StandingQuery
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import Segment
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.journeys.requests import Reply
from keepers.warehouse.database import Warehouse
from keepers.warehouse.profile_lookup import survivors
from keepers.warehouse.typed_tables import STAMP, arrow
from keepers.warehouse.values import read_date, scalar

_SCOPE = {"profile_id": pa.int64(), "now": STAMP, "position": pa.int64()}
_KINDS = {"number": pa.float64(), "text": pa.string(), "boolean": pa.bool_(), "instant": STAMP}
_NOBODY = Reply(False)
Values = tuple[float | None, str | None, bool | None, datetime | None]
"""What a ref stands for, as REF_KINDS"""


class Question(NamedTuple):
    """One run that asks. `keys`: ref path → scalar or datetime (naive UTC); what is missing has no value."""

    run_id: int
    profile_id: int
    now: datetime
    keys: Mapping[str, Any] = {}


def answer(
    answerer: Evaluator, standing: ActiveQueries, questions: Mapping[str, ast.Condition], askings: Sequence[Question]
) -> dict[tuple[str, int], Reply]:
    """Every question's answer for every asking: (question, run_id) → Reply.

    `standing` are the definitions that the conditions may name. Each asking is answered at its own moment over all
    that has been loaded; memberships and stages are taken as they were then. The same set of questions is compiled
    once, whatever the askings: ask those of one journey together, always the same ones.

    Uses the calling thread's cursor and temporary tables alone: also inside `warehouse.transaction()`.
    """
    if not questions or not askings:
        return {}
    query = _Query(answerer, standing, questions)
    found: dict[tuple[str, int], Reply] = {}
    for turn in _turns(answerer.warehouse, askings):
        replies = query.run(turn)
        for asking, of_run in zip(turn, replies, strict=True):
            for name, reply in zip(questions, of_run, strict=True):
                found[name, asking.run_id] = reply
    return found


class _Query:
    """The compiled questions, run for one turn of askings at a time."""

    def __init__(self, answerer: Evaluator, standing: ActiveQueries, questions: Mapping[str, ast.Condition]) -> None:
        self._warehouse = answerer.warehouse
        self._cursor = answerer.warehouse.cursor()
        self._paths = tuple(sorted(frozenset[str]().union(*(ast.refs(c) for c in questions.values()))))
        self._mode = Mode(scoped=True, refs=self._paths)
        asks = tuple(StandingQuery(n, name, Segment(name, who)) for n, (name, who) in enumerate(questions.items()))
        self._asks = asks
        # With all of time ahead: one text of the query, whether or not some event lies after some asking.
        schema = answerer.warehouse.schema(datetime.min)
        self._has_merges = schema.has_merges
        self._sql = answerer.sql(asks, schema, standing.vocabulary, self._mode)
        self._named = _definitions(questions.values(), standing)
        self._accounts = _accounts(questions.values(), standing)

    def run(self, turn: Sequence[Question]) -> list[list[Reply]]:
        """The replies to the questions in order, per asking. No profile asks twice in a turn."""
        self._write_scope(turn)
        self._bring_states(turn)
        replies = [[_NOBODY] * len(self._asks)] * len(turn)
        rows = self._cursor.execute(f"SELECT s.position, q.* FROM ({self._sql}) q JOIN scope s USING (profile_id)")
        names = [column[0] for column in rows.description or []]
        holds = [names.index(f"v{ask.number}") for ask in self._asks]
        changes = [names.index(f"x{ask.number}") for ask in self._asks]
        for row in rows.fetchall():
            replies[row[0]] = [Reply(row[v] == 1, row[x]) for v, x in zip(holds, changes, strict=True)]
        return replies

    def _write_scope(self, turn: Sequence[Question]) -> None:
        """Table `scope`: whom, when, and for every ref a column per kind of value."""
        zone = self._warehouse.zone
        kinds = dict(_SCOPE)
        columns: list[list[Any]] = [[a.profile_id for a in turn], [a.now for a in turn], list(range(len(turn)))]
        names = iter(self._mode.ref_columns)
        for path in self._paths:
            values = [value_of(a.keys.get(path), zone) for a in turn]
            for n, kind in enumerate(REF_KINDS):
                kinds[next(names)] = _KINDS[kind]
                columns.append([value[n] for value in values])
        self._cursor.register("arriving_scope", arrow(kinds, list(zip(*columns, strict=True))))
        carried = "".join(f', a."{name}"' for name in self._mode.ref_columns)
        # An event is older, by its way here, than the moment at which it made its customer known.
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE scope AS
            SELECT a.profile_id, greatest(a.now, p.created_at) AS now, a.position{carried}
            FROM arriving_scope a
            JOIN profiles p ON p.profile_id = a.profile_id
            """
        )
        self._cursor.unregister("arriving_scope")

    def _bring_states(self, turn: Sequence[Question]) -> None:
        """Table `near_states`: of the definitions asked about, what each customer was in at the moment of asking."""
        if not self._named and not self._accounts:
            return
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE near_states AS
            SELECT ask, profile_id, value, since
            FROM states
            WHERE ask IN ({_listed(self._named)}) AND profile_id IN (SELECT profile_id FROM scope)
            """
        )
        self._take_back_changes(min(asking.now for asking in turn))
        if self._accounts:
            # Of accounts the present answer: their members may be asking at different moments.
            self._cursor.execute(
                f"""
                INSERT INTO near_states
                SELECT ask, profile_id, value, since
                FROM states
                WHERE ask IN ({_listed(self._accounts)})
                """
            )

    def _take_back_changes(self, earliest: datetime) -> None:
        """Puts back what the changes after a moment of asking took the place of. First answers changed nothing."""
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE taken_back AS
            SELECT c.ask, c.profile_id, arg_min(c.from_value, c.n) AS value, any_value(s.now) AS now
            FROM changes c
            JOIN scope s ON s.profile_id = c.profile_id
            WHERE c."at" > ? AND c."at" > s.now AND c.ask IN ({_listed(self._named)}) AND NOT c.initial
            GROUP BY c.ask, c.profile_id
            """,
            [earliest],
        )
        if not self._cursor.execute("SELECT count(*) FROM taken_back").fetchall()[0][0]:
            return
        self._cursor.execute(
            """
            DELETE FROM near_states USING taken_back t
            WHERE near_states.ask = t.ask AND near_states.profile_id = t.profile_id
            """
        )
        self._cursor.execute(
            """
            INSERT INTO near_states
            SELECT t.ask, t.profile_id, t.value, max(c."at")
            FROM taken_back t
            LEFT JOIN changes c ON c.ask = t.ask AND c.profile_id = t.profile_id AND c."at" <= t.now
            GROUP BY t.ask, t.profile_id, t.value
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


def _turns(warehouse: Warehouse, askings: Sequence[Question]) -> list[list[Question]]:
    """The askings in turns in which no profile asks twice; who was merged asks as whom they live on in."""
    final = survivors(warehouse, {asking.profile_id for asking in askings})
    turns: list[list[Question]] = []
    asked: dict[int, int] = {}
    for asking in askings:
        profile_id = final.get(asking.profile_id, asking.profile_id)
        turn = asked[profile_id] = asked.get(profile_id, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(asking if profile_id == asking.profile_id else asking._replace(profile_id=profile_id))
    return turns


def _definitions(conditions: Iterable[ast.Condition], standing: ActiveQueries) -> frozenset[int]:
    """The numbers of the segments and lifecycles that conditions name."""
    found = frozenset[str]()
    for condition in conditions:
        found |= graph.reads(condition, {}).definitions
    return frozenset(standing.asks[name].number for name in found)


def _accounts(conditions: Iterable[ast.Condition], standing: ActiveQueries) -> frozenset[int]:
    """The numbers of the hidden definitions behind `account:`."""
    parts = [part for condition in conditions for part in ast.walk(condition)]
    return frozenset(standing.asks[account_definition(p)].number for p in parts if isinstance(p, ast.Account))


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "NULL"
