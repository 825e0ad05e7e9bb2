"""Abuse reports and unsubscribe mails."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keepers.channels.email.bounces.complaints import complaint_reports, unsubscribe_reports
from keepers.channels.email.bounces.reports import reports_in
from keepers.channels.email.bounces.returned_mail import read_returned
from posting import KEY, NOW, VERP


def arf(kind: str = "abuse", *, original: str = "") -> bytes:
    """A report with the parts of RFC 5965 appendix B."""
    original = (
        original
        or f"Return-Path: <{VERP.return_path(VERP.token(KEY))}>\nMessage-ID: <1@shop.example>\nTo: anna@example.com"
    )
    return f"""\
From: <abusedesk@provider.example>
To: <abuse@shop.example>
Subject: FW: Earn money
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from IP 192.0.2.1.

--part1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <anna@example.com>
Source-IP: 192.0.2.1

--part1
Content-Type: message/rfc822

From: Shop <hello@shop.example>
{original}
Subject: Welcome

Hello
--part1--
""".replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("kind", "reported"),
    [("abuse", "complained"), ("fraud", "complained"), ("opt-out", "unsubscribed"), ("not-spam", None),
     ("auth-failure", None)],
)  # fmt: skip
def test_a_complaint_is_about_our_message(kind: str, reported: str | None) -> None:
    reports = complaint_reports(read_returned(arf(kind)), VERP, NOW)
    if reported is None:
        assert reports == ()
        return
    (report,) = reports
    assert report.kind == reported
    assert (report.key, report.message_id, report.recipient) == (KEY, "<1@shop.example>", "anna@example.com")
    assert (report.source, report.at) == ("arf", NOW)


def test_a_complaint_about_no_message_of_ours_is_not_believed() -> None:
    assert complaint_reports(read_returned(arf(original="To: anna@example.com")), VERP, NOW) == ()
    (report,) = complaint_reports(
        read_returned(arf(original="Message-ID: <made@up.example>\nTo: anna@example.com")), VERP, NOW
    )
    assert (report.key, report.recipient) == ("", "")


def test_a_complaint_is_not_taken_for_a_bounce() -> None:
    assert [r.kind for r in reports_in(arf(), VERP, NOW)] == ["complained"]
    assert reports_in(arf("not-spam"), VERP, NOW) == ()


def test_a_mail_to_the_unsubscribe_address_unsubscribes_its_message() -> None:
    address = f"unsubscribe+{VERP.token(KEY)}@bounce.shop.example"
    mail = f"From: Anna <anna@example.com>\r\nTo: {address}\r\nSubject: unsubscribe\r\n\r\n".encode()
    (report,) = reports_in(mail, VERP, NOW)
    assert (report.kind, report.key, report.recipient) == ("unsubscribed", KEY, "anna@example.com")
    assert unsubscribe_reports(read_returned(mail.replace(b"+k.0f", b"+k.1f")), VERP, NOW) == ()
    assert unsubscribe_reports(read_returned(mail.replace(b"Subject: unsubscribe", b"Subject: hello")), VERP, NOW) == ()


@given(st.binary(max_size=300), st.integers(0, 900), st.integers(0, 300))
@example(b"\0", 230, 0).via("a NUL character in the name of a charset")
def test_broken_reports_raise_nothing(junk: bytes, start: int, length: int) -> None:
    data = arf()
    reports_in(data[:start] + junk + data[start + length :], VERP, NOW)
