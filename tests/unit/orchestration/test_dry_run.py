"""What a dry run would send of what it holds: the places under the caps go as they do live."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from keepers.contact.agreements import Agreements
from keepers.contact.eligibility import ALLOW, Decision, Hold
from keepers.contact.rules import parse_contact
from keepers.journeys.requests import Send
from keepers.model.consent import Consent, Topic
from keepers.orchestration.dry_run.recorded_effects import DryRun, Known
from keepers.render.definition import MessageTemplate
from keepers.warehouse.profile_lookup import ProfileSnapshot

NIGHT = datetime(2026, 3, 2, 22)
MORNING = datetime(2026, 3, 3, 7)
HOUR = timedelta(hours=1)
HELD = Hold(MORNING, "quiet_hours")
MESSAGES = {
    "news": MessageTemplate("news", "email", "tips", {}, priority="newsletter"),
    "cart": MessageTemplate("cart", "email", "tips", {}, priority="cart"),
    "brief": MessageTemplate("brief", "email", "tips", {}, priority="service", expires=9 * HOUR),
}


def dry_run(*addresses: str) -> tuple[DryRun, list[ProfileSnapshot]]:
    """One over customers of these addresses who agreed to tips, with a cap of one e-mail a day."""
    rules = parse_contact({"caps": {"email": {"1d": 1}, "all": {}}})
    topics = {"tips": Topic("tips")}
    index = SimpleNamespace(
        playbook=SimpleNamespace(messages=MESSAGES, contact=rules, topics=topics),
        live={"j": SimpleNamespace(id="j", exits=())},
        rank=lambda template, journey: rules.rank(template.priority),
    )
    profiles = [ProfileSnapshot(n, f"{n}", "UTC", {"email": address}) for n, address in enumerate(addresses, start=1)]
    said = (
        Consent(p.profile_id, "email", "tips", "subscribed", NIGHT - HOUR, "form", holds_for="person") for p in profiles
    )
    agreed = Agreements.of(said)
    known = Known(agreed, {}, {}, {}, [])
    return DryRun(cast(Any, index), {"email": "email"}, b"s" * 32, rules, topics, known), profiles


def send(
    run: DryRun, profile: ProfileSnapshot, message: str, at: datetime, decision: Decision, *, ended: str = ""
) -> None:
    moved = SimpleNamespace(
        id=1, profile_id=profile.profile_id, journey="j", status="ended" if ended else "active", reason=ended
    )
    effect = SimpleNamespace(request=Send(message, decision))
    run.add(cast(Any, moved), profile, [cast(Any, effect)], at)


def test_of_held_messages_the_better_priority_gets_the_place() -> None:
    run, (ida,) = dry_run("ida@example.com")
    send(run, ida, "news", NIGHT, HELD)
    send(run, ida, "cart", NIGHT + HOUR, HELD)
    run.release_all(MORNING)
    assert [sent.message for sent in run.sent] == ["cart"]
    assert (run.held, run.skipped) == (2, {"cap.email.1d": 1})


def test_a_held_message_that_is_dropped_takes_no_place() -> None:
    run, (ida,) = dry_run("ida@example.com")
    send(run, ida, "brief", NIGHT, HELD)
    send(run, ida, "news", NIGHT, HELD)
    run.release_all(MORNING)
    assert [sent.message for sent in run.sent] == ["news"]
    assert run.skipped == {"expired": 1}


def test_what_is_held_for_a_run_that_left_takes_no_place() -> None:
    run, (ida,) = dry_run("ida@example.com")
    send(run, ida, "cart", NIGHT, HELD, ended="goal")
    send(run, ida, "news", NIGHT + HOUR, HELD)
    run.release_all(MORNING)
    assert [sent.message for sent in run.sent] == ["news"]
    assert run.skipped == {"exited": 1}


def test_two_messages_decided_on_at_once_are_counted_again_when_they_are_handed_over() -> None:
    run, (ida,) = dry_run("ida@example.com")
    noon = MORNING + 5 * HOUR
    send(run, ida, "cart", noon, ALLOW)
    send(run, ida, "news", noon, ALLOW)
    assert [sent.message for sent in run.sent] == ["cart"]
    assert run.skipped == {"cap.email.1d": 1}


def test_customers_of_one_address_share_its_places_and_what_is_later_does_not_count_yet() -> None:
    run, (ida, bob) = dry_run("one@example.com", "ONE@example.com")
    noon = MORNING + 5 * HOUR
    send(run, ida, "news", noon, ALLOW)
    send(run, bob, "news", noon - HOUR, ALLOW)
    send(run, bob, "news", noon + HOUR, ALLOW)
    assert [(sent.profile_id, sent.at) for sent in run.sent] == [(1, noon), (2, noon - HOUR)]
    assert run.skipped == {"cap.email.1d": 1}
