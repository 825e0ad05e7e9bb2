"""Names of public keys: without tables and columns until a trusted source or the playbook knows them, and answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keepers.conditions import graph
from keepers.conditions.currencies import Currencies, Rate
from keepers.conditions.parsing.definitions import parse_segment
from keepers.evaluation.active_queries import Definitions, build
from keepers.evaluation.evaluator import Evaluator
from keepers.store.events.log import LogRow
from keepers.warehouse.arrivals import currencies_seen, emptied_events, rows_by_trust, unrated_amounts
from keepers.warehouse.columns import registry
from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import set_meta
from keepers.warehouse.load import load
from keepers.warehouse.rebuild import fill, rebuild, take_names
from warehouse_rows import START, contents, row, track

LATER = START + timedelta(days=30)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    opened = Warehouse.open(None, threads=1)
    yield opened
    opened.close()


def by_browser(one: LogRow) -> LogRow:
    return one._replace(trust="public")


def count(warehouse: Warehouse, who: dict[str, Any]) -> int:
    segment = parse_segment({"id": "s", "who": who})
    queries = build(Definitions(segments={"s": segment}))
    return Evaluator(warehouse).count(queries, segment.who, LATER)


def named_by(*conditions: dict[str, Any]) -> graph.NamedProperties:
    return graph.named_properties((parse_segment({"id": "s", "who": c}).who for c in conditions), {})


def tables(warehouse: Warehouse) -> list[str]:
    return sorted(layout.table for layout in warehouse.registry.events.values() if layout.table)


SENT: dict[str, Any] = {
    "flat.key": 1,
    "a": {"b": {"c": "deep"}, "d.e": True},
    "text": "caf" + "e\u0301",
    "huge": 10**320,
    "/s~l": 2,
    "$": "dollar",
    'q"': 3,
    "none": None,
    "day": "2026-01-20",
    "tags": ["vip", 7, None, ["inner"]],
    "items": [{"sku": "x", "size": {"cm": 4}, "n": 1}, {"sku": "y", "n.m": 2}, "loose"],
}
TESTS: list[tuple[dict[str, Any], int]] = [
    ({"flat.key": 1}, 1),
    ({"a.b.c": "deep"}, 1),
    ({"a.d.e": True}, 1),
    ({"text": "café"}, 1),
    ({"huge": {"contains": "000"}}, 1),
    ({"huge": {"gte": 1}}, 0),
    ({"/s~l": {"gt": 1}}, 1),
    ({"$": "dollar"}, 1),
    ({'q"': 3}, 1),
    ({"none": {"exists": True}}, 0),
    ({"flat.key": "1"}, 0),
    ({"day": {"after": "2026-01-19"}}, 1),
    ({"day": {"after": "2026-01-21"}}, 0),
    ({"tags": "vip"}, 1),
    ({"tags": 7}, 1),
    ({"tags": "inner"}, 0),
    ({"tags": {"ne": "vip"}}, 0),
    ({"tags": {"exists": True}}, 1),
    ({"items": {"some": {"sku": "y", "n.m": 2}}}, 1),
    ({"items": {"some": {"sku": "y", "n": 1}}}, 0),
    ({"items": {"some": {"size.cm": {"gte": 4}}}}, 1),
    ({"items": {"some": {"value": "loose"}}}, 1),
    ({"never": {"exists": True}}, 0),
]


def test_the_record_is_read_as_columns_are(warehouse: Warehouse) -> None:
    """The same properties by a browser, by a browser once the playbook names them, and by a server."""
    conditions = [{"did": "Looked", "where": where} for where, _ in TESTS]
    load(warehouse, [by_browser(track(1, 1, "Looked", 0, **SENT))])
    assert tables(warehouse) == []
    unnamed = [count(warehouse, who) for who in conditions]
    take_names(warehouse, named_by(*conditions))
    assert tables(warehouse) == ["looked"]
    assert warehouse.registry.events["Looked"].text["text"]
    named = [count(warehouse, who) for who in conditions]
    load(warehouse, [track(3, 3, "Looked", 0, **SENT)])
    both = [count(warehouse, who) for who in conditions]
    wanted = [number for _, number in TESTS]
    assert unnamed == wanted
    assert named == wanted
    assert both == [2 * number for number in wanted]


def test_a_page_has_its_name_and_category_also_in_the_record(warehouse: Warehouse) -> None:
    load(warehouse, [
        by_browser(row(1, "page", 1, name="Home", category="shop", properties={"url": "/"})),
        by_browser(row(2, "page", 2, name="Home", properties={"name": "Own"})),
        by_browser(row(3, "page", 3, name="Home", properties={"name": None})),
        by_browser(track(4, 4, "page", 0, url="/")._replace(body=b'{"type":"track","event":"page","name":"Home"}')),
    ])  # fmt: skip
    asked = {"Home": 1, "Own": 1}
    pages = [{"did": "page", "where": {"name": name}} for name in asked]
    assert [count(warehouse, who) for who in pages] == list(asked.values())
    take_names(warehouse, named_by(*pages))
    assert tables(warehouse) == ["pages"]
    assert [count(warehouse, who) for who in pages] == list(asked.values())


def test_calls_of_other_kinds_are_no_events(warehouse: Warehouse) -> None:
    load(warehouse, [by_browser(row(1, "identify", 1, traits={"x": 1})), by_browser(track(2, 2, "identify"))])
    assert count(warehouse, {"did": "identify"}) == 1
    take_names(warehouse, named_by({"did": "identify"}))
    assert count(warehouse, {"did": "identify"}) == 1


def test_a_trusted_row_brings_the_columns_of_its_own_properties(warehouse: Warehouse) -> None:
    """What browsers sent of them before is in them too; what only browsers send stays in the record."""
    load(warehouse, [by_browser(track(n, n, "Bought", 0, total=n, mood="good", tags=["x"])) for n in range(1, 4)])
    load(warehouse, [
        by_browser(track(4, 4, "Bought", 0, total="four", mood="bad")),
        track(5, 5, "Bought", 0, total=5),
        by_browser(track(6, 6, "Bought", 0, total=6)),
    ])  # fmt: skip
    layout = warehouse.registry.events["Bought"]
    assert layout.columns() == {"total": {"number": "total", "text": "total__text"}}
    assert layout.has_more
    assert count(warehouse, {"did": "Bought", "where": {"total": {"gte": 1}}}) == 5
    assert count(warehouse, {"did": "Bought", "where": {"total": "four"}}) == 1
    assert count(warehouse, {"did": "Bought", "where": {"mood": "good"}}) == 3
    load(warehouse, [track(7, 7, "Bought", 0, mood="good", tags=["x", "y"])])
    assert layout.columns().keys() == {"total", "mood"}
    assert count(warehouse, {"did": "Bought", "where": {"mood": "good"}}) == 4
    assert count(warehouse, {"did": "Bought", "where": {"tags": "x"}}) == 4
    before = contents(warehouse)
    assert before["bought__tags"]
    assert len(before["bought"]) == 7
    rebuild(warehouse)
    assert contents(warehouse) == before


def test_browsers_fill_no_limit_of_trusted_names(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_EVENT_TABLES", 3)
    monkeypatch.setattr(registry, "MAX_PROPERTIES", 3)
    monkeypatch.setattr(registry, "MAX_CHILD_TABLES", 1)
    monkeypatch.setattr(registry, "MAX_PUBLIC_EVENTS", 5)
    monkeypatch.setattr(registry, "MAX_PUBLIC_TRAITS", 5)
    load(warehouse, [track(1, 1, "Known", 0, a=1)])
    noise = {f"p{n}": n for n in range(50)} | {f"l{n}": [n] for n in range(50)} | {"a": ["list"]}
    rows = [by_browser(track(n, n, f"noise {n}", 0, **noise)) for n in range(2, 30)]
    rows += [by_browser(track(n, n, "Known", 0, **noise)) for n in range(30, 40)]
    rows += [by_browser(row(n, "identify", n, traits={f"t{n}": 1, f"u{n}": 1})) for n in range(40, 50)]
    load(warehouse, rows)
    assert tables(warehouse) == ["known"]
    assert warehouse.registry.events["Known"].columns() == {"a": {"number": "a"}}
    assert (len(warehouse.registry.events), len(warehouse.registry.traits)) == (6, 5)
    own = track(50, 50, "New", 0, x=1, y=2, z=[3])
    load(warehouse, [own, track(51, 51, "Known", 0, b=2, c=3), row(52, "identify", 52, traits={"mine": 1})])
    assert tables(warehouse) == ["known", "new"]
    assert warehouse.registry.events["New"].columns().keys() == {"x", "y"}
    assert warehouse.registry.events["New"].children["z"].table == "new__z"
    assert warehouse.registry.events["Known"].columns().keys() == {"a", "b", "c"}
    assert "mine" in warehouse.registry.traits
    # What is not listed is answered as well.
    assert count(warehouse, {"did": "noise 29", "where": {"p3": 3, "l4": 4}}) == 1
    assert count(warehouse, {"did": "never"}) == 0
    assert count(warehouse, {"trait": "u49", "eq": 1}) == 1
    take_names(warehouse, named_by({"did": "noise 29", "where": {"p3": 3}}))
    assert tables(warehouse) == ["known", "new", "noise_29"]
    assert warehouse.latest["noise 29"] == START
    assert count(warehouse, {"did": "noise 29", "where": {"p3": 3, "l4": 4}}) == 1
    before = contents(warehouse)
    reopened = Warehouse(warehouse.cursor, None, warehouse.zone)
    assert reopened.schema(LATER) == warehouse.schema(LATER)
    rebuild(warehouse)
    assert contents(warehouse) == before


def test_what_the_playbook_names_gets_its_column_when_it_arrives(warehouse: Warehouse) -> None:
    who = {"did": "Cart", "where": {"value": {"gte": 2}, "items": {"some": {"sku": "a"}}}}
    load(warehouse, [track(1, 1, "Other")])
    take_names(warehouse, named_by(who))
    assert tables(warehouse) == ["other"]
    load(warehouse, [by_browser(track(2, 2, "Cart", 0, value=3, items=[{"sku": "a", "more": 1}], else_=1))])
    layout = warehouse.registry.events["Cart"]
    assert layout.columns() == {"value": {"number": "value"}}
    assert layout.children["items"].columns() == {"sku": {"text": "sku"}}
    assert count(warehouse, who) == 1
    assert count(warehouse, {"did": "Cart", "where": {"items": {"some": {"sku": "a", "more": 1}}}}) == 1


def test_a_names_columns_come_whole_or_not_at_all(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    load(warehouse, [by_browser(track(n, n, "Bought", 0, total=n)) for n in range(1, 4)])
    before = contents(warehouse)

    def fail(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("keepers.warehouse.rebuild.write_latest", fail)
        with pytest.raises(OSError, match="no room"):
            load(warehouse, [track(4, 4, "Bought", 0, total=4)])
    assert contents(warehouse) == before
    load(warehouse, [track(4, 4, "Bought", 0, total=4)])
    assert count(warehouse, {"did": "Bought", "where": {"total": {"gte": 1}}}) == 4


def written(warehouse: Warehouse, where: str) -> int:
    (number,) = warehouse.cursor().execute(f"SELECT count(*) FROM bought WHERE {where}").fetchall()[0]
    return int(number)


def test_a_names_columns_come_in_pieces_and_are_read_when_all_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trusted row with a property that 200,000 public rows had kept all writers waiting for seconds."""
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 4)
    who = {"did": "Bought", "where": {"total": {"gte": 1}, "items": {"some": {"sku": "x"}}}}
    sent: dict[str, Any] = {"total": 5, "items": [{"sku": "x"}]}
    file = tmp_path / "warehouse.duckdb"
    warehouse = Warehouse.open(file, threads=1)
    load(warehouse, [track(1, 1, "Bought"), *(by_browser(track(n, n, "Bought", 0, **sent)) for n in range(2, 12))])
    assert (count(warehouse, who), written(warehouse, "true")) == (10, 11)
    load(warehouse, [track(20, 20, "Bought", 0, **sent)])
    filled = []
    for n in (21, 22):
        # Read from the record meanwhile, also what arrives in between.
        assert not warehouse.schema(START).events["Bought"].columns
        assert count(warehouse, who) == n - 10
        filled.append(written(warehouse, "total IS NOT NULL AND seq < 20"))
        load(warehouse, [by_browser(track(n, n, "Bought", 0, **sent))])
        assert fill(warehouse, 1) == 1
        # As after a kill: what was written is carried on.
        warehouse.close()
        warehouse = Warehouse.open(file, threads=1)
    assert filled == [4, 8]
    table = warehouse.schema(START).events["Bought"]
    assert (table.columns["total"], table.children["items"].table) == ({"number": "total"}, "bought__items")
    assert (fill(warehouse, 9), count(warehouse, who), written(warehouse, "total IS NOT NULL")) == (0, 13, 13)
    before = contents(warehouse)
    # What was met before a restart is not known: there may be names without columns until all is read again.
    before["event_columns"].remove(("", "Bought", "more", "", "", True))
    rebuild(warehouse)
    assert contents(warehouse) == before
    warehouse.close()


