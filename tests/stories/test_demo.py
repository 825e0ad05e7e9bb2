"""The main job: `keepers demo` on CDNOW's master set, against the same stages worked out by hand."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from keepers.channels.mailbox_folder import MailboxFolder

SECONDS = 86400


def master() -> Path:
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the demo extra (lifetimes) is not installed")
    return Path(spec.origin).parent / "datasets" / "CDNOW_master.txt"


def keepers(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "keepers", *arguments], capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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


@pytest.mark.timeout(900)
def test_the_demo_plays_cdnow_and_ends_where_a_hand_count_ends(tmp_path: Path) -> None:
    master()
    folder = tmp_path / "demo"
    printed = keepers("demo", str(folder), "--no-serve", "--letters", "1")
    assert "23,570 customers, 69,659 purchases" in printed
    assert "whole weeks" in printed
    assert "Who moved in the last four weeks" in printed
    assert "One customer, explained" in printed

    answered = {s["stage"]: s["profiles"] for s in json.loads(keepers("-w", str(folder), "stages", "value", "--json"))}
    assert sum(answered.values()) == 23_570

    doctor = json.loads(keepers("-w", str(folder), "doctor", "--json"))
    now = datetime.fromisoformat(doctor["last_tick"].rstrip("Z")).date()
    live = json.loads(keepers("-w", str(folder), "rhythm", "--json"))
    history = purchase_days()
    shift = timedelta(days=(now - timedelta(days=1) - date(1998, 6, 30)).days)
    assert shift.days % 7 == 0
    by_hand = Counter(
        stage_of(days, now - shift, live["typical_gap_s"], live["longest_gap_s"]) for days in history.values()
    )
    assert answered == {stage: by_hand.get(stage, 0) for stage in ("potential", "new", "loyal", "churned")}

    assert "What was sent, and what was not" in printed
    assert "no_consent" in printed
    letters = MailboxFolder(folder / "mailbox")
    sent = json.loads(keepers("-w", str(folder), "messages", "--status", "sent", "--json"))
    assert letters.count() > 500
    assert sent["items"] if isinstance(sent, dict) else sent
    some = letters.messages(limit=200)
    assert all(mail.recipient.endswith("@customers.example") for mail in some)
    assert len({mail.subject for mail in some}) > 10  # several letters in several languages
