"""Bounce mails collected by two other projects, read here, and how far their verdicts and ours agree.

The words and codes were written with every second mail of the sisimai collection in view; of the other half those that
differed were looked at last. Left is what words cannot decide: “User unknown” that sisimai takes for something else, a
refusal without any reason, a delay that it calls hard.
"""

from __future__ import annotations

import csv
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
        # Its table names no addresses: of several recipients the verdicts are compared, whatever their order.
        hard = [f.action == "failed" and f.verdict.is_hard for f in failures]
        in_order = sorted(rows, key=lambda row: (row["hardbounce"], row["reason"] == "filtered"))
        for row, ours in zip(in_order, sorted(hard), strict=True):
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
    assert agree >= 281, "282 of 286 when this was written"


def test_hard_and_soft_agree_with_sisimai(compared: list[Compared]) -> None:
    assert len(compared) >= 280
    plain = [one for one in compared if one.reason != "filtered"]
    agree = sum(one.is_hard == one.ours for one in plain)
    assert agree / len(plain) >= 0.97, f"{agree} of {len(plain)}; 264 of 272 when this was written"


def test_dead_addresses_are_recognised(compared: list[Compared]) -> None:
    hard = [one for one in compared if one.is_hard]
    found = sum(one.ours for one in hard)
    assert found / len(hard) >= 0.93, f"{found} of {len(hard)}; 97 of 101 when this was written"


SAYS_UNKNOWN = {"lhost-ezweb-02.eml", "rhost-nttdocomo-02.eml", "rfc3464-01.eml", "rfc3464-35.eml"}
"""their reports say “user unknown” or “not a registered gateway user”; sisimai knows more of these hosts"""


def test_an_address_is_not_suppressed_for_what_the_sender_or_the_moment_did(compared: list[Compared]) -> None:
    """The costly mistake: a customer never written to again because of a block list or a full disk."""
    innocent = [one for one in compared if not one.is_hard and one.reason != "filtered"]
    assert len(innocent) >= 165
    assert {one.file for one in innocent if one.ours} <= SAYS_UNKNOWN
