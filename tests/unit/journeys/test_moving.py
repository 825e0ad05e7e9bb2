"""New versions and pauses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from keepers.journeys.version_change import move, resume
from unit.journeys.driving import MONDAY, Customer, journey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def version(number: int, *steps: dict[str, Any]) -> Any:
    return replace(journey(*steps), version=number)


OLD = version(1, {"id": "m", "message": "one"}, {"id": "rest", "delay": "3d"}, {"id": "x", "exit": "old"})


def waiting() -> Customer:
    anna = Customer(OLD)
    anna.wake()
    return anna


def test_a_run_may_finish_on_its_old_version() -> None:
    anna = waiting()
    assert move(anna.run, OLD, version(2, {"id": "rest", "delay": "1d"}), MONDAY, "finish") == anna.run


def test_a_moved_run_is_mapped_by_step_and_its_waiting_time_counts() -> None:
    anna = waiting()
    anna.journey = version(2, {"id": "rest", "delay": "5d"}, {"id": "x", "exit": "new"})
    anna.run = move(anna.run, OLD, anna.journey, MONDAY + DAY, "move")
    assert (anna.run.version, anna.run.visits) == (2, {"m": 1, "rest": 1})
    assert anna.after(DAY).wake_at == MONDAY + 5 * DAY
    assert anna.wake(MONDAY + 5 * DAY).reason == "new"


def test_a_moved_run_that_comes_to_a_step_again_does_not_send_for_the_same_visit() -> None:
    anna = waiting()
    anna.journey = version(2, {"id": "rest", "delay": "3d"}, {"id": "m", "message": "one"})
    anna.run = move(anna.run, OLD, anna.journey, MONDAY, "move")
    anna.after(3 * DAY)
    assert [(e.step, e.visit) for e in anna.effects] == [("m", 1), ("m", 2)]


def test_a_run_whose_step_is_gone_from_the_new_version_leaves() -> None:
    run = move(waiting().run, OLD, version(2, {"id": "y", "exit": "x"}), MONDAY, "move")
    assert (run.status, run.reason, run.wake_at) == ("ended", "the step is gone", None)


def test_a_run_whose_step_became_another_kind_starts_it() -> None:
    anna = waiting()
    anna.journey = version(2, {"id": "rest", "webhook": {"url": "https://shop.example/x"}})
    anna.run = move(anna.run, OLD, anna.journey, MONDAY, "move")
    anna.wake()
    assert [(e.step, e.visit) for e in anna.effects] == [("m", 1), ("rest", 2)]


def test_a_webhook_that_was_called_is_not_called_again_by_a_move() -> None:
    hook = {"id": "call", "webhook": {"url": "https://shop.example/x"}}
    old, new = version(1, hook), version(2, hook, {"id": "m", "message": "one"})
    anna = Customer(old)
    anna.wake()
    anna.journey = new
    anna.run = move(anna.run, old, new, MONDAY, "move")
    anna.wake()
    assert len(anna.effects) == 1


def test_runs_may_leave_when_a_version_is_published() -> None:
    run = move(waiting().run, OLD, version(2, {"id": "rest", "delay": "1d"}), MONDAY, "exit")
    assert (run.status, run.reason) == ("ended", "new version")


def test_an_ended_run_is_moved_by_nothing() -> None:
    run = replace(waiting().run, status="ended")
    for how in ("move", "exit"):
        assert move(run, OLD, version(2, {"id": "rest", "delay": "1d"}), MONDAY, how) == run  # type: ignore[arg-type]
    assert resume(run, MONDAY, MONDAY + DAY) == run


def test_a_pause_counts_for_no_delay() -> None:
    anna = waiting()
    anna.run = resume(anna.run, MONDAY + DAY, MONDAY + 11 * DAY)
    assert anna.wake(MONDAY + 11 * DAY).wake_at == MONDAY + 13 * DAY
    anna.run = resume(anna.run, MONDAY + 12 * DAY, MONDAY + 13 * DAY)
    assert anna.wake(MONDAY + 13 * DAY).wake_at == MONDAY + 14 * DAY
    assert anna.wake(MONDAY + 14 * DAY).reason == "old"


def test_what_came_during_a_pause_is_not_skipped() -> None:
    anna = Customer(journey({"id": "w", "wait": {"event": "Paid"}, "timeout": "1d"}, {"id": "x", "exit": "paid"}))
    anna.wake()
    paid_at = MONDAY + 5 * DAY
    anna.holds["w.until"] = lambda run, now: run.since < paid_at <= now
    anna.run = resume(anna.run, MONDAY + HOUR, MONDAY + 9 * DAY)
    assert anna.wake(MONDAY + 9 * DAY).reason == "paid"


def test_a_pause_belongs_to_the_step_it_fell_in() -> None:
    anna = Customer(journey({"id": "a", "delay": "1d"}, {"id": "b", "delay": "1d"}))
    anna.wake()
    anna.run = resume(anna.run, MONDAY, MONDAY + 5 * DAY)
    anna.wake(MONDAY + 6 * DAY)
    assert (anna.run.step, anna.run.wake_at) == ("b", MONDAY + 7 * DAY)
