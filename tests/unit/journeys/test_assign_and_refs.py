"""Stable assignment, and the values of a run that conditions and bodies refer to."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from keepers.journeys.bucketing import fraction, pick
from keepers.journeys.references import keys_for, keys_of, refs_in, resolve
from unit.journeys.driving import MONDAY, Customer, at, journey

RUN = replace(
    Customer(journey({"id": "a", "exit": "x"}), order_id="A7", time="2026-03-02T11:00:00Z", nested={"a": {"b": 1}}).run,
    vars={"call": {"status": 200, "body": {"tiers": [{"name": "gold"}], "a.b": 2}}, "_arms": {"half": "0"}},
)


def test_a_fraction_is_the_md5_of_journey_step_and_key() -> None:
    digest = hashlib.md5(b"welcome:half:anna").hexdigest()
    assert fraction("welcome", "half", "anna") == int(digest[:16], 16) / 2**64


def test_fractions_of_different_steps_are_independent() -> None:
    both = Counter((fraction("j", "a", str(n)) < 0.5, fraction("j", "b", str(n)) < 0.5) for n in range(4000))
    assert all(abs(count / 4000 - 0.25) < 0.03 for count in both.values())


@pytest.mark.parametrize(("share", "arm"), [(0, 0), (0.1999, 0), (0.2, 1), (0.9999, 1), (1 - 2**-53, 1)])
def test_weights_are_shares_of_their_sum(share: float, arm: int) -> None:
    assert pick([1, 4], share) == arm


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trigger.order_id", "A7"),
        ("trigger.time", at("2026-03-02 11:00")),
        ("trigger.nested.a.b", 1),
        ("trigger.nothing", None),
        ("trigger.order_id.deeper", None),
        ("run.entered_at", MONDAY),
        ("run.step_entered_at", MONDAY),
        ("run.call.status", 200),
        ("run.call.body.tiers.0.name", "gold"),
        ("run.call.body.tiers.5.name", None),
        ("run.call.body.a.b", 2),
        ("run._arms.half", None),
        ("customer.name", None),
    ],
)
def test_refs_find_what_they_name(path: str, value: Any) -> None:
    assert keys_of(RUN)(path) == value


def test_what_conditions_are_asked_with_is_plain() -> None:
    assert keys_for(RUN, ["run.call.body", "trigger.order_id"]) == {"run.call.body": None, "trigger.order_id": "A7"}


def test_refs_in_bodies_are_replaced_wherever_they_stand() -> None:
    written = {"a": [{"ref": "trigger.order_id"}, 5], "b": {"ref": "run.entered_at"}, "c": {"ref": "x", "other": 1}}
    assert resolve(written, keys_of(RUN)) == {
        "a": ["A7", 5], "b": "2026-03-02T12:00:00Z", "c": {"ref": "x", "other": 1},
    }  # fmt: skip
    assert refs_in(written) == ["trigger.order_id", "run.entered_at"]
