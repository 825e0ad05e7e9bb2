"""The main job: `keepers demo` on CDNOW's master set, against the same stages worked out by hand."""

from __future__ import annotations

import importlib.util
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keepers.devtools import timelapse
from keepers.devtools.demo_mail import is_played
from keepers.devtools.mailbox_folder import MailboxFolder
from workspaces import keepers

SECONDS = 86400
FIRST, LAST = date(1997, 1, 1), date(1998, 6, 30)
SHARE = 5
WEEKS = 13
"""long enough for letters of every journey: the last of them is for customers who stopped buying"""


def master() -> Path:
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the demo extra (lifetimes) is not installed")
    return Path(spec.origin).parent / "datasets" / "CDNOW_master.txt"


def purchase_days() -> dict[str, list[date]]:
    days: dict[str, set[date]] = {}
    for line in master().read_text().splitlines()[1:]:
        customer, day, _, _ = line.split()
        days.setdefault(customer, set()).add(datetime.strptime(day, "%Y%m%d").date())
    return {customer: sorted(found) for customer, found in days.items()}


def stage_of(days: list[date], now: date, typical_s: float, longest_s: float) -> str:
    """`value` by DEFAULTS: R = (2 P + gaps) / (2 + number of gaps) within 7–365 days; lost after max(4 R, longest)."""
    span_s = (days[-1] - days[0]).days * SECONDS
    rhythm_s = min(max((2 * typical_s + span_s) / (2 + len(days) - 1), 7 * SECONDS), 365 * SECONDS)
    waited_s = (now - days[-1]).days * SECONDS
    if waited_s >= max(4 * rhythm_s, longest_s):
        return "churned"
    return "loyal" if len(days) > 1 else "new"


def json_of(folder: Path, *arguments: object) -> Any:
    """A command's JSON answer."""
    ran = keepers("-w", folder, *arguments, "--json")
    assert ran.code == 0, ran
    return ran.json


def assert_stages_are_those_counted_by_hand(folder: Path, history: dict[str, list[date]], last: date) -> None:
    """Compares everybody's stage of `value` after the demo with a hand count; `last` is the history's last day."""
    answered = {s["id"]: s["profiles"] for s in json_of(folder, "stages", "value")["stages"]}
    assert sum(answered.values()) == len(history)
    now = datetime.fromisoformat(json_of(folder, "doctor")["last_tick"].rstrip("Z")).date()
    live = json_of(folder, "rhythm")
    shift = timedelta(days=(now - timedelta(days=1) - last).days)
    assert shift.days % 7 == 0
    by_hand = Counter(
        stage_of(days, now - shift, live["typical_gap_s"], live["longest_gap_s"]) for days in history.values()
    )
    assert by_hand["loyal"]
    assert by_hand["churned"]
    assert answered == {stage: by_hand[stage] for stage in ("potential", "new", "loyal", "churned")}


@pytest.mark.slow
def test_all_of_cdnow_ends_where_a_hand_count_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-lapse in one step: what its weeks add up to is compared on a part of the customers below."""
    history, folder = purchase_days(), tmp_path / "demo"
    monkeypatch.setattr(timelapse, "weeks", lambda first, last: iter([last]))
    ran = keepers("demo", folder, "--no-serve", "--letters", "0")
    assert ran.code == 0, ran
    assert "23,570 customers, 69,659 purchases" in " ".join(ran.out.split())
    assert len(history) == 23_570
    assert_stages_are_those_counted_by_hand(folder, history, LAST)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_plays_cdnow_week_by_week_and_ends_where_a_hand_count_ends(tmp_path: Path) -> None:
    last = FIRST + timedelta(weeks=WEEKS)
    history = {
        customer: [day for day in days if day <= last]
        for customer, days in purchase_days().items()
        if is_played(customer, SHARE)
    }
    assert 1_000 < len(history) < 1_350
    folder = tmp_path / "demo"
    ran = keepers("demo", folder, "--no-serve", "--customers", SHARE, "--weeks", WEEKS, "--letters", 10)
    assert ran.code == 0, ran
    printed = " ".join(ran.out.split())
    assert f"{len(history):,} customers, " in printed
    assert f"the first {WEEKS} weeks, {SHARE} % of the customers" in printed
    assert "whole weeks" in printed
    assert "Who moved in the last four weeks" in printed
    assert "One customer, explained" in printed
    assert_stages_are_those_counted_by_hand(folder, history, last)

    assert "What was sent, and what was not" in printed
    assert "no_consent" in printed
    mailbox = MailboxFolder(folder / "mailbox")
    sent = json_of(folder, "messages", "--status", "sent")
    assert mailbox.count() > 200
    assert sent["items"]
    some = mailbox.messages(limit=200)
    assert all(mail.recipient.endswith("@customers.example") for mail in some)
    assert len({mail.subject for mail in some}) > 10  # several letters in several languages