def test_an_event_that_becomes_trusted_is_read_from_its_table_when_all_is_there(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 4)
    who = {"did": "Bought", "where": {"total": {"gte": 1}}}
    load(warehouse, [by_browser(track(n, n, "Bought", n, total=1)) for n in range(1, 11)])
    load(warehouse, [track(20, 20, "Bought", 0, total=1)])
    assert not warehouse.schema(LATER).events["Bought"].table
    assert (written(warehouse, "true"), count(warehouse, who)) == (5, 11)
    assert rows_by_trust(warehouse, "Bought") == (1, 10)
    assert warehouse.latest["Bought"] == START + timedelta(hours=10)
    # Another name that is promoted begins again; what is there is not there twice.
    load(warehouse, [by_browser(track(21, 21, "Bought", 0, total=1, mood="good"))])
    load(warehouse, [track(22, 22, "Bought", 0, total=1, mood="good")])
    assert count(warehouse, who) == 13
    assert fill(warehouse, 9) == 2
    assert warehouse.schema(LATER).events["Bought"].columns.keys() == {"total", "mood"}
    assert (written(warehouse, "true"), count(warehouse, who)) == (13, 13)
    assert rows_by_trust(warehouse, "Bought") == (2, 11)
    assert count(warehouse, {"did": "Bought", "where": {"mood": "good"}}) == 2
    before = contents(warehouse)
    rebuild(warehouse)
    assert contents(warehouse) == before


