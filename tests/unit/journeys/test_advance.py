"""How runs move: goals and exits, waits, loops, versions, and that nothing is done before the last question."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keepers.contact.eligibility import ALLOW, Hold, Skip
from keepers.journeys.requests import CheckCondition, CheckEligibility, Go, ReadTrait, Reply, Send
from keepers.journeys.run import GOAL, Moved, NeedsAnswers
from keepers.journeys.steps.flow.jump import Jump
from keepers.journeys.steps.step import Passing, Seen
from keepers.journeys.walk import LOOP_REST, MAX_ENTRIES, advance
from unit.journeys.driving import MONDAY, Customer, journey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BOUGHT = {"did": "Order Completed"}


def test_steps_follow_one_another_and_the_last_one_ends() -> None:
    anna = Customer(journey({"id": "a", "message": "one"}, {"id": "b", "delay": "3d"}, {"id": "c", "message": "two"}))
    assert anna.wake().step == "b"
    assert anna.run.wake_at == MONDAY + 3 * DAY
    assert anna.wake(MONDAY + 3 * DAY).status == "ended"
    assert anna.run.reason == "finished"
    assert anna.sent == ["one", "two"]


def test_a_goal_is_reached_at_once_also_while_waiting() -> None:
    anna = Customer(journey({"id": "a", "delay": "30d"}, goal={"when": BOUGHT}))
    anna.wake()
    assert CheckCondition("goal") in anna.watched
    anna.holds["goal"] = True
    assert (anna.after(HOUR).status, anna.run.reason, anna.run.step) == ("ended", "goal", "a")


def test_an_exit_leaves_at_once_with_its_reason() -> None:
    exits = [{"when": {"did": "Left"}, "reason": "left us"}, {"when": BOUGHT, "reason": "bought"}]
    anna = Customer(journey({"id": "a", "delay": "30d"}, exits=exits))
    anna.wake()
    anna.holds["exit.1"] = True
    assert anna.after(HOUR).reason == "bought"


def test_a_goal_counts_before_an_exit_and_both_before_any_step() -> None:
    definition = journey(
        {"id": "a", "message": "one"}, goal={"when": BOUGHT}, exits=[{"when": BOUGHT, "reason": "bought"}]
    )
    anna = Customer(definition)
    anna.holds |= {"goal": True, "exit.0": True}
    assert anna.wake().reason == "goal"
    assert anna.sent == []


def test_a_goal_that_does_not_end_the_run_is_noted_once_and_asked_no_more() -> None:
    anna = Customer(
        journey({"id": "a", "delay": "1d"}, {"id": "b", "delay": "1d"}, goal={"when": BOUGHT, "exit": False})
    )
    anna.holds["goal"] = True
    anna.wake()
    assert anna.run.vars[GOAL] == "2026-03-02T12:00:00Z"
    assert CheckCondition("goal") not in anna.watched
    assert anna.until_end().reason == "finished"
    assert [line.what for line in anna.history].count("goal") == 1


def test_a_goal_wakes_the_run_when_its_answer_may_change_by_itself() -> None:
    anna = Customer(journey({"id": "a", "delay": "30d"}, goal={"when": {"did_not": "Visited", "within": "14d"}}))
    anna.holds["goal"] = Reply(False, MONDAY + 14 * DAY)
    assert anna.wake().wake_at == MONDAY + 14 * DAY


def test_a_step_performs_nothing_before_its_last_question() -> None:
    class Hasty(Jump, frozen=True, kw_only=True):
        def run(self, seen: Seen) -> Passing:
            yield Send("one", ALLOW)
            yield CheckCondition("goal")
            return Go()

    definition = journey({"id": "a", "jump": "end"})
    definition.steps["a"] = Hasty(id="a", jump="end")
    with pytest.raises(AssertionError, match="before its last question"):
        Customer(definition).wake()


def test_what_was_done_is_kept_before_a_later_step_asks() -> None:
    definition = journey(
        {"id": "mark", "update": {"traits": {"x": 1}}},
        {"id": "fork", "branch": [{"when": {"trait": "x", "eq": 1}, "go": "end"}], "else": "end"},
    )
    anna = Customer(definition)
    moved = anna.once()
    assert (moved.run.step, moved.run.wake_at, len(moved.effects)) == ("fork", MONDAY, 1)
    assert anna.questions == []
    anna.wake()
    assert anna.run.visits == {"mark": 1, "fork": 1}


def test_questions_of_a_later_step_are_asked_without_moving_when_nothing_was_done() -> None:
    definition = journey(
        {"id": "hop", "jump": "fork"}, {"id": "fork", "branch": [{"when": BOUGHT, "go": "end"}], "else": "end"}
    )
    run = Customer(definition).run
    assert advance(definition, run, MONDAY, {}) == NeedsAnswers(frozenset({CheckCondition("fork.when.0")}))


def test_a_question_about_the_time_at_a_step_is_asked_of_a_run_that_stands_there() -> None:
    definition = journey({"id": "hop", "jump": "wait"}, {"id": "wait", "wait": {"event": "Paid"}, "timeout": "1d"})
    moved = advance(definition, Customer(definition).run, MONDAY + HOUR, {CheckCondition("wait.until"): Reply(True)})
    assert isinstance(moved, Moved)
    assert (moved.run.step, moved.run.since, moved.run.wake_at) == ("wait", MONDAY + HOUR, MONDAY + HOUR)


def test_the_goal_and_the_first_step_are_asked_in_one_wave() -> None:
    definition = journey({"id": "a", "message": "one"}, goal={"when": BOUGHT})
    needs = advance(definition, Customer(definition).run, MONDAY, {})
    assert needs == NeedsAnswers(frozenset({CheckCondition("goal"), CheckEligibility(("one",))}))


def test_two_messages_in_a_row_are_decided_one_after_the_other() -> None:
    anna = Customer(journey({"id": "a", "message": "one"}, {"id": "b", "message": "one"}))
    anna.wake()
    assert [q for q in anna.questions if isinstance(q, CheckEligibility)] == [CheckEligibility(("one",))] * 2
    assert [(e.step, e.visit) for e in anna.effects] == [("a", 1), ("b", 1)]


def test_a_skipped_message_goes_its_own_way_with_the_reason() -> None:
    definition = journey(
        {"id": "a", "message": "one", "otherwise": "plan_b"},
        {"id": "b", "exit": "sent"},
        {"id": "plan_b", "exit": "not sent"},
    )
    anna = Customer(definition)
    anna.decisions["one"] = Skip("no_consent")
    assert anna.wake().reason == "not sent"
    assert anna.effects[0].request == Send("one", Skip("no_consent"))
    assert anna.history[0].reason == "no_consent"


def test_a_held_message_goes_on_as_if_it_were_sent() -> None:
    anna = Customer(journey({"id": "a", "message": "one", "coupon": "pool"}, {"id": "b", "delay": "1d"}))
    anna.decisions["one"] = Hold(MONDAY + HOUR, "quiet_hours")
    assert anna.wake().step == "b"
    assert anna.effects[0].request == Send("one", Hold(MONDAY + HOUR, "quiet_hours"), "pool")


def test_a_run_that_ends_after_a_held_message_has_finished() -> None:
    anna = Customer(journey({"id": "a", "message": "one", "otherwise": "end"}))
    anna.decisions["one"] = Hold(MONDAY + HOUR, "quiet_hours")
    assert anna.wake().reason == "finished"
    boris = Customer(anna.journey)
    boris.decisions["one"] = Skip("no_consent")
    assert boris.wake().reason == "no_consent"


def test_visits_are_counted_and_each_sends_once() -> None:
    definition = journey(
        {"id": "a", "message": "one"}, {"id": "b", "delay": "1d"},
        {"id": "c", "branch": [{"when": BOUGHT, "go": "end"}], "else": "a"},
    )  # fmt: skip
    anna = Customer(definition)
    anna.wake()
    anna.after(DAY)
    anna.after(DAY)
    assert [(e.step, e.visit) for e in anna.effects] == [("a", 1), ("a", 2), ("a", 3)]
    anna.holds["c.when.0"] = True
    assert anna.after(DAY).reason == "finished"


@pytest.mark.parametrize(
    "wait",
    [{"wait": {"when": BOUGHT}}, {"window": {"from": "00:00", "to": "23:00"}}, {"delay": "0s"},
     {"delay": {"until_date": "long_ago"}}],
)  # fmt: skip
def test_a_loop_whose_wait_has_nothing_to_wait_for_rests_instead_of_spinning(wait: dict[str, object]) -> None:
    anna = Customer(journey({"id": "w", **wait}, {"id": "m", "message": "one"}, {"id": "back", "jump": "w"}))
    anna.holds["w.until"] = True
    anna.traits["long_ago"] = "2020-01-01"
    assert anna.wake().wake_at == MONDAY + LOOP_REST
    assert anna.sent == ["one"]
    assert anna.after(LOOP_REST).wake_at == MONDAY + 2 * LOOP_REST
    assert anna.sent == ["one", "one"]


def test_a_loop_that_waited_for_its_event_waits_for_the_next_one() -> None:
    anna = Customer(
        journey({"id": "w", "wait": {"event": "Paid"}}, {"id": "m", "message": "one"}, {"id": "back", "jump": "w"})
    )
    anna.wake()
    paid_at = MONDAY + HOUR
    anna.holds["w.until"] = lambda run, now: run.since < paid_at <= now
    assert anna.after(HOUR).wake_at is None
    assert (anna.sent, anna.run.step, anna.run.since) == (["one"], "w", paid_at)


def test_a_long_way_is_gone_in_short_stages() -> None:
    steps = [{"id": f"s{n}", "jump": f"s{n + 1}"} for n in range(250)] + [{"id": "s250", "exit": "there"}]
    anna = Customer(journey(*steps))
    moved = anna.once()
    assert (moved.run.step, moved.run.wake_at) == (f"s{MAX_ENTRIES}", MONDAY)
    assert anna.wake().reason == "there"


def test_a_run_whose_step_is_gone_leaves_and_says_so() -> None:
    definition = journey({"id": "a", "jump": "nowhere"})
    assert Customer(definition).wake().reason == "the step is gone"


def test_an_ended_run_does_not_move() -> None:
    anna = Customer(journey({"id": "a", "exit": "done"}))
    run = anna.wake()
    assert advance(anna.journey, run, MONDAY + DAY, {}) == Moved(run, (), (), frozenset())


def test_a_waiting_run_watches_the_trait_its_date_comes_from() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until_date": "renewal_at", "offset": "-7d"}}))
    anna.traits["renewal_at"] = "2026-04-01"
    anna.wake()
    assert ReadTrait("renewal_at") in anna.watched


def test_why_says_where_it_waits_and_where_it_went() -> None:
    anna = Customer(journey({"id": "a", "wait": {"event": "Paid"}, "timeout": "1d", "on_timeout": "end"}))
    anna.wake()
    anna.after(DAY)
    assert [(t.what, t.reason, t.data) for t in anna.history] == [
        ("waits", "", {"until": "2026-03-03T12:00:00Z"}),
        ("passed", "", {"port": "timeout"}),
        ("ended", "finished", {}),
    ]
