"""Bounce mails collected by two other projects, read here, and how far their verdicts and ours agree.

The words in `bounce_reasons` were written with every second mail of the sisimai collection in view; the rest was
looked at only as these figures, and agrees as well. Most of the disagreement is on what sisimai calls `filtered`:
“User unknown”, said after the message was sent, which it takes for a filter and Keepers for a dead address.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from keepers.channels.email.bounces.returned_mail import read_returned
from keepers.channels.email.bounces.status_notifications import failures_in


class Compared(NamedTuple):
    file: str
    reason: str
    is_hard: bool
    """by sisimai"""
    ours: bool


@pytest.fixture
def sisimai(shared_data: Path) -> dict[str, list[dict[str, str]]]:
    """File → its expected recipients, in order."""
    by_file: dict[str, list[dict[str, str]]] = {}
    with (shared_data / "bounce" / "sisimai" / "expected.csv").open() as file:
        for row in csv.DictReader(file):
            by_file.setdefault(row["file"], []).append(row)
    return by_file


@pytest.fixture
def compared(shared_data: Path, sisimai: dict[str, list[dict[str, str]]]) -> list[Compared]:
    """Recipients of the mails in which we find as many as sisimai does; absence notes are left out."""
    found = []
    for file, rows in sisimai.items():
        failures = failures_in(read_returned((shared_data / "bounce" / "sisimai" / "mails" / file).read_bytes()))
        if len(failures) != len(rows) or rows[0]["reason"] == "vacation":
            continue
        for row, failure in zip(rows, failures, strict=True):
            ours = failure.action == "failed" and failure.verdict.is_hard
            found.append(Compared(file, row["reason"], row["hardbounce"] == "True", ours))
    return found


def test_the_recipients_of_flufl_s_collection_are_all_found(shared_data: Path) -> None:
    folder = shared_data / "bounce" / "flufl"
    with (folder / "expected.csv").open() as file:
        rows = list(csv.DictReader(file))
    missed, wrong = set(), set()
    for row in rows:
        failures = failures_in(read_returned((folder / "mails" / row["file"]).read_bytes()))
        if not set(row["addresses"].lower().split()) <= {f.recipient.lower() for f in failures}:
            missed.add(row["file"])
        if any((f.action == "delayed") != (row["is_temporary"] == "True") for f in failures):
            wrong.add(row["file"])
    assert len(rows) >= 115
    assert missed == set(), "115 of 115 when this was written"
    assert wrong == set(), "and so for whether the failure lasts"


def test_as_many_recipients_are_found_as_sisimai_finds(
    shared_data: Path, sisimai: dict[str, list[dict[str, str]]]
) -> None:
    agree = 0
    for file, rows in sisimai.items():
        failures = failures_in(read_returned((shared_data / "bounce" / "sisimai" / "mails" / file).read_bytes()))
        expected = 0 if rows[0]["reason"] == "vacation" else len(rows)
        agree += len(failures) == expected
    assert len(sisimai) == 286
    assert agree >= 278, "279 of 286 when this was written"


def test_hard_and_soft_agree_with_sisimai(compared: list[Compared]) -> None:
    agree = sum(one.is_hard == one.ours for one in compared)
    assert len(compared) >= 280
    assert agree / len(compared) >= 0.87, f"{agree} of {len(compared)}; 249 of 284 when this was written"
    plain = [one for one in compared if one.reason != "filtered"]
    agree = sum(one.is_hard == one.ours for one in plain)
    assert agree / len(plain) >= 0.92, f"{agree} of {len(plain)} without `filtered`; 246 of 264 when this was written"


def test_dead_addresses_are_recognised(compared: list[Compared]) -> None:
    hard = [one for one in compared if one.is_hard]
    assert sum(one.ours for one in hard) / len(hard) >= 0.88, "86 of 96 when this was written"


def test_an_address_is_not_suppressed_for_what_the_sender_or_the_moment_did(compared: list[Compared]) -> None:
    """The costly mistake: a customer never written to again because of a block list or a full disk."""
    innocent = [one for one in compared if not one.is_hard and one.reason != "filtered"]
    wrongly = Counter(one.reason for one in innocent if one.ours)
    assert wrongly.total() / len(innocent) <= 0.05, f"{wrongly}; 8 of 168 when this was written"