def test_a_rebuild_while_a_new_table_is_filled_keeps_rows_without_json(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 1)
    load(warehouse, [by_browser(track(n, n, "Bought", n, total=1)) for n in range(1, 6)])
    load(warehouse, [by_browser(row(6, "page", 6, properties={"url": "/"})), track(7, 7, "Other")])
    with warehouse.transaction() as cursor:
        cursor.execute("UPDATE tracks SET raw = '{}' WHERE seq IN (1, 3, 4, 6)")
    take_names(warehouse, named_by({"did": "Bought"}, {"did": "page"}))
    load(warehouse, [track(8, 8, "Bought", 0, total=1)])
    assert (written(warehouse, "true"), warehouse.registry.filling.unfilled.keys()) == (3, {"Bought", "page"})
    rebuild(warehouse)
    assert warehouse.registry.filling.unfilled == {}
    assert (count(warehouse, {"did": "Bought"}), count(warehouse, {"did": "page"})) == (6, 1)
    assert written(warehouse, 'total IS NULL AND NOT "$trusted"') == 3
    assert rows_by_trust(warehouse, "Bought") == (1, 5)
    before = contents(warehouse)
    rebuild(warehouse)
    assert contents(warehouse) == before


def test_that_there_are_more_names_holds_only_while_there_are(warehouse: Warehouse) -> None:
    load(warehouse, [track(1, 1, "Bought"), by_browser(track(2, 2, "Bought", 0, a=1, b=2, l=[{"x": 1}]))])
    layout = warehouse.registry.events["Bought"]
    assert layout.has_more
    load(warehouse, [track(3, 3, "Bought", 0, a=1)])
    assert layout.has_more
    load(warehouse, [track(4, 4, "Bought", 0, b=1, l=[{"y": 1}])])
    assert (layout.has_more, layout.children["l"].has_more) == (False, True)
    reopened = Warehouse(warehouse.cursor, None, warehouse.zone)
    assert reopened.schema(LATER) == warehouse.schema(LATER)
    load(warehouse, [track(5, 5, "Bought", 0, l=[{"x": 1}])])
    assert not layout.children["l"].has_more
    load(warehouse, [by_browser(track(6, 6, "Bought", 0, c=1))])
    assert layout.has_more
    assert count(warehouse, {"did": "Bought", "where": {"c": 1}}) == 1


