"""Loading: names, kinds, children, traits, merges, members, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keepers.model.errors import UserError
from keepers.model.identity import Trust, bucket_key
from keepers.store.events.log import LogRow
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.rebuild import rebuild
from warehouse_rows import START, contents, row, track


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    opened = Warehouse.open(None, zone="Europe/Warsaw")
    yield opened
    opened.close()


def fetch(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    return warehouse.cursor().execute(query).fetchall()


def test_an_event_gets_its_table_columns_by_kind_and_child_tables(warehouse: Warehouse) -> None:
    load(warehouse, [
        track(1, 7, "Order Completed", 0, total=300.0, vip=True, note=None, address={"city": "Łódź"},
              products=[{"sku": "a", "price": 3}, "loose", {"sku": "b"}]),
        track(2, 7, "Order Completed", 1, total="three"),
    ])  # fmt: skip
    assert fetch(warehouse, "SELECT total, total__text, vip, address_city FROM order_completed ORDER BY seq") == [
        (300.0, None, True, "Łódź"),
        (None, "three", None, None),
    ]
    assert fetch(warehouse, "SELECT position, sku, price, value FROM order_completed__products ORDER BY 1") == [
        (0, "a", 3.0, None),
        (1, None, None, "loose"),
        (2, "b", None, None),
    ]
    table = warehouse.schema(START).events["Order Completed"]
    assert table.columns["total"] == {"number": "total", "text": "total__text"}
    assert table.columns["address.city"] == {"text": "address_city"}
    assert table.children["products"].table == "order_completed__products"


@pytest.mark.parametrize(
    "name",
    ["Заказ оформлен", "订单完成", "Order ID", "orderId", "time", "users", "", "select", "tracks", "🛒", "x" * 300,
     "a\0b", "'; DROP TABLE tracks; --", "seq", "שלום", "1st", "profiles", "pages"],
)  # fmt: skip
def test_any_name_is_an_event_and_a_property(warehouse: Warehouse, name: str) -> None:
    load(warehouse, [track(1, 1, name, 0, **{name: 1, f"{name}2": "\0 ünï"}), track(2, 1, "Order ID", 0, orderId=2)])
    table = warehouse.schema(START).events[name]
    column = table.columns[name]["number"]
    assert fetch(warehouse, f'SELECT "{column}" FROM "{table.table}" WHERE seq = 1') == [(1.0,)]


def test_names_that_collide_get_a_number(warehouse: Warehouse) -> None:
    load(
        warehouse,
        [track(1, 1, "Order ID"), track(2, 1, "order id"), track(3, 1, "orderId", 0, a_b=1, aB=2, **{"a.b": 3})],
    )
    events = warehouse.schema(START).events
    assert [events[name].table for name in ("Order ID", "order id", "orderId")] == [
        "order_id",
        "order_id_2",
        "order_id_3",
    ]
    assert fetch(warehouse, "SELECT a_b, a_b_2, a_b_3 FROM order_id_3") == [(1.0, 2.0, 3.0)]


def test_two_thousand_events_and_a_thousand_properties_stay_in_the_record(warehouse: Warehouse) -> None:
    rows = [track(n + 1, 1, f"event {n}", 0, x=n) for n in range(2000)]
    rows.append(track(2001, 1, "event 0", 0, **{f"p{n}": n for n in range(1000)}))
    load(warehouse, rows)
    schema = warehouse.schema(START)
    assert fetch(warehouse, "SELECT count(*), count(DISTINCT event) FROM tracks") == [(2001, 2000)]
    assert schema.events["event 199"].table
    assert schema.events["event 1999"].table == ""
    assert schema.events["event 1999"].in_record("x")
    assert len(schema.events["event 0"].columns) == 300
    assert "p999" in schema.events["event 0"].overflow


def test_extreme_numbers_are_kept(warehouse: Warehouse) -> None:
    load(warehouse, [track(1, 1, "e", 0, big=1e308, huge=2**63, small=5e-324)])
    assert fetch(warehouse, "SELECT big, huge, small FROM e") == [(1e308, float(2**63), 5e-324)]


def test_a_repeat_after_a_crash_changes_nothing(warehouse: Warehouse) -> None:
    rows = [track(n, n % 3, "e", n, n=n) for n in range(1, 30)]
    assert load(warehouse, rows[:20]) == 20
    before = contents(warehouse)
    assert load(warehouse, rows[:20]) == 0
    assert contents(warehouse) == before
    assert load(warehouse, rows) == 9


def test_traits_keep_their_history_and_read_dates_in_the_subjects_zone(warehouse: Warehouse) -> None:
    load(warehouse, [
        row(1, "identify", 1, at=0, traits={"born": "2000-05-01", "n": 3, "tags": ["a"], "gone": None}),
        row(2, "identify", 1, at=1,
            traits={"timezone": "Asia/Tokyo", "born": "2000-05-01", "at": "2026-03-01T09:30:00Z"}),
        track(3, 1, "e", 23.5),
    ])  # fmt: skip
    born = fetch(warehouse, "SELECT instant, date FROM trait_values WHERE trait = 'born' ORDER BY seq")
    assert born == [(datetime(2000, 4, 30, 22), date(2000, 5, 1)), (datetime(2000, 4, 30, 15), date(2000, 5, 1))]
    assert fetch(warehouse, "SELECT instant FROM trait_values WHERE trait = 'at'") == [(datetime(2026, 3, 1, 9, 30),)]
    assert fetch(warehouse, "SELECT raw, text, number FROM trait_values WHERE trait = 'gone'") == [("null", None, None)]
    assert fetch(warehouse, "SELECT raw FROM trait_values WHERE trait = 'tags'") == [('["a"]',)]
    assert fetch(warehouse, "SELECT zone FROM profiles") == [("Asia/Tokyo",)]
    assert fetch(warehouse, "SELECT day FROM e") == [(date(2026, 1, 2),)]


def test_merges_stay_flat_and_can_be_undone(warehouse: Warehouse) -> None:
    load(warehouse, [
        row(1, "identify", 1, traits={"country": "JP"}), track(2, 2, "e"), track(3, 3, "e"),
        row(4, "merge", 1, other=2), row(5, "merge", 2, other=3),
    ])  # fmt: skip
    assert fetch(warehouse, "SELECT from_id, to_id FROM canon ORDER BY 1") == [(1, 3), (2, 3)]
    assert fetch(warehouse, "SELECT DISTINCT zone FROM profiles") == [("Asia/Tokyo",)]
    assert warehouse.schema(START).has_merges
    load(warehouse, [row(6, "unmerge", 2, other=3)])
    assert fetch(warehouse, "SELECT from_id, to_id FROM canon") == [(1, 2)]
    assert fetch(warehouse, "SELECT profile_id, zone FROM profiles ORDER BY 1")[2] == (3, "Europe/Warsaw")


def test_memberships_never_overlap_and_keep_when_they_became_known(warehouse: Warehouse) -> None:
    load(warehouse, [
        row(1, "group", 1, other=9, at=10, traits={"plan": "pro"}),
        row(2, "group", 1, other=9, at=20),
        row(3, "group", 1, other=9, at=5)._replace(known_at=START + timedelta(hours=30)),
    ])  # fmt: skip
    hours = [
        (since - START, until and until - START, known - START)
        for since, until, known in fetch(warehouse, "SELECT since, until, known_at FROM account_members ORDER BY 1")
    ]
    h = timedelta(hours=1)
    assert hours == [(5 * h, 10 * h, 30 * h), (10 * h, None, 10 * h)]
    assert fetch(warehouse, "SELECT profile_id, text FROM trait_values") == [(9, "pro")]


def test_a_version_always_means_the_same_schema(warehouse: Warehouse) -> None:
    load(warehouse, [track(1, 1, "e", 24)])
    early, late = warehouse.schema(START), warehouse.schema(START + timedelta(days=2))
    assert early.events["e"].has_future
    assert not late.events["e"].has_future
    assert early.version != late.version
    assert warehouse.schema(START) is early


def test_rebuilt_tables_equal_those_before(warehouse: Warehouse) -> None:
    load(warehouse, [
        row(1, "identify", 1, traits={"timezone": "Asia/Tokyo", "born": "2000-05-01"}),
        track(2, 1, "e", 3, total=1.5, items=[{"a": 1}, 2]), track(3, 2, "e", 1, total="x"),
        row(4, "merge", 1, other=2), row(5, "identify", 2, traits={"born": "2000-05-01"}),
        row(6, "unmerge", 1, other=2), row(7, "identify", 2, traits={"born": "2000-05-01", "deep": {"er": True}}),
        row(8, "group", 1, other=9, traits={"since": "2020-01-01"}),
        row(9, "page", 1, name="Home", properties={"url": "/"}),
    ])  # fmt: skip
    before = contents(warehouse)
    assert rebuild(warehouse) == 7
    assert contents(warehouse) == before
    assert fetch(warehouse, "SELECT profile_id FROM e") == [(1,), (2,)]
    assert fetch(warehouse, "SELECT name, url FROM pages") == [("Home", "/")]


def test_a_file_that_is_no_warehouse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_bytes(b"hello" * 2000)
    with pytest.raises(UserError, match="no DuckDB database"):
        Warehouse.open(tmp_path / "w.duckdb")


def test_an_error_inside_a_transaction_leaves_nothing(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.transaction() as cursor:
            cursor.execute("INSERT INTO trait_names VALUES ('x', true)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert fetch(warehouse, "SELECT count(*) FROM trait_names") == [(0,)]


def test_a_merge_back_into_whom_it_lives_on_in_changes_nothing_and_ends(warehouse: Warehouse) -> None:
    merged = [
        row(1, "merge", 1, other=2),
        row(2, "merge", 2, other=3),
        row(3, "merge", 1, other=2),
        row(4, "merge", 3, other=1),
        row(5, "merge", 2, other=1),
    ]
    load(warehouse, merged)
    assert fetch(warehouse, "SELECT from_id, to_id FROM canon ORDER BY 1") == [(1, 3), (2, 3)]


def test_a_subject_known_to_the_store_alone_gets_its_sample_key_with_its_first_event(warehouse: Warehouse) -> None:
    load(warehouse, [row(1, "track", 7, event="x", userId="u7")])
    [(key,)] = fetch(warehouse, "SELECT bucket_key FROM profiles WHERE profile_id = 7")
    assert key == bucket_key("user_id", "u7")


def test_rows_that_are_not_trusted_say_from_their_arrival_that_somebody_exists(warehouse: Warehouse) -> None:
    """Also those that a log of before has with a time of their own, and what a server says of whom nobody proved."""
    arrived = START + timedelta(days=30)

    def late(seq: int, profile_id: int, trust: Trust) -> LogRow:
        return track(seq, profile_id, "Looked", seq)._replace(received_at=arrived, trust=trust)

    group = row(3, "group", 3, other=9, at=3, traits={"size": 1})._replace(received_at=arrived, trust="public")
    load(warehouse, [late(1, 1, "public"), late(2, 2, "server"), group])
    created = "SELECT created_at FROM profiles ORDER BY profile_id"
    hour = timedelta(hours=1)
    assert fetch(warehouse, created) == [(arrived,), (START + 2 * hour,), (arrived,), (arrived,)]
    load(warehouse, [late(4, 2, "public"), late(5, 1, "server")])
    assert fetch(warehouse, created)[:2] == [(START + 5 * hour,), (START + 2 * hour,)]
