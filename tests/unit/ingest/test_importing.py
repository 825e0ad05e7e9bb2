"""Importing files: kinds, times, rejects with true lines, re-runs, and the same result as over HTTP."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from keepers.ingest.imports import chunks, import_counts
from keepers.ingest.imports.run import ImportReport, Mapping, dry_run, run_import
from keepers.model.errors import UserError
from keepers.model.identity import bucket_key, identifier_hash
from keepers.store.database import Store
from keepers.store.privacy import erasures
from keepers.store.secret import workspace_secret
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.rebuild import rebuild
from warehouse_rows import Row, contents

NOW = datetime(2026, 1, 1)
ORDERS = Mapping(event="Order Completed", profile="who", time="at")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    opened = Warehouse.open(tmp_path / "warehouse.duckdb", zone="Europe/Warsaw")
    yield opened
    opened.close()


@pytest.fixture
def importing(sqlite_store: Store, warehouse: Warehouse, tmp_path: Path) -> Callable[..., ImportReport]:
    def run(content: str | bytes, mapping: Mapping = ORDERS, name: str = "orders.csv") -> ImportReport:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return run_import(sqlite_store, warehouse, file, mapping, NOW)

    return run


def fetch(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    return warehouse.cursor().execute(query).fetchall()


def rejected(report: ImportReport) -> list[tuple[int, str]]:
    assert report.rejects_path is not None
    with Path(report.rejects_path).open(newline="") as stream:
        return [(int(r["line"]), r["reason"]) for r in csv.DictReader(stream)]


def test_columns_become_properties_by_kind(importing: Callable[..., ImportReport], warehouse: Warehouse) -> None:
    report = importing(
        "who,at,total,code,gift,none\n 00001 ,2026-01-01 00:30,10.50,007,true,\nb,2026-07-01T00:30:00Z,,x,false,\n"
    )
    assert (report.rows, report.loaded, report.rejected) == (2, 2, 0)
    assert fetch(warehouse, "SELECT time, day, total, code, gift FROM order_completed ORDER BY 1") == [
        (datetime(2025, 12, 31, 23, 30), date(2026, 1, 1), 10.5, "007", True),
        (datetime(2026, 7, 1, 0, 30), date(2026, 7, 1), None, "x", False),
    ]
    raw = msgspec.json.decode(fetch(warehouse, "SELECT raw FROM tracks ORDER BY time")[0][0])
    assert raw == {
        "type": "track", "event": "Order Completed", "userId": "00001",
        "properties": {"total": 10.5, "code": "007", "gift": True}, "timestamp": "2025-12-31T23:30:00.000000Z",
    }  # fmt: skip
    assert "none" not in warehouse.schema(NOW).events["Order Completed"].columns


def test_exact_duplicate_lines_are_rows_and_a_second_run_adds_nothing(
    importing: Callable[..., ImportReport], warehouse: Warehouse
) -> None:
    content = "who,at,n\na,2026-01-01,1\na,2026-01-01,1\n"
    assert importing(content).loaded == 2
    before = contents(warehouse)
    again = importing(content)
    assert (again.loaded, again.duplicates_skipped, again.rows) == (0, 2, 2)
    assert contents(warehouse) == before


def test_a_file_imported_in_other_pieces_is_not_imported_twice(
    sqlite_store: Store, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("who,at\n" + "".join(f"c{n},2026-01-01\n" for n in range(10)))

    def stop(done: int, lines: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(chunks, "CHUNK_LINES", 4)
    with pytest.raises(KeyboardInterrupt):
        run_import(sqlite_store, warehouse, file, ORDERS, NOW, stop)
    monkeypatch.setattr(chunks, "CHUNK_LINES", 3)
    with pytest.raises(UserError, match="imported this file up to line 5, in other pieces"):
        run_import(sqlite_store, warehouse, file, ORDERS, NOW)
    assert fetch(warehouse, "SELECT count(*) FROM tracks") == [(4,)]
    monkeypatch.setattr(chunks, "CHUNK_LINES", 2)
    report = run_import(sqlite_store, warehouse, file, ORDERS, NOW)
    assert (report.loaded, report.duplicates_skipped) == (6, 4)
    monkeypatch.setattr(chunks, "CHUNK_LINES", 7)
    assert run_import(sqlite_store, warehouse, file, ORDERS, NOW).loaded == 0
    assert fetch(warehouse, "SELECT count(*), count(DISTINCT profile_id) FROM tracks") == [(10, 10)]


@pytest.mark.parametrize("killed_after", [1, 2, 3])
@pytest.mark.parametrize("lines_of_the_next", [4, 2])
def test_how_many_rows_were_imported_is_right_after_a_kill_before_it_is_recorded(
    sqlite_store: Store,
    warehouse: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: int,
    lines_of_the_next: int,
) -> None:
    file = tmp_path / "orders.csv"
    # Of each four lines one cannot be used.
    file.write_text("who,at\n" + "".join(f"c{n},{'never' if n % 4 == 1 else '2026-01-01'}\n" for n in range(12)))
    recorded = iter(range(1, killed_after + 1))

    def die(connection: Connection, *given: Any) -> None:
        if next(recorded) == killed_after:
            raise KeyboardInterrupt
        import_counts.put(connection, *given)

    monkeypatch.setattr(chunks, "CHUNK_LINES", 4)
    with monkeypatch.context() as dying:
        dying.setattr(import_counts, "raise_to", die)
        with pytest.raises(KeyboardInterrupt):
            run_import(sqlite_store, warehouse, file, ORDERS, NOW)
    assert fetch(warehouse, "SELECT sum(rows) FROM import_chunks") == [(3 * killed_after,)]
    monkeypatch.setattr(chunks, "CHUNK_LINES", lines_of_the_next)
    run_import(sqlite_store, warehouse, file, ORDERS, NOW)
    assert fetch(warehouse, "SELECT count(*) FROM tracks") == [(9,)]
    assert import_counts.missing(sqlite_store, warehouse) == 0
    warehouse.cursor().execute("DELETE FROM import_chunks")
    assert import_counts.missing(sqlite_store, warehouse) == 9


def test_a_file_that_is_imported_again_without_those_erased_meanwhile_misses_nothing(
    sqlite_store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("who,at\na,2026-01-01\nb,2026-01-01\n")
    assert run_import(sqlite_store, warehouse, file, ORDERS, NOW).loaded == 2
    with sqlite_store.begin() as connection:
        digest = identifier_hash(workspace_secret(sqlite_store), "user_id", "b")
        erasures.remember(connection, [digest], NOW)
    other = Warehouse.open(None, zone="Europe/Warsaw")
    assert import_counts.missing(sqlite_store, other) == 2
    report = run_import(sqlite_store, other, file, ORDERS, NOW)
    assert (report.loaded, report.erased) == (1, 1)
    assert import_counts.missing(sqlite_store, other) == 0
    other.close()


def test_what_cannot_be_used_is_rejected_with_its_line(importing: Callable[..., ImportReport]) -> None:
    report = importing(
        b'who,at,note\na,2026-01-01,"two\nlines"\n,2026-01-01,x\nguest,2026-01-01,x\nb,soon,x\n\nb,1969-12-31,x\n'
        b'b,2101-01-01,x\nb,2026-01-01\nb,2026-01-01,\xff\xfe\nb,2026-01-01,\xc3\xa9\nb,2026-02-30,x\n"b,20'
    )
    assert report.loaded == 2
    assert rejected(report) == [
        (4, "no profile"),
        (5, "“guest” stands for nobody"),
        (6, "“soon” is not a time"),
        (8, "the time is outside 1970 to 2100"),
        (9, "the time is outside 1970 to 2100"),
        (10, "has 2 of 3 columns"),
        (11, "not UTF-8 (mixed encodings)"),
        (13, "“2026-02-30” is not a time"),
        (14, "a quote is opened and never closed; the file ends in the middle of this line"),
    ]


def test_a_quote_that_is_never_closed_costs_its_own_line(
    importing: Callable[..., ImportReport], warehouse: Warehouse
) -> None:
    lines = "".join(f"u{n},2026-01-01,x\n" for n in range(3000))
    report = importing(f'who,at,note\na,2026-01-01,"open\n{lines}')
    assert (report.loaded, report.rejected) == (3000, 1)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "a.csv", "an image"),
        (bytes(range(256)) * 40, "a.csv", "binary"),
        (b"PK\x03\x04whatever", "a.csv", "Excel"),
        (b"whom,at\na,2026-01-01\n", "a.csv", "Did you mean “whom”"),
        (b"who,at,at\na,1,2\n", "a.csv", "twice"),
        (b"who,at\rb,2026-01-01\r", "a.csv", "carriage return"),
        (b"PAR1 no parquet", "a.parquet", "no readable Parquet"),
        (b"\x1f\x8b\x08 broken", "a.csv.gz", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(
    importing: Callable[..., ImportReport], warehouse: Warehouse, content: bytes, name: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        importing(content, name=name)
    assert fetch(warehouse, "SELECT count(*) FROM tracks") == [(0,)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-8"])
def test_encodings_are_found(importing: Callable[..., ImportReport], warehouse: Warehouse, encoding: str) -> None:
    importing("who,at,café\nzoë,2026-01-01,naïve\n".encode(encoding))
    assert fetch(warehouse, "SELECT cafe FROM order_completed") == [("naïve",)]
    assert fetch(warehouse, "SELECT bucket_key FROM profiles") == [(bucket_key("user_id", "zoë"),)]


@pytest.mark.parametrize(
    "name", ["Order ID", "time", "total; DROP TABLE tracks", "шт'ука", "订单", 'a"b', "x" * 300, "🛒", "line", "who2"]
)
def test_any_column_name_is_a_property(importing: Callable[..., ImportReport], warehouse: Warehouse, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    importing(f"who,at,{quoted}\na,2026-01-01,\N{SNOWMAN}'; --\n")
    column = warehouse.schema(NOW).events["Order Completed"].columns[name]["text"]
    assert fetch(warehouse, f'SELECT "{column}" FROM order_completed') == [("☃'; --",)]
    assert msgspec.json.decode(fetch(warehouse, "SELECT raw FROM tracks")[0][0])["properties"] == {name: "☃'; --"}


CSV = (
    "who,at,total,note,plan,born\n"
    'a,2026-03-29 02:30,1.50,"x, é\ny",pro,2000-02-29\n'
    "b,2026-10-25 02:30:00.25,2,,free,\n"
    "a,2026-01-01T00:00:00+05:30,3e2,z,,2001-01-01T10:00\n"
)
BOTH = Mapping(
    event="Order Completed", profile="who", time="at", zone="Europe/Rome",
    properties={"total": "total", "note": "note"}, traits={"plan": "plan", "born": "born"},
)  # fmt: skip


@pytest.mark.parametrize("reserved", [False, True])
def test_rows_of_a_file_are_what_the_same_messages_over_http_are(
    importing: Callable[..., ImportReport], warehouse: Warehouse, reserved: bool
) -> None:
    """The import's tables equal those that `load` makes of the very messages, by SQL alone or row by row."""
    mapping = msgspec.structs.replace(BOTH, traits={**BOTH.traits, "country": "plan"}) if reserved else BOTH
    importing(CSV, mapping)
    other = Warehouse.open(None, zone="Europe/Warsaw")
    columns = "seq, kind, profile_id, other_id, event, time, received_at, known_at, source, raw"
    rows = [
        Row(*r[:9], r[9].encode(), 0, "server") for r in fetch(warehouse, f"SELECT {columns} FROM tracks ORDER BY seq")
    ]
    assert load(other, rows) == 6
    left, right = contents(warehouse, "import_chunks", "watermarks"), contents(other, "import_chunks", "watermarks")
    keyless = "SELECT created_at, profile_id, zone FROM profiles ORDER BY 2"  # the keys come in rows of the log
    new = [dirty for dirty in left["dirty"] if dirty[1] == "import profile"]
    assert {**left, "profiles": []} == {**right, "profiles": [], "dirty": sorted(right["dirty"] + new, key=repr)}
    assert len(new) == 2
    assert fetch(warehouse, keyless) == fetch(other, keyless)
    rebuild(warehouse)
    assert contents(warehouse, "import_chunks", "watermarks") == left
    other.close()


