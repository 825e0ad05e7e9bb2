"""Evaluation over a long history: everybody at once, and the few that a live tick brings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import duckdb

from benchmarks import handwritten, history
from benchmarks.definitions import playbook
from benchmarks.figures import Figure, Plan, median, timed
from keepers.evaluation import query_numbers
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluate import evaluate
from keepers.evaluation.evaluator import Evaluator
from keepers.store.events.log import LogRow as _Row
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load

_CHANGED = 500
_MEMORY = "8GB"


def measure(plan: Plan, *, full: bool, live: bool) -> list[Figure]:
    """Builds the history once for both."""
    plan.say(f"history of {24 * plan.scale:g}M events of {plan.scale:g}M people: making")
    warehouse = Warehouse.open(plan.folder / "history.duckdb", memory=_MEMORY)
    try:
        events = history.make(warehouse, plan.scale)
        warehouse.cursor().execute("CHECKPOINT")
        found = _full(plan, warehouse, events, rounds=3 if full and not plan.quick else 1)
        return (found if full else []) + (_live(plan, warehouse) if live else [])
    finally:
        warehouse.close()


def _full(plan: Plan, warehouse: Warehouse, events: int, rounds: int) -> list[Figure]:
    evaluator = Evaluator(warehouse)
    ours: list[float] = []
    theirs: list[float] = []
    members: list[float] = []
    for n in range(rounds):
        plan.say(f"full evaluation: round {n + 1} of {rounds}")
        _forget(warehouse)
        queries, unanswered = query_numbers.sync(warehouse, playbook(), history.NOW)
        theirs.append(timed(_store_by_hand, warehouse.cursor(), queries)[0])
        bare = handwritten.sql(queries, history.NOW, with_changes=False)
        make = f"CREATE OR REPLACE TEMP TABLE hand_bare AS {bare}"
        members.append(timed(_run, warehouse.cursor(), make)[0])
        warehouse.cursor().execute("DROP TABLE hand_bare")
        ours.append(timed(evaluate, evaluator, queries, unanswered, history.NOW)[0])
        _assert_same(warehouse.cursor())
        warehouse.cursor().execute("DROP TABLE hand_states")
    took, hand, bare_took = median(ours), median(theirs), median(members)
    size = f"50 definitions × {plan.scale:g}M people × {events / 1e6:.3g}M events"
    return [
        Figure("full evaluation", took, "s", hand, took / hand, "ratio ≤ 1.5", took / hand <= 1.5, size),
        Figure(
            "full evaluation against memberships alone",
            took,
            "s",
            bare_took,
            took / bare_took,
            remark="SQL by hand that gives neither changes_at nor stores rows per definition",
        ),
    ]


def _forget(warehouse: Warehouse) -> None:
    cursor = warehouse.cursor()
    for table in ("states", "changes", "standing_queries", "standing_query_values"):
        cursor.execute(f"TRUNCATE {table}")
    cursor.execute("DELETE FROM meta WHERE name = 'last_tick'")
    cursor.execute("CHECKPOINT")


def _run(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    cursor.execute(query).fetchall()


def _store_by_hand(cursor: duckdb.DuckDBPyConnection, queries: ActiveQueries) -> None:
    """The same answers by hand: one query, then a row per person and definition, as whoever asks needs them."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE hand AS {handwritten.sql(queries, history.NOW)}")
    long = "\nUNION ALL ".join(
        f"SELECT {n} AS query_id, profile_id, v{n} AS value, x{n} AS changes_at FROM hand"
        for n in sorted(queries.numbers)
    )
    cursor.execute(
        f"""
        CREATE OR REPLACE TABLE hand_states AS
        SELECT query_id, profile_id, value, TIMESTAMP '{history.NOW}' AS since, changes_at
        FROM ({long}) WHERE value > 0 OR changes_at IS NOT NULL
        """
    )
    cursor.execute("DROP TABLE hand")


def _assert_same(cursor: duckdb.DuckDBPyConnection) -> None:
    rows = cursor.execute(
        """
        SELECT count(*) FROM states s
        FULL JOIN hand_states h ON h.query_id = s.query_id AND h.profile_id = s.profile_id
        WHERE s.value IS DISTINCT FROM h.value OR s.changes_at IS DISTINCT FROM h.changes_at
        """
    ).fetchall()
    if rows[0][0]:
        raise RuntimeError(f"{rows[0][0]} answers differ from those of the SQL by hand")


def _live(plan: Plan, warehouse: Warehouse) -> list[Figure]:
    """Ticks two seconds apart; in each so many log rows of different people are loaded and evaluated."""
    queries, _ = query_numbers.sync(warehouse, playbook(), history.NOW)
    evaluator = Evaluator(warehouse)
    cursor = warehouse.cursor()
    chance = random.Random(7)
    people = round(history.PEOPLE * plan.scale)
    seq = int(cursor.execute("SELECT max(seq) FROM trait_values").fetchall()[0][0])
    ours: list[float] = []
    loads: list[float] = []
    theirs: list[float] = []
    ticks = 5 if plan.quick else 20
    for n in range(ticks + 1):
        plan.say(f"live tick {n} of {ticks}" if n else "live tick: the first, which compiles")
        now = history.NOW + timedelta(seconds=2 * (n + 1))
        rows = [_row(seq + i + 1, who, now, chance) for i, who in enumerate(chance.sample(range(1, people), _CHANGED))]
        seq = rows[-1].seq
        load_s, _ = timed(load, warehouse, rows)
        tick_s, done = timed(evaluate, evaluator, queries, frozenset(), now)
        if done.subjects < _CHANGED:
            raise RuntimeError(f"only {done.subjects} of {_CHANGED} people were looked at")
        cursor.execute("CREATE OR REPLACE TEMP TABLE hand_scope (profile_id BIGINT)")
        cursor.execute("INSERT INTO hand_scope SELECT unnest(?)", [[row.profile_id for row in rows]])
        by_hand = f"CREATE OR REPLACE TEMP TABLE hand AS {handwritten.sql(queries, now, scoped=True)}"
        hand_s, _ = timed(_run, cursor, by_hand)
        if n:
            loads.append(load_s)
            ours.append(load_s + tick_s)
            theirs.append(hand_s)
    took, hand = median(ours) * 1000, median(theirs) * 1000
    met = took <= 300 if plan.scale >= 1 else None
    remark = f"p50 of {ticks} ticks, {_CHANGED} people each; loading is {median(loads) * 1000:.0f} ms of it"
    return [Figure("live tick", took, "ms", hand, took / hand, "p50 ≤ 300 ms", met, remark)]


_MADE: dict[str, Callable[[int, random.Random], dict[str, Any]]] = {
    "Order Completed": lambda n, chance: {
        "total": chance.randint(100, 20_000) / 100,
        "order_id": f"n{n}",
        "category": "shoes",
    },
    "Product Viewed": lambda n, chance: {"price": chance.randint(100, 25_000) / 100, "category": "hats"},
    "Session Started": lambda n, chance: {"device": "app"},
    "Email Opened": lambda n, chance: {"campaign": f"m{n % 200}"},
    "Cart Updated": lambda n, chance: {"amount": chance.randint(100, 20_000) / 100},
}


def _row(seq: int, who: int, now: datetime, chance: random.Random) -> _Row:
    event = chance.choice(list(_MADE))
    time = now - timedelta(seconds=1)
    message = {"type": "track", "event": event, "userId": f"u{who}", "properties": _MADE[event](seq, chance)}
    return _Row(seq, "track", who, None, event, time, time, time, "bench", json.dumps(message).encode(), 0, "server")
