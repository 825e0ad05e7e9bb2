"""A shop's two years made inside DuckDB, in the layout of Keepers' tables: events, traits, subjects, registry rows."""

from __future__ import annotations

from datetime import datetime

import duckdb
from msgspec import Struct

from keepers.warehouse.columns.layouts import Layout
from keepers.warehouse.database import Warehouse
from keepers.warehouse.typed_tables import write_latest

NOW = datetime(2026, 3, 1)
_START = datetime(2024, 3, 1)
_SECONDS = int((NOW - _START).total_seconds())
PEOPLE = 1_000_000


class Made(Struct, frozen=True):
    """An event's rows: how many per person on average, and the SQL of each property from the row's number `i`."""

    event: str
    rows: int
    bend: float
    numbers: dict[str, str] = {}
    texts: dict[str, str] = {}


def _pick(salt: int, *texts: str) -> str:
    listed = ", ".join(f"'{text}'" for text in texts)
    return f"([{listed}])[1 + (hash(i, {salt}) % {len(texts)})::INTEGER]"


def _amount(salt: int, most: int) -> str:
    return f"(1 + hash(i, {salt}) % {most * 100})::DOUBLE / 100"


_CATEGORIES = ("shoes", "boots", "shirts", "hats", "bags", "toys")
EVENTS = (
    Made(
        "Order Completed",
        6_000_000,
        0.7,
        {"total": _amount(1, 200)},
        {
            "order_id": "'o' || i",
            "category": _pick(2, *_CATEGORIES),
            "coupon": "CASE WHEN hash(i, 3) % 5 = 0 THEN 'c' || hash(i, 4) % 50 END",
        },
    ),
    Made("Product Viewed", 10_000_000, 1.3, {"price": _amount(5, 250)}, {"category": _pick(6, *_CATEGORIES)}),
    Made("Session Started", 5_000_000, 0.8, {}, {"device": _pick(7, "app", "desktop", "phone")}),
    Made("Email Opened", 2_000_000, 1.2, {}, {"campaign": "'m' || hash(i, 8) % 200"}),
    Made("Cart Updated", 900_000, 0.9, {"amount": _amount(9, 200)}, {}),
    # Refunds are made of orders, below.
    Made("Order Refunded", 100_000, 0.7, {}, {"order_id": "'o' || i"}),
)
_TRAITS = {
    "country": ("text", "(['PL', 'DE', 'IT', 'FR', 'ES', 'US', 'GB', 'CN'])[1 + (hash(p, 1) % 8)::INTEGER]"),
    "plan": ("text", "(['free', 'silver', 'gold'])[1 + (hash(p, 2) % 3)::INTEGER]"),
    "points": ("number", "(hash(p, 3) % 1000)::DOUBLE"),
    "consent": ("boolean", "hash(p, 4) % 3 > 0"),
    "signed_up": ("instant", f"TIMESTAMP '{_START}' + to_seconds((hash(p, 5) % {_SECONDS})::BIGINT)"),
}