def test_traits_alone_have_the_time_of_the_import(importing: Callable[..., ImportReport], warehouse: Warehouse) -> None:
    importing("who,plan,country\na,pro,JP\n", Mapping(profile="who"))
    assert fetch(warehouse, "SELECT trait, time, text FROM trait_values ORDER BY 1") == [
        ("country", NOW, "JP"),
        ("plan", NOW, "pro"),
    ]
    assert fetch(warehouse, "SELECT zone FROM profiles") == [("Asia/Tokyo",)]


def test_ndjson_keeps_nested_values(importing: Callable[..., ImportReport], warehouse: Warehouse) -> None:
    report = importing(
        '{"who": 7, "at": "2026-01-01", "items": [{"sku": "a"}], "at2": {"x": 1}}\n'
        '{"who": "b", "at": NaN}\n[1]\n{"who": "c"}\n',
        name="a.ndjson",
    )
    assert fetch(warehouse, "SELECT at2_x, sku FROM order_completed JOIN order_completed__items USING (seq)") == [
        (1.0, "a")
    ]
    assert [line for line, _ in rejected(report)] == [2, 3, 4]


def test_parquet_and_gzip(importing: Callable[..., ImportReport], warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.cursor().execute(
        f"""COPY (SELECT 12346.0::DOUBLE AS who, TIMESTAMP '2026-01-01 10:00' AS "at", 1.5::DECIMAL(9, 2) AS total,
        [1, 2] AS sizes) TO '{tmp_path / "a.parquet"}'"""
    )
    importing((tmp_path / "a.parquet").read_bytes(), name="b.parquet")
    importing(gzip.compress(b"who;at;total\n12346;2026-01-02;2\n"), name="c.csv.gz")
    assert fetch(warehouse, "SELECT time, total FROM order_completed ORDER BY 1") == [
        (datetime(2026, 1, 1, 9), 1.5),
        (datetime(2026, 1, 1, 23), 2.0),
    ]
    assert fetch(warehouse, "SELECT count(*) FROM profiles") == [(1,)]
    assert fetch(warehouse, "SELECT value FROM order_completed__sizes") == [(1.0,), (2.0,)]


def test_a_dry_run_shows_types_sample_and_problems(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who|at|total\na|20260101|5\nb|x|6\n")
    mapping = msgspec.structs.replace(ORDERS, time_format="%Y%m%d")
    shown = dry_run(tmp_path / "a.csv", mapping)
    assert shown.columns == {"who": "text", "at": "text", "total": "number"}
    assert shown.sample[0]["properties"] == {"total": 5}
    assert [(p.line, p.reason) for p in shown.problems] == [(3, "“x” is not a time")]


CDNOW = Mapping(
    event="Order Completed", profile="customer", time="date", time_format="%Y%m%d", delimiter="whitespace",
    columns=("customer", "sample", "date", "cds", "dollars"),
)  # fmt: skip


def test_the_cdnow_sample(sqlite_store: Store, warehouse: Warehouse, shared_data: Path) -> None:
    report = run_import(sqlite_store, warehouse, shared_data / "cdnow" / "CDNOW_sample.txt", CDNOW, NOW)
    assert (report.rows, report.rejected) == (6919, 0)
    assert fetch(warehouse, "SELECT count(*) FROM profiles") == [(2357,)]
    assert fetch(warehouse, "SELECT min(day), max(day) FROM tracks") == [(date(1997, 1, 1), date(1998, 6, 30))]


def test_whitespace_with_a_header_and_leading_spaces(
    importing: Callable[..., ImportReport], warehouse: Warehouse
) -> None:
    mapping = msgspec.structs.replace(CDNOW, columns=())
    report = importing(
        "  customer   date  cds dollars\n   00001 19970101  1   11.77\n 00002 19970112  1 12.00\n", mapping
    )
    assert (report.loaded, report.rejected) == (2, 0)
    assert fetch(warehouse, "SELECT sum(dollars) FROM order_completed") == [(23.77,)]