def test_naming_what_has_its_column_leaves_it_there(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose JSON is kept no longer have it in their column alone."""
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 1)
    load(warehouse, [track(1, 1, "Bought", 0, total=1, items=[{"sku": "x"}]), track(2, 2, "Bought", 0, total=1)])
    sent: dict[str, Any] = {"junk": 1, "total": 1, "items": [{"sku": "y", "size": 1}]}
    load(warehouse, [by_browser(track(n, n, "Bought", 0, **sent)) for n in (3, 4)])
    with warehouse.transaction() as cursor:
        cursor.execute("UPDATE tracks SET raw = '{}' WHERE seq < 3")
    total = {"did": "Bought", "where": {"total": 1}}
    items = {"did": "Bought", "where": {"items": {"some": {"sku": {"exists": True}}}}}
    assert emptied_events(warehouse, named_by(total, items)) == {}
    take_names(warehouse, named_by(total, items))
    assert warehouse.registry.filling.unfilled == {}
    assert warehouse.schema(LATER).events["Bought"].columns == {"total": {"number": "total"}}
    assert (count(warehouse, total), count(warehouse, items)) == (4, 3)
    # What has no column is still written again, and it alone is read from the record meanwhile.
    size = {"did": "Bought", "where": {"items": {"some": {"size": 1}}}}
    take_names(warehouse, named_by(total, size))
    assert warehouse.registry.filling.unfilled["Bought"].paths == {("items", "size")}
    assert (count(warehouse, total), count(warehouse, size)) == (4, 2)
    assert fill(warehouse, 9) == 1
    assert (count(warehouse, total), count(warehouse, size)) == (4, 2)


def test_a_rebuild_notices_that_there_are_no_more_names(warehouse: Warehouse) -> None:
    load(warehouse, [track(1, 1, "Bought"), by_browser(track(2, 2, "Bought", 0, a=1, l=[{"x": 1}]))])
    take_names(warehouse, named_by({"did": "Bought", "where": {"l": {"some": {"y": 1}}}}))
    with warehouse.transaction() as cursor:
        cursor.execute("UPDATE tracks SET raw = replace(raw, '\"a\":1,', '') WHERE seq = 2")
    warehouse.reload()
    layout = warehouse.registry.events["Bought"]
    assert (layout.has_more, layout.children["l"].has_more) == (True, True)
    rebuild(warehouse)
    assert (layout.has_more, layout.children["l"].has_more) == (False, True)
    reopened = Warehouse(warehouse.cursor, None, warehouse.zone)
    assert reopened.schema(LATER) == warehouse.schema(LATER)


def test_an_event_of_an_older_layout_without_a_table_lists_its_paths_anew(warehouse: Warehouse) -> None:
    """It was past the limit of tables, with more paths than were listed, when names of browsers counted for it."""
    load(warehouse, [by_browser(track(1, 1, "Bought", 0, total=1))])
    with warehouse.transaction() as cursor:
        for path, kind in (("total", "overflow"), ("", "more")):
            cursor.execute("INSERT INTO event_columns VALUES ('Bought', '', ?, ?, '', true)", [path, kind])
    warehouse.reload()
    load(warehouse, [track(2, 2, "Bought", 0, total=1)])
    reopened = Warehouse(warehouse.cursor, None, warehouse.zone)
    for opened in (warehouse, reopened):
        table = opened.schema(LATER).events["Bought"]
        assert (table.has_more, table.overflow, table.columns) == (False, frozenset(), {"total": {"number": "total"}})
    warehouse.reload()
    load(warehouse, [track(3, 3, "Bought", 0, total="one")])
    assert count(warehouse, {"did": "Bought", "where": {"total": "one"}}) == 1


def test_what_check_says_of_amounts_waits_until_all_rows_have_their_columns(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 1)
    rates = Currencies("EUR", (Rate("EUR", datetime.min, 1.0),))
    load(warehouse, [track(1, 1, "Paid", 0, total=1), track(2, 2, "Bought", 0, total=1, currency="PLN")])
    for n, event in enumerate(("Paid", "Paid", "New", "New"), 3):
        load(warehouse, [by_browser(track(n, n, event, 0, total=1, currency="USD"))])
    assert unrated_amounts(warehouse, "Bought", "total", "currency", rates)[0].amounts == 1
    # The currencies of what browsers sent are in no column.
    assert unrated_amounts(warehouse, "Paid", "total", "currency", rates) == []
    load(warehouse, [track(n, n, event, 0, total=1, currency="EUR") for n, event in ((7, "Paid"), (8, "New"))])
    assert warehouse.registry.filling.unfilled.keys() == {"Paid", "New"}
    for event in ("Paid", "New"):
        # The first piece holds no row of the rest.
        assert currencies_seen(warehouse, event, "currency") == ()
        assert unrated_amounts(warehouse, event, "total", "currency", rates) == []
    assert currencies_seen(warehouse, "Bought", "currency") == ("PLN",)
    while fill(warehouse, 1):
        pass
    for event, wanted in {"Paid": [("", 1), ("USD", 2)], "New": [("USD", 2)]}.items():
        assert currencies_seen(warehouse, event, "currency") == ("EUR", "USD")
        unrated = unrated_amounts(warehouse, event, "total", "currency", rates)
        assert [(one.currency, one.amounts) for one in unrated] == wanted


@pytest.mark.parametrize("is_reopened", [False, True])
def test_naming_a_column_that_browsers_sent_as_a_list_gives_it_a_table(warehouse: Warehouse, is_reopened: bool) -> None:
    load(warehouse, [track(1, 1, "Bought", 0, tag="x"), by_browser(track(2, 2, "Bought", 0, tag=["x", "y"]))])
    if is_reopened:
        warehouse.reload()
    who = {"did": "Bought", "where": {"tag": "x"}}
    assert count(warehouse, who) == 2
    take_names(warehouse, named_by(who))
    assert count(warehouse, who) == 2
    assert warehouse.schema(LATER).events["Bought"].children["tag"].table == "bought__tag"


def test_a_column_whose_lists_are_past_the_limit_gets_one_for_a_further_kind(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_CHILD_TABLES", 0)
    load(warehouse, [track(1, 1, "Bought", 0, tag=1), track(2, 2, "Bought", 0, tag=["x"])])
    load(warehouse, [track(3, 3, "Bought", 0, tag="x")])
    assert [count(warehouse, {"did": "Bought", "where": {"tag": tag}}) for tag in (1, "x")] == [1, 2]


def test_tables_of_an_older_layout_stay_and_those_of_browsers_fill_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "warehouse.duckdb"
    older = Warehouse.open(file, threads=1)
    load(older, [
        track(1, 1, "Seen", 0, a=1, items=[{"sku": "x"}]), track(2, 2, "Bought", 0, a=1, b=2, items=[{"sku": "x"}]),
        row(3, "identify", 1, traits={"mood": "good"}), row(4, "identify", 2, traits={"plan": "pro"}),
    ])  # fmt: skip
    with older.transaction() as cursor:
        # As an older Keepers left it: two rows of a browser, of which one has brought a column, and no trust of names.
        for statement in (
            "UPDATE bought SET b = NULL",
            'INSERT INTO bought (seq, profile_id, time, known_at, day, b, "$trusted") SELECT 9, 1, time, known_at, day,'
            " 2, false FROM bought",
            'UPDATE seen SET "$trusted" = false',
            "UPDATE tracks SET trusted = false WHERE seq IN (1, 3)",
            "UPDATE trait_values SET trusted = false WHERE seq = 3",
            *(f"ALTER TABLE {name} DROP COLUMN trusted" for name in ("event_names", "event_columns", "trait_names")),
        ):
            cursor.execute(statement)
        set_meta(cursor, "layout_version", "3")
    older.close()
    monkeypatch.setattr(registry, "MAX_EVENT_TABLES", 2)
    monkeypatch.setattr(registry, "MAX_PROPERTIES", 3)
    monkeypatch.setattr(registry, "MAX_CHILD_TABLES", 1)
    opened = Warehouse.open(file, threads=1)
    layouts = opened.registry.events
    assert tables(opened) == ["bought", "seen"]
    assert {name: one.is_trusted for name, one in layouts.items()} == {"Seen": False, "Bought": True}
    assert opened.registry.traits == {"mood": False, "plan": True}
    assert layouts["Bought"].paths == {"a", "items"}
    assert layouts["Seen"].children["items"].table == "seen__items"
    assert count(opened, {"did": "Seen", "where": {"a": 1, "items": {"some": {"sku": "x"}}}}) == 1
    load(opened, [track(10, 3, "New"), track(11, 3, "Bought", 0, c=1, d=1)])
    assert tables(opened) == ["bought", "new", "seen"]
    assert layouts["Bought"].paths == {"a", "items", "c"}
    assert layouts["Bought"].overflow == {"d"}
    opened.close()
