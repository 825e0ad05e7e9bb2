"""Who gets the places under the caps and under the ramp: what counts, and the one tie-break."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.contact.eligibility import ALLOW, Decision, Hold, MessageCandidate, Skip
from keepers.contact.places import ContactHistory, DailyAllowance, OtherMessage
from keepers.contact.rules import parse_contact
from keepers.contact.wave import EligibilityWave, RecipientFacts
from keepers.model.consent import Topic

NOON = datetime(2026, 3, 2, 12)
TOMORROW = datetime(2026, 3, 3)
HOUR = timedelta(hours=1)
RULES = parse_contact({"caps": {"email": {"1d": 1}, "all": {}}})
AGREED = RecipientFacts(consent="subscribed")


def other(number: int, **changes: Any) -> OtherMessage:
    return OtherMessage(number, 1, "hash", "email", 3, NOON, NOON)._replace(**changes)


def candidate(number: int = 9, **changes: Any) -> MessageCandidate:
    fields: dict[str, Any] = {
        "profile_id": 1, "channel": "email", "topic": "news", "recipient": "a@x.example", "decided_at": NOON,
        "message_id": number, "address_hash": "hash",
    }  # fmt: skip
    return MessageCandidate(**(fields | changes))


@pytest.mark.parametrize(
    ("waiting", "is_ahead"),
    [
        (other(1), True),
        (other(10), False),
        (other(10, priority=2), True),
        (other(1, priority=4), False),
        (other(10, decided_at=NOON - HOUR), True),
        (other(1, decided_at=NOON + HOUR), False),
        (other(1, expires_at=NOON), False),
        (other(1, send_after=NOON + 24 * HOUR), True),
        (other(1, send_after=NOON + 25 * HOUR), False),
        (other(1, address_hash="another"), False),
        (other(1, address_hash="another", channel="sms"), True),
        (other(1, profile_id=2, channel="email"), True),
        (other(9), False),
    ],
)
def test_a_waiting_message_is_ahead_by_priority_then_age_then_number(waiting: OtherMessage, is_ahead: bool) -> None:
    _, ahead = ContactHistory([waiting]).counts(candidate(), NOON)
    assert ahead == ({waiting.channel: 1} if is_ahead else {})


def test_what_is_not_queued_yet_comes_last_among_its_equals() -> None:
    _, ahead = ContactHistory([other(1), other(2)]).counts(candidate(0), NOON)
    assert ahead == {"email": 2}


def decided(wave: EligibilityWave, *candidates: MessageCandidate) -> list[Decision]:
    return [wave.decide(one, AGREED, NOON, reserving=True) for one in candidates]


def test_what_is_decided_counts_for_those_that_follow() -> None:
    full = Skip("cap.email.1d")
    waiting = [other(n) for n in (1, 2)]
    wave = EligibilityWave(RULES, {"news": Topic("news")}, ContactHistory(waiting))
    assert decided(wave, candidate(1), candidate(2)) == [ALLOW, full]
    # A message that is dropped leaves its place to the next.
    wave = EligibilityWave(RULES, {"news": Topic("news")}, ContactHistory(waiting))
    assert decided(wave, candidate(1, expires_at=NOON), candidate(2)) == [Skip("expired"), ALLOW]


def test_a_message_put_off_for_more_than_a_day_takes_no_place() -> None:
    history = ContactHistory([other(1), other(2)])
    history.record(candidate(1), Hold(NOON + 25 * HOUR, "quiet_hours"), NOON)
    assert history.counts(candidate(2), NOON) == ({}, {})
    history.record(candidate(1), Hold(NOON + HOUR, "quiet_hours"), NOON)
    assert history.counts(candidate(2), NOON) == ({}, {"email": 1})


def test_the_ramp_lets_so_many_through_and_holds_the_rest_until_tomorrow() -> None:
    allowance = DailyAllowance(1, TOMORROW)
    held = Hold(TOMORROW, "warm_up")
    assert allowance.decide(candidate(is_transactional=True), ALLOW) == ALLOW
    assert allowance.decide(candidate(channel="sms"), ALLOW) == ALLOW
    assert allowance.decide(candidate(), Skip("no_consent")) == Skip("no_consent")
    assert [allowance.decide(candidate(n), ALLOW) for n in (1, 2)] == [ALLOW, held]
    assert allowance.decide(candidate(has_place=True), ALLOW) == ALLOW
    assert allowance.decide(candidate(expires_at=TOMORROW), ALLOW) == Skip("expired")
    assert allowance.taken == 1
    assert DailyAllowance(None, TOMORROW).decide(candidate(), ALLOW) == ALLOW
