"""Bounces as servers write them, read into reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.bounces.returned_mail import read_returned
from keepers.channels.email.bounces.status_notifications import bounce_reports, failures_in
from keepers.channels.email.reply_codes import FAULTS, STATUS
from keepers.channels.email.reply_reasons import classify_reply
from keepers.channels.email.verp import Verp
from posting import KEY, NOW, VERP, dsn


def test_a_dead_address_is_a_hard_bounce_of_our_message() -> None:
    (report,) = bounce_reports(read_returned(dsn()), VERP, NOW)
    assert report.kind == "bounced"
    assert report.is_hard
    assert (report.key, report.message_id) == (KEY, "<1234@shop.example>")
    assert report.recipient == "anna@example.com", "as we wrote to it, not where it was forwarded"
    assert (report.code, report.at, report.channel, report.source) == ("5.1.1", NOW, "email", "dsn")
    assert "User unknown" in report.detail


def test_the_message_is_known_by_its_headers_when_the_return_path_is_lost() -> None:
    (report,) = bounce_reports(read_returned(dsn(to="hello@shop.example")), VERP, NOW)
    assert report.key == KEY
    assert report.is_hard


def test_the_envelope_tells_the_message_when_nothing_was_returned() -> None:
    data = b"From: mailer-daemon@mx.example\r\nSubject: failure notice\r\n\r\nNo such user here.\r\n"
    (report,) = bounce_reports(read_returned(data), VERP, NOW, [VERP.return_path(VERP.token(KEY)).upper()])
    assert (report.key, report.is_hard, report.recipient) == (KEY, True, "")


def test_a_full_mailbox_is_soft() -> None:
    (report,) = bounce_reports(read_returned(dsn("5.2.2", diagnostic="smtp; 552 5.2.2 Over quota")), VERP, NOW)
    assert report.kind == "bounced"
    assert not report.is_hard
    assert report.detail.startswith("full:")


def test_a_delay_is_no_bounce_and_a_delivery_is_told() -> None:
    assert bounce_reports(read_returned(dsn("4.4.1", "delayed", "smtp; 451 4.4.1 Timeout")), VERP, NOW) == ()
    (report,) = bounce_reports(read_returned(dsn("2.0.0", "delivered", "smtp; 250 ok")), VERP, NOW)
    assert report.kind == "delivered"


def test_a_forged_bounce_suppresses_nobody() -> None:
    guessed = dsn(to="bounces@bounce.shop.example").replace(VERP.token(KEY).encode(), b"k.guess.aaaaaaaaaaaa")
    (report,) = bounce_reports(read_returned(guessed), VERP, NOW)
    assert (report.key, report.message_id) == ("", "<1234@shop.example>")
    assert report.recipient == "", "a made-up Message-ID is about no message, and so about nobody"
    bare = guessed.replace(b"Message-ID: <1234@shop.example>\r\n", b"")
    assert bounce_reports(read_returned(bare), VERP, NOW) == ()


def test_without_a_secret_a_bounce_is_known_by_its_recipient_and_soft() -> None:
    data = dsn(to="bounces@bounce.shop.example").replace(b"Message-ID: <1234@shop.example>\r\n", b"")
    (report,) = bounce_reports(read_returned(data), Verp(b"", "bounce.shop.example"), NOW)
    assert (report.key, report.recipient, report.is_hard) == ("", "anna@example.com", False)


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: anna@example.com\r\nSubject: Thanks!\r\n\r\nLovely shoes.\r\n",
        b"From: anna@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nBack on Monday.\r\n",
        b"From: anna@example.com\r\nSubject: Re: welcome\r\n\r\nbounce@x.example is my other address\r\n",
    ],
)
def test_other_mail_reports_nothing(mail: bytes) -> None:
    assert bounce_reports(read_returned(mail), VERP, NOW, [VERP.return_path(VERP.token(KEY))]) == ()


@given(st.binary(max_size=400), st.integers(0, 1200), st.integers(0, 400))
def test_broken_mail_raises_nothing(junk: bytes, start: int, length: int) -> None:
    data = dsn()
    bounce_reports(read_returned(data[:start] + junk + data[start + length :]), VERP, NOW)


def test_exim_s_own_format_is_read() -> None:
    data = b"""\
