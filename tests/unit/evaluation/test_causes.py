"""What a change is said to come from, and how changes are handed on: by number, with names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from keepers.conditions.parsing.definitions import parse_lifecycle, parse_segment
from keepers.evaluation.active_queries import Definitions
from keepers.evaluation.backfill import backfill
from keepers.evaluation.changes import changes_after, last_change
from keepers.warehouse.database import Warehouse
from properties.running import Live
from warehouse_rows import START, Row, profile, row, track

DAY = timedelta(days=1)
SEGMENTS = {
    "buyers": {"did": "Order"},
    "viewers": {"did": "View"},
    "settled": {"in_segment": "buyers", "for": "2d"},
    "gold": {"account": {"did": "Order"}},
}
LIFECYCLE = {"id": "value", "stages": [{"id": "new", "when": "anyone"}, {"id": "loyal", "when": {"did": "Order"}}]}


def started() -> Live:
    segments = {name: parse_segment({"id": name, "who": who}) for name, who in SEGMENTS.items()}
    warehouse = Warehouse.open(None, threads=1)
    running = Live(warehouse, Definitions(segments=segments, lifecycles={"value": parse_lifecycle(LIFECYCLE)}), START)
    running.tick(START)
    people = [profile(n, n, str(n)) for n in (1, 2, 3)]
    running.load([*people, profile(4, 9, "a", "account")])
    running.tick(START)
    return running


def late(made: Row, hours: float) -> Row:
    """The row as history: it arrived so many hours after the first of January, and counts from its own time."""
    return made._replace(received_at=START + timedelta(hours=hours))


def causes(running: Live, *definitions: str) -> list[tuple[Any, ...]]:
    found = changes_after(running.warehouse, 0, 1000, [f"segment:{d}" for d in definitions])
    return [(c.definition, c.profile_id, (c.at - START) / DAY, c.cause) for c in found if c.to_stage]


def test_what_history_brings_is_no_news_until_it_arrived() -> None:
    running = started()
    running.load([late(track(10, 1, "Order", 24), 24 * 5), track(11, 2, "Order", 24)])
    running.tick(START + 10 * DAY)
    assert sorted(causes(running, "buyers", "settled")) == [
        ("segment:buyers", 1, 1.0, "import event:Order"),
        ("segment:buyers", 2, 1.0, "event:Order"),
        ("segment:settled", 1, 3.0, "import time"),
        ("segment:settled", 2, 3.0, "time"),
    ]


def test_time_that_passes_after_the_arrival_is_news() -> None:
    running = started()
    running.load([late(track(10, 1, "Order", 24), 24 * 2)])
    running.tick(START + 10 * DAY)
    assert causes(running, "settled") == [("segment:settled", 1, 3.0, "time")]


def test_what_happens_while_history_still_waits_may_come_of_it() -> None:
    running = started()
    running.tick(START + 4 * DAY)
    running.load([late(track(10, 1, "Order", 24), 24 * 4.6), track(11, 1, "View", 24 * 4.5)])
    running.tick(START + 5 * DAY)
    running.load([track(12, 1, "View", 24 * 5.5), track(13, 1, "Order", 24 * 5.5)])
    running.tick(START + 6 * DAY)
    assert causes(running, "buyers", "viewers") == [
        ("segment:viewers", 1, 4.5, "import event:View"),
        ("segment:buyers", 1, 5.0, "import event:Order"),
    ]
    assert running.warehouse.cursor().execute("SELECT count(*) FROM imported").fetchall() == [(0,)]


def test_a_member_is_told_of_the_import_of_a_colleague() -> None:
    running = started()
    running.load([row(10, "group", 1, other=9, at=1), row(11, "group", 2, other=9, at=1)])
    running.tick(START + DAY)
    running.load([late(track(12, 1, "Order", 24 * 3), 24 * 7)])
    running.tick(START + 8 * DAY)
    assert {(who, cause) for _, who, _, cause in causes(running, "gold")} == {
        (1, "import event:Order"),
        (2, "import account"),
    }


def test_an_act_stands_before_the_merge_it_made() -> None:
    running = started()
    running.load([track(10, 1, "Order", 1), row(11, "merge", 1, other=2, at=2), track(12, 2, "View", 2)])
    running.tick(START + DAY)
    running.load([row(13, "merge", 2, other=3, at=30)])
    running.tick(START + 2 * DAY)
    assert causes(running, "buyers", "viewers") == [
        ("segment:buyers", 2, 1 / 24, "event:Order"),
        ("segment:viewers", 2, 2 / 24, "event:View"),
        ("segment:buyers", 3, 30 / 24, "merge:"),
        ("segment:viewers", 3, 30 / 24, "merge:"),
    ]


def test_changes_are_handed_on_by_number_with_the_names_of_stages() -> None:
    running = started()
    running.load([track(10, 1, "Order", 5)])
    running.tick(START + DAY)
    found = changes_after(running.warehouse, 0, 100, ["segment:buyers", "lifecycle:value"])
    assert {(c.definition, c.profile_id, c.from_stage, c.to_stage, c.initial) for c in found[-2:]} == {
        ("segment:buyers", 1, "", "in", False),
        ("lifecycle:value", 1, "new", "loyal", False),
    }
    assert [c.n for c in found] == sorted(c.n for c in found)
    assert changes_after(running.warehouse, found[-2].n, 100, ["segment:buyers", "lifecycle:value"]) == found[-1:]
    assert changes_after(running.warehouse, 0, 1, ["lifecycle:value"])[0].to_stage == "new"
    assert changes_after(running.warehouse, 0, 100, []) == []
    assert last_change(running.warehouse) == found[-1].n


def test_numbers_are_never_used_again_after_a_backfill() -> None:
    running = started()
    running.load([track(10, 1, "Order", 5)])
    running.tick(START + DAY)
    before = last_change(running.warehouse)
    backfill(running.evaluator, running.queries, START + 3 * DAY)
    found = changes_after(running.warehouse, 0, 100, ["segment:buyers", "segment:settled", "lifecycle:value"])
    assert found
    assert all(c.n > before and c.cause.startswith("backfill") for c in found)


@pytest.mark.parametrize("kind", ["change", "enter"])
def test_rows_for_journeys_alone_are_passed_over(kind: str) -> None:
    running = started()
    running.load([row(10, kind, 1, event="segment:x", at=5, definition="segment:x"), track(11, 1, "View", 6)])
    cursor = running.warehouse.cursor()
    assert running.warehouse.watermark("load") == 11
    assert cursor.execute("SELECT seq FROM tracks").fetchall() == [(11,)]
