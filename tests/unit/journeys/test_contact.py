"""Contact rules: the defaults that ship, and how a playbook changes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.contact.eligibility import ALLOW, Facts, Hold, decide
from keepers.contact.rules import ContactRules, parse_contact
from keepers.model.errors import DefinitionError


def test_nothing_written_keeps_every_default() -> None:
    rules = parse_contact(None)
    assert rules == ContactRules()
    assert rules.caps == {
        "email": {"1d": 1, "7d": 3, "30d": 10}, "sms": {"7d": 1, "30d": 3}, "push": {"1d": 1, "7d": 3},
        "all": {"7d": 5},
    }  # fmt: skip
    assert (rules.quiet["email"].start, rules.quiet["email"].end, rules.quiet["email"].sundays) == (
        "21:00",
        "07:00",
        False,
    )
    for channel in ("sms", "push"):
        quiet = rules.quiet[channel]
        assert (quiet.start, quiet.end, quiet.sundays, quiet.holidays) == ("20:00", "09:00", True, True)
    assert (rules.breakers.complaints.warn, rules.breakers.complaints.stop, rules.breakers.hard_bounces.stop) == (
        0.001,
        0.003,
        0.02,
    )
    assert (rules.breakers.soft_bounces.count, rules.breakers.soft_bounces.within) == (5, "14d")
    assert rules.sunset is not None
    assert (rules.sunset.after, rules.sunset.grace) == ("180d", "14d")
    assert rules.longest == timedelta(days=30)


def test_what_is_written_for_a_channel_replaces_its_default_and_no_other() -> None:
    rules = parse_contact(
        {"caps": {"email": {"7d": 2}}, "quiet": {"push": {}, "email": {"from": "22:00", "to": "08:00"}}}
    )
    assert rules.windows["email"] == ((timedelta(days=7), 2, "7d"),)
    assert rules.caps["sms"] == {"7d": 1, "30d": 3}
    assert rules.quiet["push"].start is None
    assert rules.quiet["email"].end == "08:00"
    assert rules.quiet["sms"].sundays


def test_caps_can_be_taken_away() -> None:
    assert parse_contact({"caps": {"all": None}}).windows["all"] == ()
    assert parse_contact({"caps": {}}).windows == {}
    assert parse_contact({"caps": {}}).quiet == ContactRules().quiet


def test_quiet_hours_can_be_taken_away_from_a_channel_or_from_all() -> None:
    night = Facts(now=datetime(2026, 6, 1, 2), zone="UTC", channel="email", recipient="a@x.org", consent="subscribed")
    assert isinstance(decide(parse_contact({}), night), Hold)
    for quiet in ({}, {"email": {}}, {"email": None}):
        assert decide(parse_contact({"quiet": quiet}), night) == ALLOW
    assert parse_contact({"quiet": {}}).quiet == {}


def test_a_section_with_nothing_under_it_keeps_its_defaults() -> None:
    assert parse_contact({"quiet": None, "caps": None}) == ContactRules()


def test_priorities_decide_the_order() -> None:
    assert [ContactRules().rank(p) for p in ("service", "cart", "lifecycle", "newsletter")] == [0, 1, 2, 3]
    swapped = parse_contact({"priorities": ["service", "lifecycle", "cart", "newsletter"]})
    assert swapped.rank("lifecycle") < swapped.rank("cart")


def test_a_ramp_lets_a_new_domain_send_more_each_day() -> None:
    rules = parse_contact({"warm_up": [{"day": 3, "most": 200}, {"day": 1, "most": 50}]})
    assert [rules.allowance(day) for day in (1, 2, 3, 4)] == [50, 50, 200, None]
    assert ContactRules().allowance(1) is None


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ([], "contact", "caps"),
        ({"cap": {}}, "contact", "Did you mean “caps”"),
        ({"caps": []}, "contact.caps", "channels"),
        ({"caps": {"mail": {"1d": 1}}}, "contact", "“mail” is no channel"),
        ({"caps": {"email": {"day": 1}}}, "contact.caps.email", "duration"),
        ({"caps": {"email": {"1d": -1}}}, "contact.caps.email.1d", ">= 0"),
        ({"quiet": {"email": {"from": "25:00", "to": "07:00"}}}, "contact.quiet.email.from", "time of day"),
        ({"quiet": {"email": {"from": "21:00"}}}, "contact.quiet.email", "belong together"),
        ({"priorities": ["cart"]}, "contact", "each once"),
        ({"brakes": {"complaints": {"stop": 3}}}, "contact.brakes.complaints.stop", "<= 1"),
        ({"sunset": {"after": "half a year"}}, "contact.sunset.after", "duration"),
        ({"warm_up": [{"day": 0, "most": 1}]}, "contact.warm_up[0].day", ">= 1"),
        ({"caps": {"email": {"1d": 1}}, 5: 1}, "contact", ""),
    ],
)
def test_a_mistake_names_its_field(data: Any, field: str, says: str) -> None:
    with pytest.raises(DefinitionError) as error:
        parse_contact(data)
    assert error.value.field == field
    assert says in error.value.reason