X-Failed-Recipients: anna@example.com
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.example>
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its recipients.

  anna@example.com
    host mx.example.com [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<anna@example.com>:
    550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown

------ This is a copy of the message, including all the headers. ------

Message-ID: <77@shop.example>
"""
    (report,) = bounce_reports(read_returned(data), VERP, NOW)
    assert (report.recipient, report.is_hard, report.message_id) == ("", True, "<77@shop.example>")
    assert [f.recipient for f in failures_in(read_returned(data))] == ["anna@example.com"]


def test_a_mail_too_large_is_read_within_bounds() -> None:
    failures = failures_in(read_returned(dsn() + b"x" * 3_000_000))
    assert len(failures) == 1
    assert len(failures[0].diagnostic) <= 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("550 5.1.1 The email account that you tried to reach does not exist", "unknown_user"),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "unknown_user"),
        ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "unknown_user"),
        ("Host or domain name not found. Name service error for name=nowhere.example type=A", "unknown_host"),
        ("556 5.1.10 Domain does not accept mail (nullMX)", "no_mail"),
        ("452 4.2.2 The email account that you tried to reach is over quota", "full"),
        ("552 5.3.4 Message size exceeds fixed limit", "too_big"),
        ("550 5.7.26 This message fails to pass SPF checks", "authentication"),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "blocked"),
        ("421 4.7.0 Our system has detected an unusual rate of unsolicited mail", "spam"),
        ("450 4.2.0 Greylisted, please try again later", "rate"),
        ("550 5.2.1 The email account that you tried to reach is disabled", "inactive"),
        ("connect to mx.example[192.0.2.1]:25: Connection refused", "network"),
        ("", "unknown"),
    ],
)
def test_the_words_of_large_providers_are_understood(text: str, reason: str) -> None:
    assert classify_reply(text).reason == reason


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("550 5.1.1 No such user", "recipient"),
        ("552 5.2.2 Over quota", "recipient"),
        (
            "550 5.7.1 messages from [203.0.113.7] weren't sent, as it is on our list (S3150)",
            "reputation",
        ),
        ("550 OU-002 (COL004) Unfortunately, messages from 203.0.113.7 weren't sent.", "reputation"),
        ("421 4.7.0 [TSS04] Messages from 203.0.113.7 temporarily deferred due to user complaints", "reputation"),
        ("554 5.7.1 Client host blocked using zen.spamhaus.org", "reputation"),
        ("550 5.7.26 Unauthenticated email from shop.example is not accepted due to DMARC policy", "reputation"),
        ("554 5.7.1 [CS01] Message rejected due to local policy", "content"),
        ("554 DT:SPM 163 smtp3", "content"),
        ("550 5.7.1 This message looks like spam", "content"),
        ("552 5.3.4 Message size exceeds fixed limit", "content"),
        ("450 4.2.0 Greylisted, please try again later", "server"),
        ("451 4.3.0 Internal server error", "server"),
        ("connect to mx.example[192.0.2.1]:25: Connection timed out", "server"),
        ("550 5.7.1 Relaying denied", "policy"),
        ("550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup", "policy"),
        ("550 5.7.0 Not authorized by the policy of this group", "policy"),
        ("550 Брак: нет такого пользователя", "recipient"),
        ("550 Skrzynka jest przepełniona", "recipient"),
        ("550 用户不存在", "recipient"),
    ],
)
def test_a_refusal_says_whose_fault_it_is(text: str, fault: str) -> None:
    assert classify_reply(text).fault == fault


@pytest.mark.parametrize("code", [f"5.{detail}" for detail in STATUS])
def test_every_registered_code_has_a_fault(code: str) -> None:
    assert classify_reply("", code).fault == FAULTS[STATUS[code.partition(".")[2]]]


def test_an_unknown_user_is_one_when_the_server_has_given_up() -> None:
    words = "smtp; 450 4.1.1 <anna@example.com>: User unknown in virtual alias table"
    (report,) = bounce_reports(read_returned(dsn("4.1.1", diagnostic=words)), VERP, NOW)
    assert report.is_hard
    (report,) = bounce_reports(read_returned(dsn("4.4.3", diagnostic="smtp; Host not found, try again")), VERP, NOW)
    assert (report.is_hard, report.fault) == (False, "server")


def test_a_mail_program_s_own_failure_is_not_the_recipient_s() -> None:
    words = "x-unix; procmail: Couldn't create /var/spool/mail/anna: No such user"
    (report,) = bounce_reports(read_returned(dsn("5.1.1", diagnostic=words)), VERP, NOW)
    assert (report.is_hard, report.fault) == (False, "server")


ABSENCE = {
    "Automatic reply: Autumn": "I am away until 2026-12-04, call ext. 512 or 550. Error 5.1.1 in my calendar.",
    "Automatische Antwort: Herbst": "Bis 4.12. nicht im Haus, Vertretung unter Durchwahl 512. Postfach ungelesen.",
    "Odpowiedź automatyczna: Jesień": "Urlop do 4.12, pilne sprawy: wew. 512. Skrzynka nieczynna.",
    "Автоответ: осень": "Я в отпуске до 4.12, доб. 550. Этот ящик не читается, адрес недоступен.",
    "Risposta automatica: Autunno": "Sono assente fino al 4/12, interno 512. Casella non presidiata.",
    "Réponse automatique : automne": "Absent jusqu'au 4.12, poste 512. Adresse inconnue de mes collègues.",
    "Respuesta automática: otoño": "Ausente hasta el 4.12, extensión 550. Usuario no disponible.",
    "自动回复：秋天": "我休假到 12 月 4 日，分机 512。邮箱暂停使用。",
    "自動返信: 秋": "12月4日まで休暇です。内線 550。",
    "Automatisch antwoord: herfst": "Afwezig tot 4.12, toestel 512, kamer 421.",
    "Left": "Ms Example has left the company, her mailbox is no longer in use. Call ext. 512.",
    "Re: [Ticket#550123] Hello": "Thanks, this is ticket 550123. Nobody reads this mailbox, address unavailable.",
    "Your request was rejected": "550 items failed. No such user here, unknown user.",
}


@pytest.mark.parametrize("subject", ABSENCE)
@pytest.mark.parametrize(
    "more",
    [
        "Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All",
        "Auto-Submitted: auto-replied",
        "Precedence: auto_reply",
        "X-Mailer: none",
    ],
)
@pytest.mark.parametrize("path", ["<>", "<max@firma.example>"])
def test_answers_of_people_and_their_programs_count_against_nobody(subject: str, more: str, path: str) -> None:
    mail = f"Return-Path: {path}\nFrom: Max <max@firma.example>\nTo: {VERP.return_path(VERP.token(KEY))}\n"
    mail += f"Subject: {subject}\n{more}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
    mail += ABSENCE[subject]
    assert bounce_reports(read_returned(mail.encode()), VERP, NOW) == ()


def test_sendmail_s_transcript_has_a_verdict_for_each_recipient() -> None:
    data = b"""\
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>
Subject: Returned mail: User unknown

   ----- Transcript of session follows -----
While talking to mx.example.org:
>>> RCPT To:<bob@example.org>
<<< 550 No such user here.
550 <bob@example.org>... User unknown
554 <eve@example.net>... Remote protocol error: Connection reset by peer

   ----- Unsent message follows -----
From: shop@shop.example
To: bob@example.org
"""
    found = {f.recipient: f.verdict.fault for f in failures_in(read_returned(data))}
    assert found == {"bob@example.org": "recipient", "eve@example.net": "server"}
    assert {f.recipient for f in failures_in(read_returned(data.replace(b"\n", b"\r")))} == set(found)


def test_the_recipient_is_not_our_own_address_nor_an_alias() -> None:
    own = b"From: post_master@mx.example\nSubject: Re: Hi\n\nError: Invalid user address\n550 - no such user here\n"
    own += b"  MAIL FROM: shop@shop.example\n  RCPT TO: anna@example.com\n"
    assert [f.recipient for f in failures_in(read_returned(own))] == ["anna@example.com"]


def test_what_is_called_temporary_is_never_hard() -> None:
    assert not classify_reply("450 4.1.1 User unknown in virtual alias table").is_hard
    assert not classify_reply("451 4.1.8 Domain of sender address does not resolve").is_hard
    assert classify_reply("550 User unknown").is_hard
