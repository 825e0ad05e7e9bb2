"""Broadcasts as they are written, and what their audience and times come to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.broadcasts.winner import winner_of
from keepers.conditions import ast
from keepers.journeys.broadcast import VariantTest as Trial
from keepers.journeys.broadcast import parse_broadcast
from keepers.model.errors import DefinitionError
from keepers.store.messages.broadcast_sends import Result

LEAST: dict[str, Any] = {"id": "b", "message": "spring"}
TEST: dict[str, Any] = {"variants": [{"id": "a"}, {"id": "b", "subject": "Other"}]}


def test_what_is_not_written_means_everybody_at_once() -> None:
    broadcast = parse_broadcast(LEAST)
    assert broadcast.who == ast.Anyone()
    now = datetime(2026, 3, 2)
    assert broadcast.begins(now) == broadcast.due("Asia/Tokyo", now) == now


def test_segments_are_any_of_them_and_the_excluded_are_taken_out() -> None:
    broadcast = parse_broadcast(LEAST | {"include": ["vip", "new"], "exclude": ["staff"]})
    include = ast.AnyOf((ast.InSegment("vip"), ast.InSegment("new")))
    assert broadcast.who == ast.AllOf((include, ast.Not(ast.AnyOf((ast.InSegment("staff"),)))))


def test_a_local_time_comes_earlier_in_the_east() -> None:
    broadcast = parse_broadcast(LEAST | {"send_at": {"local": "2026-04-01 10:00"}})
    begun = broadcast.begins(datetime(2026, 3, 30))
    assert begun == datetime(2026, 3, 31, 20)
    assert broadcast.due("Asia/Tokyo", begun) == datetime(2026, 4, 1, 1)
    assert broadcast.due("Europe/Warsaw", begun) == datetime(2026, 4, 1, 8)
    assert broadcast.due("Pacific/Kiritimati", begun) == begun
    late = datetime(2026, 4, 1, 9)
    assert broadcast.due("Europe/Warsaw", late) == late, "its time has passed: at once"


def test_a_time_that_a_clock_change_skips_moves_forward() -> None:
    broadcast = parse_broadcast(LEAST | {"send_at": {"local": "2026-03-29 02:30"}})
    assert broadcast.due("Europe/Warsaw", datetime(2026, 3, 28)) == datetime(2026, 3, 29, 1, 30)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"message": None}, ""),
        ({"include": []}, "include"),
        ({"send_at": "soon"}, "send_at"),
        ({"send_at": {"local": "2026-04-01T10:00Z"}}, "send_at.local"),
        ({"per_hour": 0}, "per_hour"),
        ({"per_hour": True}, "per_hour"),
        ({"expires": "never"}, "expires"),
        ({"test": {"variants": [{"id": "a"}]}}, "test.variants"),
        ({"test": TEST | {"winner": "conversions"}}, "test"),
        ({"test": TEST | {"otherwise": "c"}}, "test"),
        ({"test": {"variants": [{"id": "a"}, {"id": "a"}]}}, "test"),
        ({"test": TEST | {"share": 0}}, "test.share"),
        ({"test": TEST | {"winner": "conversions", "goal": {"event": "X", "where": {"a": {"zz": 1}}}}}, "test.goal"),
        ({"tset": TEST}, ""),
    ],
)
def test_a_mistake_names_its_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_broadcast(LEAST | wrong)
    assert caught.value.field.startswith(field)


def test_the_sample_is_stable_and_as_large_as_told() -> None:
    test = parse_broadcast(LEAST | {"test": TEST | {"share": 0.2}}).test
    assert test is not None
    arms = [test.arm("b", f"user:{n}") for n in range(20_000)]
    assert arms == [test.arm("b", f"user:{n}") for n in range(20_000)]
    assert 0.19 < sum(arm != "" for arm in arms) / len(arms) < 0.21
    assert 0.45 < arms.count("a") / (arms.count("a") + arms.count("b")) < 0.55
    assert arms != [test.arm("other", f"user:{n}") for n in range(20_000)]


def _trial(**fields: Any) -> Trial:
    test = parse_broadcast(LEAST | {"test": TEST | {"least": 100} | fields}).test
    assert test is not None
    return test


def test_the_winner_has_the_highest_rate_not_the_most() -> None:
    results = {"a": Result("a", 1000, 500, 30), "b": Result("b", 500, 100, 25)}
    assert winner_of(_trial(), results, {}) == ("b", "most clicks")
    assert winner_of(_trial(winner="opens"), results, {})[0] == "a"
    goal = {"winner": "conversions", "goal": {"event": "Order Completed"}}
    assert winner_of(_trial(**goal), results, {"a": 1, "b": 5})[0] == "b"


def test_without_enough_sent_there_is_no_winner() -> None:
    results = {"a": Result("a", 1000, 0, 0), "b": Result("b", 99, 90, 90)}
    assert winner_of(_trial(), results, {}) == ("a", "fewer than 100 sent of a variant")
    assert winner_of(_trial(otherwise="b"), {}, {})[0] == "b"


def test_equals_go_by_what_is_told_for_no_winner() -> None:
    results = {"a": Result("a", 200, 0, 7), "b": Result("b", 200, 0, 7)}
    assert winner_of(_trial(otherwise="b"), results, {}) == ("b", "several did equally well")


def test_the_longest_wait_is_a_span() -> None:
    assert parse_broadcast(LEAST | {"expires": "2d"}).expires == timedelta(days=2)
