"""Runs a world through the real warehouse, and says what differs from the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import cycle
from typing import Any

from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import Lifecycle, Segment
from keepers.conditions.parsing.definitions import parse_lifecycle, parse_segment
from keepers.evaluation import query_numbers
from keepers.evaluation.active_queries import ActiveQueries, Definitions, signatures
from keepers.evaluation.evaluate import evaluate
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.query_cache import QueryCache
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from properties.oracle import Oracle
from properties.scenario import LogRow, Scenario, at
from properties.warehouses import empty_warehouse

Answers = dict[tuple[str, int], int]
"""(definition, subject) → value, of those that are not 0"""
_compiled = QueryCache(str, 20_000)
"""room for every query of a long night: compiling them costs more than the rest of an example"""
_numbers: dict[tuple[str, str], int] = {}
"""definition and signature → its number in every warehouse: a query names them, and is compiled once then"""


def segments(conditions: Iterable[Any], of: str = "person") -> dict[str, Segment]:
    """A segment per condition: s0, s1 …"""
    return {f"s{n}": parse_segment({"id": f"s{n}", "who": c, "of": of}) for n, c in enumerate(conditions)}


def lifecycle(name: str, whens: Iterable[Any]) -> Lifecycle:
    return parse_lifecycle({"id": name, "stages": [{"id": f"g{n}", "when": w} for n, w in enumerate(whens, 1)]})


@contextmanager
def loaded(scenario: Scenario) -> Iterator[Warehouse]:
    with empty_warehouse() as warehouse:
        load(warehouse, scenario.rows())
        yield warehouse


def evaluator_of(warehouse: Warehouse) -> Evaluator:
    return Evaluator(warehouse, _compiled)


def answers_at(
    warehouse: Warehouse, queries: ActiveQueries, now: datetime, scope: dict[int, datetime] | None = None
) -> dict[tuple[str, int], tuple[int, datetime | None]]:
    """Answers without states: (definition, subject) → value and the instant at which it may change.

    With a `scope`, each subject at its own moment; otherwise everybody at `now`.
    """
    cursor = warehouse.cursor()
    found: dict[tuple[str, int], tuple[int, datetime | None]] = {}
    schema = warehouse.schema(now)
    if scope is None:
        cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now}'")
    else:
        cursor.execute("CREATE OR REPLACE TEMP TABLE scope (profile_id BIGINT, now TIMESTAMP)")
        cursor.executemany("INSERT INTO scope VALUES (?, ?)", [list(item) for item in scope.items()])
        schema = warehouse.schema(min(scope.values()))
    for kind in ("account", "person"):
        mine = tuple(a for layer in queries.layers for a in layer if a.subject == kind)
        if not mine:
            continue
        mode = Mode(scoped=scope is not None, subject=mine[0].subject)
        result = cursor.execute(evaluator_of(warehouse).sql(mine, schema, queries.vocabulary, mode))
        names = [c[0] for c in result.description or []]
        for values in result.fetchall():
            row = dict(zip(names, values, strict=True))
            for query in mine:
                found[query.id, row["profile_id"]] = row[f"v{query.number}"], row[f"x{query.number}"]
    return found


class Live:
    """A warehouse that is ticked: rows come in batches, and answers are kept up. Made by `live`."""

    def __init__(self, warehouse: Warehouse, definitions: Definitions, start: datetime) -> None:
        self.warehouse = warehouse
        self.evaluator = evaluator_of(self.warehouse)
        self._number(definitions, start)
        self.queries, self._unanswered = query_numbers.sync(self.warehouse, definitions, start)
        self.names = {query.number: name for name, query in self.queries.by_id.items()}

    def _number(self, definitions: Definitions, start: datetime) -> None:
        by_id = definitions.by_id()
        with self.warehouse.transaction() as cursor:
            for name, signature in signatures(definitions).items():
                number = _numbers.setdefault((name, signature), len(_numbers) + 1)
                query_numbers.insert(cursor, number, name, signature, by_id[name], start)

    def load(self, rows: list[LogRow], batches: Sequence[int] = ()) -> None:
        """Loads in batches of these sizes, over and over; in one where none is given."""
        sizes = cycle(batches or (len(rows),))
        while rows:
            size = next(sizes)
            load(self.warehouse, rows[:size])
            rows = rows[size:]

    def tick(self, now: datetime) -> None:
        evaluate(self.evaluator, self.queries, self._unanswered, now)
        self._unanswered = frozenset()

    def ticks(self, scenario: Scenario, moments: Sequence[datetime], batches: Sequence[int] = ()) -> Iterator[datetime]:
        """Ticks at each moment, over what has arrived by then; yields the moment after its tick."""
        done = 0
        for now in moments:
            arrived = [f.row() for f in scenario.facts if f.received <= now][done:]
            self.load(arrived, batches)
            self.tick(now)
            done += len(arrived)
            yield now

    def states(self) -> Answers:
        rows = (
            self.warehouse.cursor().execute("SELECT query_id, profile_id, value FROM states WHERE value > 0").fetchall()
        )
        return {(self.names[query_id], who): value for query_id, who, value in rows}

    def since(self) -> dict[tuple[str, int], datetime]:
        rows = (
            self.warehouse.cursor().execute("SELECT query_id, profile_id, since FROM states WHERE value > 0").fetchall()
        )
        return {(self.names[query_id], who): since for query_id, who, since in rows}

    def as_of(self, now: datetime) -> Answers:
        cursor = self.evaluator.as_of(self.queries, list(self.queries.by_id), now)
        rows = cursor.execute("SELECT query_id, profile_id, value FROM asof_states WHERE value > 0").fetchall()
        return {(self.names[query_id], who): value for query_id, who, value in rows}

    def changes(self) -> list[tuple[str, int, int, int, datetime]]:
        """(definition, subject, from, to, at) in the order in which they were recorded."""
        rows = self.warehouse.cursor().execute(
            'SELECT query_id, profile_id, from_value, to_value, "at" FROM changes ORDER BY n'
        )
        return [(self.names[a], who, before, after, moment) for a, who, before, after, moment in rows.fetchall()]

    def fold(self) -> Answers:
        """The changes applied one after another; each must start from where the last one ended."""
        found: Answers = {}
        for name, who, before, after, _ in self.changes():
            assert found.get((name, who), 0) == before, f"a gap in the changes of {name}, {who}"
            found[name, who] = after
        return {key: value for key, value in found.items() if value}


@contextmanager
def live(
    scenario: Scenario,
    definitions: Definitions,
    moments: Sequence[datetime],
    batches: Sequence[int] = (),
    *,
    is_named: bool = True,
) -> Iterator[Live]:
    """A warehouse that has been ticked through a world."""
    with empty_warehouse(is_named=is_named) as warehouse:
        running = Live(warehouse, definitions, at(0))
        for _ in running.ticks(scenario, moments, batches):
            pass
        yield running


def expected(oracle: Oracle, now: datetime) -> Answers:
    """What the oracle says of every visible definition and subject."""
    definitions = oracle.definitions
    found: Answers = {}
    for name, one in definitions.by_id().items():
        for who in oracle.subjects(one.of):
            answer = oracle.value(one, who, now)
            if answer:
                found[name, who] = answer
    return found


def difference(got: Answers, wanted: Answers, scenario: Scenario, definitions: Definitions) -> str:
    """The first key that differs, with its rule and everything known of its subject; empty when nothing does."""
    for key in sorted(got.keys() | wanted.keys()):
        if got.get(key, 0) != wanted.get(key, 0):
            return (
                f"{key}: Keepers {got.get(key, 0)}, oracle {wanted.get(key, 0)}\n{describe(key, scenario, definitions)}"
            )
    return ""


def describe(key: tuple[str, int], scenario: Scenario, definitions: Definitions) -> str:
    name, who = key
    return "\n".join([str(definitions.by_id().get(name)), *(str(f) for f in scenario.facts if who in (f.who, f.other))])