def make(warehouse: Warehouse, scale: float) -> int:
    """Fills an empty warehouse with `scale` × (1M people, 24M events); returns the number of events.

    Rows lie by profile and time, as `rebuild.cluster` leaves them. `tracks` stays empty: no condition here reads it.
    """
    registry = warehouse.registry
    people = round(PEOPLE * scale)
    total = 0
    with warehouse.transaction() as cursor:
        layouts = [_register(warehouse, made) for made in EVENTS]
        for trait in _TRAITS:
            registry.trait(trait)
        registry.save(cursor)
        first = 1
        for made, layout in zip(EVENTS, layouts, strict=True):
            if made.event == "Order Refunded":
                _refund(cursor, layout, layouts[0], first, made.rows * people // PEOPLE)
            else:
                _fill(cursor, made, layout, first, people, round(made.rows * scale))
            first += round(made.rows * scale)
            total += round(made.rows * scale)
            latest = {made.event: cursor.execute(f"SELECT max(time) FROM {layout.table}").fetchall()[0][0]}
            write_latest(cursor, latest)
            warehouse.latest.update(latest)
        _subjects(cursor, people)
        _traits(cursor, people, first)
    return total


def _register(warehouse: Warehouse, made: Made) -> Layout:
    layout = warehouse.registry.layout(made.event)
    for name in made.numbers:
        warehouse.registry.column(layout, name, "number")
    for name in made.texts:
        warehouse.registry.column(layout, name, "text")
    return layout


def _fill(cursor: duckdb.DuckDBPyConnection, made: Made, layout: Layout, first: int, people: int, rows: int) -> None:
    columns = {layout.number[k]: sql for k, sql in made.numbers.items()}
    columns |= {layout.text[k]: sql for k, sql in made.texts.items()}
    names = ", ".join(("seq", "profile_id", "time", "known_at", "day", *columns))
    # A power of the row's share gives the rows in the order of people, more to some than to others.
    values = ", ".join(("seq", "profile_id", "time", "time", "time::DATE", *columns.values()))
    cursor.execute(
        f"""
        INSERT INTO {layout.table} ({names})
        WITH numbered AS (
            SELECT i, i + {first} AS seq,
                   1 + least(floor({people} * pow(i / {rows}, {made.bend})), {people} - 1)::BIGINT AS profile_id,
                   TIMESTAMP '{_START}' + to_seconds((hash(i, {first}) % {_SECONDS})::BIGINT) AS time
            FROM range({rows}) AS r(i)
        )
        SELECT {values} FROM numbered
        """
    )


def _refund(cursor: duckdb.DuckDBPyConnection, layout: Layout, orders: Layout, first: int, rows: int) -> None:
    cursor.execute(
        f"""
        INSERT INTO {layout.table} (seq, profile_id, time, known_at, day, order_id)
        SELECT {first} + row_number() OVER (ORDER BY seq), profile_id, refunded, refunded, refunded::DATE, order_id
        FROM (
            SELECT *, least(time + INTERVAL 5 DAY, TIMESTAMP '{NOW}' - INTERVAL 1 HOUR) AS refunded
            FROM {orders.table} WHERE seq % 59 = 0 LIMIT {rows}
        )
        ORDER BY profile_id
        """
    )


def _subjects(cursor: duckdb.DuckDBPyConnection, people: int) -> None:
    cursor.execute(
        f"""
        INSERT INTO profiles
        SELECT p, 'person', md5('user_id:u' || p), TIMESTAMP '{_START}', 'UTC' FROM range(1, {people} + 1) AS r(p)
        """
    )


def _traits(cursor: duckdb.DuckDBPyConnection, people: int, first: int) -> None:
    """Two values of each trait in a tenth of the people, as when they change; the later one counts."""
    parts = []
    for offset, (trait, (kind, sql)) in enumerate(_TRAITS.items()):
        columns = {"number": "NULL::DOUBLE", "text": "NULL::VARCHAR", "boolean": "NULL::BOOLEAN"}
        columns |= {"instant": "NULL::TIMESTAMP", "date": "NULL::DATE"}
        columns[kind] = sql
        if kind == "instant":
            columns |= {"text": f"({sql})::VARCHAR", "date": f"({sql})::DATE"}
        parts.append(
            f"""
            SELECT p, '{trait}' AS trait, TIMESTAMP '{_START}' + to_days(v::INTEGER) AS time,
                   {first} + p * 20 + {offset} * 2 + v AS seq, {", ".join(columns.values())},
                   to_json({sql})::VARCHAR AS raw
            FROM range(1, {people} + 1) AS r(p), range(2) AS versions(v)
            WHERE v = 0 OR p % 10 = 0
            """
        )
    cursor.execute(
        f"""
        INSERT INTO trait_values
            (profile_id, trait, time, seq, known_at, number, text, boolean, instant, date, raw)
        SELECT p, trait, time, seq, time, number, text, boolean, instant, date, raw
        FROM ({" UNION ALL ".join(parts)}) AS t(p, trait, time, seq, number, text, boolean, instant, date, raw)
        ORDER BY p, trait, time
        """
    )
