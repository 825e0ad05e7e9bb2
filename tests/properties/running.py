"""Runs a world through the real warehouse, and says what differs from the oracle."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from random import Random
from typing import Any

import ibis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from keepers.audience.compile import compile_asks
from keepers.audience.definitions import Lifecycle, Segment
from keepers.audience.reading import parse_lifecycle, parse_segment
from keepers.audience.tables import Mode
from keepers.pipeline.evaluate import evaluate
from keepers.warehouse import asks
from keepers.warehouse.answers import Answerer
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.standing import Definitions, Standing, build
from properties.oracle import Oracle
from properties.world import LogRow, World

SEEDS = st.integers(0, 10**6)
Answers = dict[tuple[str, int], int]
"""(definition, subject) → value, of those that are not 0"""


def few(examples: int) -> Any:
    """The same examples in every run, few of them: each holds many subjects and conditions."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=quiet,
        report_multiple_bugs=False,
        # A seed cannot be made simpler; the message names the one subject and rule that differ.
        phases=(Phase.generate,),
    )


def segments(conditions: Iterable[Any], of: str = "person") -> dict[str, Segment]:
    """A segment per condition: s0, s1 …"""
    return {f"s{n}": parse_segment({"id": f"s{n}", "who": c, "of": of}) for n, c in enumerate(conditions)}


def lifecycle(name: str, whens: Iterable[Any]) -> Lifecycle:
    return parse_lifecycle({"id": name, "stages": [{"id": f"g{n}", "when": w} for n, w in enumerate(whens, 1)]})


def loaded(world: World) -> Warehouse:
    warehouse = Warehouse.open(None, zone=world.zone, threads=1)
    load(warehouse, world.rows())
    return warehouse


def answers_at(
    warehouse: Warehouse, standing: Standing, now: datetime, scope: dict[int, datetime] | None = None
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
        mine = tuple(a for layer in standing.layers for a in layer if a.subject == kind)
        if not mine:
            continue
        mode = Mode(scoped=scope is not None, subject=mine[0].subject)
        compiled = compile_asks(mine, schema, standing.vocabulary, mode)
        result = cursor.execute(str(ibis.to_sql(compiled.expression, dialect="duckdb")))
        names = [c[0] for c in result.description or []]
        for values in result.fetchall():
            row = dict(zip(names, values, strict=True))
            for ask in mine:
                found[ask.id, row["profile_id"]] = row[f"v{ask.number}"], row[f"x{ask.number}"]
    return found


class Live:
    """A warehouse that is ticked: rows come in batches, and answers are kept up.

    `like`: another one of the same definitions, whose compiled queries are shared to save the time.
    """

    def __init__(self, definitions: Definitions, start: datetime, like: Live | None = None) -> None:
        self.warehouse = Warehouse.open(None, threads=1)
        self.answerer = Answerer(self.warehouse)
        if like is not None:
            self.answerer._compiled = like.answerer._compiled
        self.standing, self._unanswered = asks.sync(self.warehouse, definitions, start)
        self.names = {ask.number: name for name, ask in self.standing.asks.items()}

    def load(self, rows: list[LogRow], batches: Random | None = None) -> None:
        while rows:
            size = batches.randrange(1, 12) if batches else len(rows)
            load(self.warehouse, rows[:size])
            rows = rows[size:]

    def tick(self, now: datetime) -> None:
        evaluate(self.answerer, self.standing, self._unanswered, now)
        self._unanswered = frozenset()

    def states(self) -> Answers:
        rows = self.warehouse.cursor().execute("SELECT ask, profile_id, value FROM states WHERE value > 0").fetchall()
        return {(self.names[ask], who): value for ask, who, value in rows}

    def since(self) -> dict[tuple[str, int], datetime]:
        rows = self.warehouse.cursor().execute("SELECT ask, profile_id, since FROM states WHERE value > 0").fetchall()
        return {(self.names[ask], who): since for ask, who, since in rows}

    def as_of(self, now: datetime) -> Answers:
        cursor = self.answerer.as_of(self.standing, list(self.standing.asks), now)
        rows = cursor.execute("SELECT ask, profile_id, value FROM asof_states WHERE value > 0").fetchall()
        return {(self.names[ask], who): value for ask, who, value in rows}

    def changes(self) -> list[tuple[str, int, int, int, datetime]]:
        """(definition, subject, from, to, at) in the order in which they were recorded."""
        rows = self.warehouse.cursor().execute(
            'SELECT ask, profile_id, from_value, to_value, "at" FROM changes ORDER BY n'
        )
        return [(self.names[a], who, before, after, moment) for a, who, before, after, moment in rows.fetchall()]

    def fold(self) -> Answers:
        """The changes applied one after another; each must start from where the last one ended."""
        found: Answers = {}
        for name, who, before, after, _ in self.changes():
            assert found.get((name, who), 0) == before, f"a gap in the changes of {name}, {who}"
            found[name, who] = after
        return {key: value for key, value in found.items() if value}


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


def standing_of(definitions: Definitions) -> Standing:
    return build(definitions)


def difference(got: Answers, wanted: Answers, world: World, definitions: Definitions) -> str:
    """The first key that differs, with its rule and everything known of its subject; empty when nothing does."""
    for key in sorted(got.keys() | wanted.keys()):
        if got.get(key, 0) != wanted.get(key, 0):
            return f"{key}: Keepers {got.get(key, 0)}, oracle {wanted.get(key, 0)}\n{describe(key, world, definitions)}"
    return ""


def describe(key: tuple[str, int], world: World, definitions: Definitions) -> str:
    name, who = key
    return "\n".join([str(definitions.by_id().get(name)), *(str(f) for f in world.facts if who in (f.who, f.other))])
