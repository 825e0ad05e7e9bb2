"""Policy: the order in which it decides, and what transactional messages are exempt from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.contact.eligibility import ALLOW, Facts, Hold, Skip, decide, national_holidays, together
from keepers.contact.rules import ContactRules, parse_contact
from unit.journeys.driving import at

NOON = at("2026-03-02 12:00")
NIGHT = at("2026-03-02 23:00")
DAY = timedelta(days=1)
RULES = ContactRules()


def facts(**changes: Any) -> Facts:
    known: dict[str, Any] = {
        "now": NOON, "zone": "UTC", "channel": "email", "recipient": "anna@shop.example", "consent": "subscribed",
    }  # fmt: skip
    return Facts(**(known | changes))


EVERYTHING_WRONG: dict[str, Any] = {
    "is_unconfirmed": True, "suppression": "complaint", "consent": "unsubscribed", "engaged_at": NOON - 400 * DAY,
    "is_written_to": True, "breaker": "complaints",
    "is_run_alive": False, "expires_at": NIGHT, "is_sending_stopped": True, "now": NIGHT, "sent": {"email": (NIGHT,)},
}  # fmt: skip
ORDER = [
    ("is_unconfirmed", "unconfirmed_address"),
    ("suppression", "suppressed.complaint"), ("consent", "unsubscribed"), ("engaged_at", "sunset"),
    ("is_written_to", "same_address"), ("breaker", "brake.complaints"), ("is_run_alive", "exited"),
    ("expires_at", "expired"), ("is_sending_stopped", "kill_switch"), ("now", "quiet_hours"), ("sent", "cap.email.1d"),
]  # fmt: skip


def test_policy_is_asked_in_its_order() -> None:
    wrong = dict(EVERYTHING_WRONG)
    for name, reason in ORDER:
        decision = decide(RULES, facts(**wrong))
        assert isinstance(decision, Skip | Hold)
        assert decision.reason == reason
        del wrong[name]
        if name == "now":
            wrong["sent"] = {"email": (NOON,)}
    assert decide(RULES, facts()) == ALLOW


@pytest.mark.parametrize("reason", ["hard_bounce", "manual"])
def test_a_suppressed_address_gets_nothing_not_even_transactional(reason: Any) -> None:
    assert decide(RULES, facts(suppression=reason, is_transactional=True)) == Skip(f"suppressed.{reason}")


@pytest.mark.parametrize("reason", ["complaint", "unsubscribed", "soft_bounces", "import", "erased"])
def test_other_suppressions_stop_marketing_alone(reason: Any) -> None:
    assert decide(RULES, facts(suppression=reason)) == Skip(f"suppressed.{reason}")
    assert decide(RULES, facts(suppression=reason, is_transactional=True)) == ALLOW


def test_a_customer_without_an_address_is_skipped() -> None:
    assert decide(RULES, facts(recipient=None)) == Skip("no_address")
    assert decide(RULES, facts(recipient="", is_transactional=True)) == Skip("no_address")


@pytest.mark.parametrize(
    ("consent", "basis", "decision"),
    [
        (None, "consent", Skip("no_consent")),
        ("pending", "consent", Skip("consent_pending")),
        ("unsubscribed", "consent", Skip("unsubscribed")),
        ("subscribed", "consent", ALLOW),
        (None, "legitimate_interest", ALLOW),
        ("unsubscribed", "legitimate_interest", Skip("unsubscribed")),
    ],
)
def test_marketing_needs_consent_or_another_basis_and_no_objection(consent: Any, basis: Any, decision: Any) -> None:
    assert decide(RULES, facts(consent=consent, basis=basis)) == decision
    assert decide(RULES, facts(consent=consent, basis=basis, is_transactional=True)) == ALLOW


def test_transactional_messages_are_exempt_from_quiet_hours_caps_breakers_and_sunset() -> None:
    wrong = {k: v for k, v in EVERYTHING_WRONG.items() if k in ("consent", "engaged_at", "breaker", "now", "sent")}
    assert decide(RULES, facts(**wrong, is_transactional=True)) == ALLOW


def test_the_kill_switch_holds_everything_and_loses_nothing() -> None:
    decision = decide(RULES, facts(is_sending_stopped=True, is_transactional=True))
    assert isinstance(decision, Hold)
    assert decision.reason == "kill_switch"


def test_who_has_long_been_away_is_written_to_no_more() -> None:
    assert decide(RULES, facts(engaged_at=NOON - 194 * DAY)) == ALLOW
    assert decide(RULES, facts(engaged_at=NOON - 195 * DAY)) == Skip("sunset")
    assert decide(parse_contact({"sunset": None}), facts(engaged_at=NOON - 900 * DAY)) == ALLOW


def test_a_message_past_its_expiry_is_dropped_also_a_transactional_one() -> None:
    assert decide(RULES, facts(expires_at=NOON, is_transactional=True)) == Skip("expired")
    assert decide(RULES, facts(expires_at=NOON + timedelta(seconds=1))) == ALLOW


def test_a_message_that_would_be_stale_after_quiet_hours_is_dropped_at_once() -> None:
    assert decide(RULES, facts(now=NIGHT, expires_at=NIGHT + 3 * timedelta(hours=1))) == Skip("expired")


def test_quiet_hours_hold_until_the_customers_morning() -> None:
    assert decide(RULES, facts(now=NIGHT)) == Hold(at("2026-03-03 07:00"), "quiet_hours")
    assert decide(RULES, facts(now=NIGHT, zone="America/New_York")) == ALLOW


def test_a_customer_who_moves_while_held_is_asked_about_by_the_new_clock() -> None:
    hold = decide(RULES, facts(now=NIGHT, zone="Europe/Warsaw"))
    assert isinstance(hold, Hold)
    assert decide(RULES, facts(now=hold.until, zone="Europe/Warsaw")) == ALLOW
    assert decide(RULES, facts(now=hold.until, zone="America/New_York")) == Hold(at("2026-03-03 12:00"), "quiet_hours")


def test_the_customers_own_activity_lifts_quiet_hours_for_email_alone() -> None:
    active = NIGHT - timedelta(minutes=119)
    assert decide(RULES, facts(now=NIGHT, last_activity_at=active)) == ALLOW
    assert isinstance(decide(RULES, facts(now=NIGHT, last_activity_at=active, channel="sms")), Hold)
    assert isinstance(decide(RULES, facts(now=NIGHT, last_activity_at=NIGHT - timedelta(hours=2))), Hold)


def test_sms_rests_on_sundays_and_national_holidays() -> None:
    sunday = at("2026-03-08 12:00")
    assert decide(RULES, facts(channel="sms", now=sunday)) == Hold(at("2026-03-09 09:00"), "quiet_hours")
    may_first = facts(channel="sms", now=at("2026-05-01 10:00"), zone="Europe/Warsaw", country="PL")
    assert decide(RULES, may_first) == Hold(at("2026-05-02 07:00"), "quiet_hours")
    assert decide(RULES, facts(channel="sms", now=at("2026-05-01 10:00"), country=None)) == ALLOW


def test_holidays_are_those_of_the_customers_country() -> None:
    assert at("2026-11-11").date() in national_holidays("pl", 2026)
    assert at("2026-11-11").date() not in national_holidays("DE", 2026)
    assert national_holidays("XX", 2026) == frozenset()


def sent(*days_ago: float) -> tuple[datetime, ...]:
    return tuple(NOON - DAY * days for days in days_ago)


@pytest.mark.parametrize(
    ("channel", "before", "decision"),
    [
        ("email", {"email": sent(0.9)}, Skip("cap.email.1d")),
        ("email", {"email": sent(1)}, ALLOW),
        ("email", {"email": sent(2, 3, 4)}, Skip("cap.email.7d")),
        ("email", {"email": sent(2, 3, 7)}, ALLOW),
        ("email", {"email": sent(*range(8, 18))}, Skip("cap.email.30d")),
        ("sms", {"sms": sent(6)}, Skip("cap.sms.7d")),
        ("push", {"email": sent(2, 3), "sms": sent(4), "push": sent(5, 6)}, Skip("cap.all.7d")),
        ("chat", {"email": sent(2, 3), "sms": sent(4), "push": sent(5)}, ALLOW),
        ("in_app", {"email": sent(2, 3), "sms": sent(4), "push": sent(5, 6), "in_app": sent(0.1)}, ALLOW),
    ],
)
def test_caps_are_counted_per_address_over_rolling_windows(channel: str, before: Any, decision: Any) -> None:
    assert decide(RULES, facts(channel=channel, sent=before)) == decision


def test_a_place_taken_by_a_worker_whose_clock_is_ahead_counts() -> None:
    assert decide(RULES, facts(sent={"email": (NOON + timedelta(seconds=1),)})) == Skip("cap.email.1d")


def test_a_better_message_that_waits_takes_the_caps_place() -> None:
    assert decide(RULES, facts(ahead={"email": 1})) == Skip("cap.email.1d")
    assert decide(RULES, facts(ahead={"sms": 4}, sent={"push": sent(2)})) == Skip("cap.all.7d")
    assert decide(RULES, facts(ahead={"sms": 4})) == ALLOW


def test_who_can_be_reached_by_all_arms_takes_part_in_an_experiment() -> None:
    passing = [ALLOW, Hold(NIGHT, "quiet_hours"), Skip("cap.email.1d"), Skip("brake.complaints"), Skip("expired")]
    assert together(passing) == ALLOW
    assert together([*passing, Skip("no_consent"), Skip("sunset")]) == Skip("no_consent")
