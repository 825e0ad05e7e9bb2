"""What each step does: one test a promise."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from keepers.contact.eligibility import Hold, Skip
from keepers.i18n.catalogues import gettext, languages
from keepers.journeys.definition import begin
from keepers.journeys.requests import (
    Call,
    CheckCondition,
    CheckEligibility,
    EmitEvent,
    Expose,
    StartJourney,
    UpdateTraits,
)
from keepers.journeys.run import ARMS
from keepers.journeys.steps.registry import STEPS
from unit.journeys.driving import MONDAY, Customer, at, journey

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize("head", STEPS)
def test_every_step_says_what_it_is_in_every_language_and_has_a_schema(head: str) -> None:
    step = STEPS[head]
    assert len({gettext(step.summary, locale) for locale in languages()}) == len(languages())
    schema = step.schema()
    assert head in schema["$defs"][step.__name__]["properties"]


def test_a_message_with_a_code_is_asked_about_together_with_its_pool() -> None:
    anna = Customer(journey({"id": "a", "message": "one", "coupon": "gift"}))
    anna.wake()
    assert [q for q in anna.questions if isinstance(q, CheckEligibility)] == [CheckEligibility(("one",), coupon="gift")]


def test_a_delay_is_exact_seconds_from_entering_the_step() -> None:
    anna = Customer(journey({"id": "a", "delay": "1d12h"}), zone="Europe/Warsaw", now=at("2026-03-28 12:00"))
    assert anna.wake().wake_at == at("2026-03-30 00:00")  # over the change of clocks on 29 March


def test_a_delay_until_a_time_is_the_next_one_in_the_customers_zone() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until": "09:00"}}), zone="America/New_York")
    assert anna.wake().wake_at == at("2026-03-02 14:00")  # 12:00 UTC is 07:00 there


def test_a_delay_until_a_weekday_begins_at_midnight_unless_told() -> None:
    anna = Customer(journey({"id": "a", "delay": {"weekdays": ["we", "fr"]}}), zone="Europe/Warsaw")
    assert anna.wake().wake_at == at("2026-03-03 23:00")


def test_a_delay_may_name_a_zone_of_its_own() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until": "09:00", "zone": "Asia/Tokyo"}}), zone="America/New_York")
    assert anna.wake().wake_at == at("2026-03-03 00:00")


def test_the_intent_is_kept_and_resolved_again_when_the_customer_moves() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until": "09:00"}}), zone="Europe/Warsaw")
    assert anna.wake().wake_at == at("2026-03-03 08:00")
    anna.moves_to("America/New_York")
    assert anna.wake(at("2026-03-02 13:00")).wake_at == at("2026-03-02 14:00")
    assert anna.wake(at("2026-03-02 14:00")).status == "ended"


def test_a_time_that_does_not_exist_moves_forward() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until": "02:30"}}), zone="Europe/Warsaw", now=at("2026-03-28 12:00"))
    assert anna.wake().wake_at == at("2026-03-29 01:30")  # 03:30 summer time


def test_a_time_that_is_twice_happens_once() -> None:
    steps = [{"id": "a", "delay": {"until": "02:30"}}, {"id": "m", "message": "one"}, {"id": "b", "jump": "a"}]
    anna = Customer(journey(*steps), zone="Europe/Warsaw", now=at("2026-10-24 12:00"))
    assert anna.wake().wake_at == at("2026-10-25 00:30")
    assert anna.wake(at("2026-10-25 00:30")).wake_at == at("2026-10-26 01:30")
    assert anna.sent == ["one"]


@pytest.mark.parametrize(
    ("value", "due"),
    [
        ("2026-03-20", "2026-03-13 08:00"),
        ("2026-03-20T15:00:00+01:00", "2026-03-13 08:00"),
        (at("2026-03-20 23:30"), "2026-03-14 08:00"),
    ],
)
def test_a_delay_until_a_date_trait_counts_days_on_the_calendar(value: Any, due: str) -> None:
    delay = {"until_date": "renewal_at", "offset": "-7d", "at": "09:00"}
    anna = Customer(journey({"id": "a", "delay": delay}), zone="Europe/Warsaw")
    anna.traits["renewal_at"] = value
    assert anna.wake().wake_at == at(due)


def test_a_date_that_changes_while_waiting_counts_from_then_on() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until_date": "renewal_at"}}))
    anna.traits["renewal_at"] = "2026-04-01"
    assert anna.wake().wake_at == at("2026-04-01 09:00")
    anna.traits["renewal_at"] = "2026-05-01"
    assert anna.after(HOUR).wake_at == at("2026-05-01 09:00")


@pytest.mark.parametrize("value", [None, "soon", 5, True, {"a": 1}, "9999-12-31"])
def test_a_date_that_cannot_be_resolved_leaves_by_otherwise_with_a_reason(value: Any) -> None:
    step = {"id": "a", "delay": {"until_date": "renewal_at", "offset": "9d"}, "otherwise": "lost"}
    anna = Customer(journey(step, {"id": "b", "exit": "through"}, {"id": "lost", "exit": "lost"}))
    anna.traits["renewal_at"] = value
    assert anna.wake().reason == "lost"
    assert "renewal_at" in anna.history[0].reason


def test_a_date_that_cannot_be_resolved_ends_the_run_unless_told_where_to_go() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until_date": "renewal_at"}}, {"id": "b", "exit": "through"}))
    assert anna.wake().reason == "no date in “renewal_at”"


def test_a_date_that_is_past_goes_on_at_once_and_says_so() -> None:
    anna = Customer(journey({"id": "a", "delay": {"until_date": "renewal_at"}}))
    anna.traits["renewal_at"] = "2026-01-01"
    anna.wake()
    assert anna.history[0].reason == "the date is past"


def test_a_wait_goes_on_when_its_event_comes_and_has_a_timeout_of_its_own() -> None:
    step = {"id": "w", "wait": {"event": "Paid"}, "timeout": "3d", "on_timeout": "late"}
    definition = journey(step, {"id": "ok", "exit": "paid"}, {"id": "late", "exit": "late"})
    anna = Customer(definition)
    assert anna.wake().wake_at == MONDAY + 3 * DAY
    anna.holds["w.until"] = True
    assert anna.after(HOUR).reason == "paid"
    boris = Customer(definition)
    boris.wake()
    assert boris.after(3 * DAY).reason == "late"


def test_a_wait_whose_condition_holds_already_passes() -> None:
    anna = Customer(journey({"id": "w", "wait": {"when": {"trait": "vip", "eq": True}}, "timeout": "3d"}))
    anna.holds["w.until"] = True
    assert anna.wake().reason == "finished"


def test_a_wait_for_an_event_counts_only_what_comes_after_it_was_entered() -> None:
    definition = journey({"id": "w", "wait": {"event": "Paid", "where": {"order_id": {"ref": "trigger.order_id"}}}})
    assert definition.refs["w.until"] == ("run.step_entered_at", "trigger.order_id")
    run = Customer(definition, order_id="A7").run
    assert definition.keys("w.until", run) == {"run.step_entered_at": MONDAY, "trigger.order_id": "A7"}


def test_a_wait_without_a_timeout_waits_for_its_question_alone() -> None:
    anna = Customer(journey({"id": "w", "wait": {"event": "Paid"}}))
    assert anna.wake().wake_at is None
    assert anna.watched == {CheckCondition("w.until")}


def test_a_window_lets_through_while_it_is_open() -> None:
    window = {"weekdays": ["mo", "tu", "we", "th", "fr"], "from": "09:00", "to": "18:00"}
    anna = Customer(journey({"id": "w", "window": window}), zone="Europe/Warsaw")
    assert anna.wake().status == "ended"


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02 06:00", "2026-03-02 08:00"),
        ("2026-03-02 17:00", "2026-03-03 08:00"),
        ("2026-03-06 17:00", "2026-03-09 08:00"),
    ],
)
def test_a_closed_window_waits_until_it_opens(now: str, opens: str) -> None:
    window = {"weekdays": ["mo", "tu", "we", "th", "fr"], "from": "09:00", "to": "18:00"}
    anna = Customer(journey({"id": "w", "window": window}), zone="Europe/Warsaw", now=at(now))
    assert anna.wake().wake_at == at(opens)


def test_a_window_over_midnight_belongs_to_the_day_it_begins() -> None:
    window = {"weekdays": ["fr"], "from": "22:00", "to": "02:00"}
    assert Customer(journey({"id": "w", "window": window}), now=at("2026-03-07 01:00")).wake().status == "ended"
    late = Customer(journey({"id": "w", "window": window}), now=at("2026-03-08 01:00"))
    assert late.wake().wake_at == at("2026-03-13 22:00")


def test_a_branch_takes_the_first_condition_that_holds_else_the_other_way() -> None:
    cases = [{"when": {"did": "A"}, "go": "a"}, {"when": {"did": "B"}, "go": "b"}]
    definition = journey(
        {"id": "fork", "branch": cases, "else": "c"},
        {"id": "a", "exit": "a"},
        {"id": "b", "exit": "b"},
        {"id": "c", "exit": "c"},
    )
    for holding, reason in ((["fork.when.0", "fork.when.1"], "a"), (["fork.when.1"], "b"), ([], "c")):
        anna = Customer(definition)
        anna.holds |= dict.fromkeys(holding, True)
        assert anna.wake().reason == reason


def arms_of(definition: Any, people: int = 2000) -> Counter[str]:
    found: Counter[str] = Counter()
    for n in range(people):
        anna = Customer(definition)
        anna.run = begin(definition, profile_id=n, bucket_key=f"key-{n}", zone="UTC", now=MONDAY)
        found[anna.wake().reason] += 1
    return found


def test_a_split_follows_its_weights() -> None:
    split = [{"weight": 30, "go": "a"}, {"weight": 70, "go": "b"}]
    found = arms_of(journey({"id": "half", "split": split}, {"id": "a", "exit": "a"}, {"id": "b", "exit": "b"}))
    assert abs(found["a"] / 2000 - 0.3) < 0.03


def test_a_split_is_the_same_each_time_also_when_its_weights_change() -> None:
    steps = [{"id": "d", "delay": "1d"}, {"id": "back", "jump": "half"}]
    before = journey({"id": "half", "split": [{"weight": 50, "go": "d"}, {"weight": 50, "go": "d"}]}, *steps)
    after = journey({"id": "half", "split": [{"weight": 1, "go": "d"}, {"weight": 99, "go": "d"}]}, *steps)
    for n in range(20):
        anna = Customer(before)
        anna.run = begin(before, profile_id=n, bucket_key=f"key-{n}", zone="UTC", now=MONDAY)
        arm = anna.wake().vars[ARMS]
        anna.journey = after
        anna.after(DAY)
        assert (anna.run.vars[ARMS], anna.run.visits["half"]) == (arm, 2)


def experiment(**fields: Any) -> Any:
    variants = [{"id": "red", "weight": 50, "go": "red"}, {"id": "blue", "weight": 50, "go": "blue"}]
    return journey(
        {"id": "test", "experiment": {"variants": variants, "holdout": 0.1, "holdout_go": "none"} | fields},
        {"id": "red", "message": "red_mail", "next": "bye_red"},
        {"id": "blue", "message": "blue_mail", "next": "bye_blue"},
        {"id": "bye_red", "exit": "red"},
        {"id": "bye_blue", "exit": "blue"},
        {"id": "none", "exit": "holdout"},
    )


def test_an_experiment_follows_its_weights_and_holds_some_out() -> None:
    found = arms_of(experiment())
    assert abs(found["holdout"] / 2000 - 0.1) < 0.02
    assert abs(found["red"] / 2000 - 0.45) < 0.04


def test_every_arm_is_exposed_after_the_same_checks_holdout_too() -> None:
    for n in range(30):
        anna = Customer(experiment(holdout=0.4))
        anna.run = begin(anna.journey, profile_id=n, bucket_key=f"key-{n}", zone="UTC", now=MONDAY)
        reason = anna.wake().reason
        assert anna.questions[0] == CheckEligibility(("red_mail", "blue_mail"), is_exposure=True)
        assert anna.effects[0].request == Expose("j.test", reason)


def test_whom_the_messages_cannot_reach_is_no_part_of_the_experiment() -> None:
    anna = Customer(experiment())
    anna.decisions["red_mail"] = Skip("no_consent")
    assert anna.wake().reason == "no_consent"
    assert anna.effects == []
    assert ARMS not in anna.run.vars


def test_a_held_message_takes_part_in_an_experiment() -> None:
    anna = Customer(experiment())
    anna.decisions["red_mail"] = Hold(MONDAY + HOUR, "quiet_hours")
    anna.wake()
    assert isinstance(anna.effects[0].request, Expose)


def test_who_comes_to_an_experiment_again_is_not_exposed_again() -> None:
    variants = [{"id": "red", "go": "d"}, {"id": "blue", "go": "d"}]
    steps = [
        {"id": "test", "experiment": {"variants": variants}},
        {"id": "d", "delay": "1d"},
        {"id": "back", "jump": "test"},
    ]
    anna = Customer(journey(*steps))
    anna.wake()
    anna.after(DAY)
    assert anna.run.visits["test"] == 2
    assert len(anna.effects) == 1


def test_traits_events_and_starts_take_values_of_the_run() -> None:
    definition = journey(
        {"id": "mark", "update": {"traits": {"welcomed": True, "spent": {"ref": "trigger.total"}}}},
        {"id": "tell", "emit": {"event": "Welcomed", "properties": {"at": {"ref": "run.entered_at"}}}},
        {
            "id": "on",
            "start": "second",
            "data": {"order_id": {"ref": "trigger.order.id"}, "none": {"ref": "trigger.x"}},
        },
    )
    anna = Customer(definition, total=12.5, order={"id": "A7"})
    anna.wake()
    assert [e.request for e in anna.effects] == [
        UpdateTraits({"welcomed": True, "spent": 12.5}),
        EmitEvent("Welcomed", {"at": "2026-03-02T12:00:00Z"}),
        StartJourney("second", {"order_id": "A7", "none": None}),
    ]


HOOK = {
    "id": "call",
    "webhook": {"url": "https://shop.example/x", "body": {"id": {"ref": "trigger.id"}}},
    "on_failure": "sad",
}


def called(**trigger: Any) -> Customer:
    definition = journey(
        HOOK, {"id": "tell", "emit": {"event": "Told", "properties": {"tier": {"ref": "run.call.body.tier"}}}},
        {"id": "happy", "exit": "happy"}, {"id": "sad", "exit": "sad"},
    )  # fmt: skip
    anna = Customer(definition, **trigger)
    anna.wake()
    return anna


def answered(anna: Customer, answer: Any) -> None:
    from msgspec.structs import replace

    anna.run = replace(anna.run, vars={**anna.run.vars, "call": answer}, wake_at=anna.now)


def test_a_webhook_is_called_once_and_its_answer_can_be_used_later() -> None:
    anna = called(id=7)
    assert anna.effects[0].request == Call("webhook", "https://shop.example/x", "POST", {"id": 7}, {})
    assert anna.wake(MONDAY + timedelta(minutes=1)).wake_at == MONDAY + HOUR
    answered(anna, {"status": 200, "body": {"tier": "gold"}})
    assert anna.wake().reason == "happy"
    assert [e.request for e in anna.effects[1:]] == [EmitEvent("Told", {"tier": "gold"})]


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 0, "body": None}, {"status": "x"}])
def test_a_webhook_that_fails_goes_its_own_way(answer: Any) -> None:
    anna = called()
    answered(anna, answer)
    assert anna.wake().reason == "sad"


def test_a_webhook_that_does_not_answer_fails_in_time() -> None:
    anna = called()
    assert anna.after(HOUR).reason == "sad"
    assert "no answer in time" in [line.reason for line in anna.history]


def test_an_answer_to_a_visit_before_is_no_answer() -> None:
    anna = called()
    answered(anna, {"status": 200, "visit": 0})
    assert anna.wake().step == "call"


def test_an_exit_ends_with_its_reason() -> None:
    assert Customer(journey({"id": "a", "exit": "bought elsewhere"})).wake().reason == "bought elsewhere"
