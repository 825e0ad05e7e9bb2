"""Real SMTP conversations: encrypted, refused, deferred, slow and broken off."""

from __future__ import annotations

import asyncio
import socket
from email import message_from_bytes
from pathlib import Path
from typing import Any

import aiosmtplib
import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keepers.channels.email.channel import EmailChannel, EmailSettings
from keepers.devtools.mailbox import Behave, MailboxReply, Stage
from keepers.model.errors import UserError
from keepers.model.message import Outcome
from posting import NOW, SECRET, Post, message


def answering(stage: Stage, *answers: MailboxReply | None) -> Behave:
    """Gives these answers in turn at the stage, the last one for ever."""
    left = list(answers)

    def behave(at: Stage, recipient: str) -> MailboxReply | None:
        if at != stage:
            return None
        return left.pop(0) if len(left) > 1 else left[0]

    return behave


def outcome_of(post: Post, behave: Behave, **settings: object) -> Outcome:
    (outcome,) = post.send(post.settings(post.mailbox(behave=behave), **settings), message())
    return outcome


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_a_message_arrives_whole(post: Post, tls: str) -> None:
    mailbox = post.mailbox(tls=tls)
    ca_file = str(mailbox.certificate) if tls != "none" else ""
    (outcome,) = post.send(post.settings(mailbox, tls=tls, ca_file=ca_file), message())
    assert outcome.status == "sent", outcome
    assert outcome.provider_id == "mailbox-1"
    (mail,) = mailbox.messages()
    assert mail.recipient == "anna@example.com"
    assert mail.return_path.startswith("bounces+k.")
    assert mail.subject == "Добро пожаловать"
    assert message_from_bytes(mailbox.raw(1))["To"] == "anna@example.com"


def test_an_unknown_certificate_is_refused_unless_told_otherwise(post: Post) -> None:
    mailbox = post.mailbox(tls="starttls")
    (outcome,) = post.send(post.settings(mailbox, tls="starttls"), message())
    assert outcome.status == "deferred"
    assert "certificate" in str(outcome.detail).lower()
    (outcome,) = post.send(post.settings(mailbox, tls="starttls", verify=False), message())
    assert outcome.status == "sent"


def test_nothing_goes_unencrypted_to_a_server_without_starttls(post: Post) -> None:
    mailbox = post.mailbox()
    (outcome,) = post.send(post.settings(mailbox, tls="starttls"), message())
    assert outcome.status == "deferred"
    assert "STARTTLS" in str(outcome.detail)
    assert mailbox.count() == 0


def test_login_is_made_and_a_wrong_password_loses_no_message(post: Post) -> None:
    mailbox = post.mailbox(tls="starttls", login=("shop", "secret"))
    settings = {"tls": "starttls", "ca_file": str(mailbox.certificate), "user": "shop"}
    (outcome,) = post.send(post.settings(mailbox, password="secret", **settings), message())
    assert outcome.status == "sent", outcome
    first, second = post.send(post.settings(mailbox, password="wrong", **settings), message(2), message(3))
    assert first.status == second.status == "deferred"
    assert first.detail.startswith("auth: 535")
    assert second.retry_after is not None, "the server is left alone for a while"
    assert mailbox.count() == 1


def test_connections_are_used_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = post.mailbox()
    connect, opened = aiosmtplib.SMTP.connect, []

    async def counted(client: aiosmtplib.SMTP, **options: Any) -> Any:
        opened.append(client)
        return await connect(client, **options)

    monkeypatch.setattr(aiosmtplib.SMTP, "connect", counted)

    async def run() -> list[Outcome]:
        channel = EmailChannel(post.settings(mailbox, max_connections=3), lambda: NOW, SECRET)
        await channel.open()
        outcomes = await asyncio.gather(*(channel.send(message(n)) for n in range(60)))
        await channel.close()
        return outcomes

    outcomes = asyncio.run(run())
    assert {o.status for o in outcomes} == {"sent"}
    assert len(opened) == 3
    assert len({m.message_id for m in mailbox.messages(limit=100)}) == 60


def test_a_connection_carries_a_limited_number_of_messages(post: Post) -> None:
    mailbox = post.mailbox()
    settings = post.settings(mailbox, max_connections=1, messages_per_connection=2)
    assert {o.status for o in post.send(settings, *(message(n) for n in range(5)))} == {"sent"}


def test_a_connection_closed_between_messages_is_replaced(post: Post) -> None:
    mailbox = post.mailbox()

    async def run() -> list[Outcome]:
        channel = EmailChannel(post.settings(mailbox), lambda: NOW, SECRET)
        await channel.open()
        first = await channel.send(message(1))
        mailbox.drop_connections()
        second = await channel.send(message(2))
        await channel.close()
        return [first, second]

    assert [o.status for o in asyncio.run(run())] == ["sent", "sent"]
    assert mailbox.count() == 2


@pytest.mark.parametrize(
    ("reply", "status", "is_hard", "code"),
    [
        ("550 5.1.1 <anna@example.com>: User unknown", "bounced", True, "5.1.1"),
        ("550 No such user here", "bounced", True, "550"),
        ("552 5.2.2 Mailbox full", "bounced", False, "5.2.2"),
        ("550 go away", "bounced", False, "550"),
        ("554 5.7.1 Client host blocked using zen.spamhaus.example", "failed", False, "5.7.1"),
        ("550 5.7.26 Unauthenticated mail: no SPF, no DKIM", "failed", False, "5.7.26"),
        ("452 4.2.2 The recipient's mailbox is over its quota", "deferred", False, "4.2.2"),
        ("450 4.7.1 Greylisted, come back", "deferred", False, "4.7.1"),
        ("421 4.7.0 Too many connections", "deferred", False, "4.7.0"),
    ],
)
@pytest.mark.parametrize("stage", ["recipient", "data"])
def test_a_refusal_is_the_recipient_s_or_the_sender_s(
    post: Post, stage: Stage, reply: str, status: str, is_hard: bool, code: str
) -> None:
    outcome = outcome_of(post, answering(stage, MailboxReply(reply)))
    if reply == "550 go away" and stage == "data":
        status = "failed"
    assert (outcome.status, outcome.is_hard, outcome.code) == (status, is_hard, code), outcome
    assert reply[4:] in str(outcome.detail)


def test_a_domain_that_says_later_is_left_alone_and_others_are_not(post: Post) -> None:
    mailbox = post.mailbox(
        behave=lambda stage, recipient: (
            MailboxReply("451 4.7.1 Slow down")
            if stage == "recipient" and recipient.endswith("@slow.example")
            else None
        )
    )
    one, two, three = post.send(
        post.settings(mailbox),
        message(1, recipient="a@slow.example"),
        message(2, recipient="b@slow.example"),
        message(3, recipient="c@quick.example"),
    )
    assert one.status == two.status == "deferred"
    assert one.retry_after is not None
    assert one.retry_after.total_seconds() == 30
    assert two.code == "", "the second was not tried"
    assert three.status == "sent"


def test_a_full_mailbox_does_not_stop_its_neighbours(post: Post) -> None:
    mailbox = post.mailbox(behave=answering("recipient", MailboxReply("452 4.2.2 Mailbox full"), None))
    first, second = post.send(post.settings(mailbox), message(1), message(2))
    assert (first.status, second.status) == ("deferred", "sent")


def test_a_domain_s_rate_is_kept_by_deferring(post: Post) -> None:
    mailbox = post.mailbox()
    settings = post.settings(mailbox, per_domain_per_second=0.1)
    first, second, other = post.send(settings, message(1), message(2), message(3, recipient="a@other.example"))
    assert (first.status, second.status, other.status) == ("sent", "deferred", "sent")
    assert second.retry_after is not None
    assert 9 < second.retry_after.total_seconds() <= 10


def test_a_connection_dropped_before_the_message_is_out_loses_nothing(post: Post) -> None:
    outcome = outcome_of(post, answering("recipient", MailboxReply(drop=True)))
    assert (outcome.status, outcome.code) == ("deferred", "unreachable")


def test_a_connection_dropped_after_the_final_dot_is_uncertain(post: Post) -> None:
    mailbox = post.mailbox(behave=answering("data", MailboxReply(drop=True)))
    (outcome,) = post.send(post.settings(mailbox), message())
    assert (outcome.status, outcome.code) == ("failed", "uncertain")
    assert mailbox.count() == 1, "and here it did arrive"


def test_a_server_too_slow_before_the_message_is_left(post: Post) -> None:
    outcome = outcome_of(post, answering("recipient", MailboxReply(wait=60)), timeout=0.2)
    assert (outcome.status, outcome.code) == ("deferred", "unreachable")


def test_a_server_too_slow_after_the_message_is_uncertain(post: Post) -> None:
    outcome = outcome_of(post, answering("data", MailboxReply(wait=60)), data_timeout=0.2)
    assert (outcome.status, outcome.code) == ("failed", "uncertain")


def test_nobody_listening_defers_and_pauses(post: Post) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = EmailSettings(port=closed.getsockname()[1], tls="none", sender="a@b.example")
    first, second = post.send(settings, message(1), message(2))
    assert first.status == second.status == "deferred"
    assert first.retry_after is not None


def test_a_name_that_cannot_be_said_is_an_outcome(post: Post) -> None:
    (outcome,) = post.send(post.settings(post.mailbox(), hello="shop\r\nQUIT"), message())
    assert outcome.status == "deferred", outcome


def test_an_address_beyond_ascii_goes_to_a_server_that_takes_it(post: Post) -> None:
    mailbox = post.mailbox()
    (outcome,) = post.send(post.settings(mailbox), message(recipient="анна@пример.рф"))
    assert outcome.status == "sent", outcome
    assert mailbox.messages()[0].recipient == "анна@xn--e1afmkfd.xn--p1ai"
    plain = post.mailbox(utf8=False)
    refused, taken = post.send(
        post.settings(plain), message(1, recipient="анна@пример.рф"), message(2, recipient="anna@пример.рф")
    )
    assert (refused.status, refused.code) == ("failed", "smtputf8")
    assert taken.status == "sent"


def test_what_cannot_be_sent_is_refused_before_any_connection(post: Post) -> None:
    mailbox = post.mailbox()
    for recipient in ("", "anna", "anna@example.com\r\nDATA"):
        (outcome,) = post.send(post.settings(mailbox), message(recipient=recipient))
        assert (outcome.status, outcome.code) == ("failed", "invalid_address")
    assert mailbox.count() == 0


def test_lines_of_dots_arrive_as_they_were(post: Post) -> None:
    mailbox = post.mailbox()
    content = message().content.__class__(subject="dots", text=".\n..\n.a\nQUIT\n")
    post.send(post.settings(mailbox), message(content=content))
    payload = message_from_bytes(mailbox.raw(1)).get_payload(decode=True)
    assert payload == b".\r\n..\r\n.a\r\nQUIT\r\n"


def test_what_arrives_is_signed(post: Post, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "dkim.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    mailbox = post.mailbox()
    settings = post.settings(mailbox, dkim_key_file=str(path), dkim_selector="june")
    post.send(settings, message(recipient="анна@пример.рф"))
    signer = EmailChannel(settings, lambda: NOW, SECRET).signer
    assert signer is not None
    assert dkim.verify(mailbox.raw(1), dnsfunc=lambda name, timeout=5: signer.dns_record()[1].encode())


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"sender": ""}, "sender"),
        ({"sender": "nobody"}, "nobody"),
        ({"max_connections": 0}, "max_connections"),
        ({"bounce_prefix": "a+b"}, "bounce_prefix"),
        ({"host": "mail.example", "tls": "none", "user": "u", "password": "p"}, "unencrypted"),
        ({"dkim_key_file": "/nowhere/dkim.pem"}, "DKIM"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"reply_to": "a\r\nb"}, "line break"),
    ],
)
def test_settings_that_cannot_work_are_told_at_the_start(wrong: dict[str, object], word: str) -> None:
    settings = EmailSettings(**({"sender": "Shop <hello@shop.example>"} | wrong))
    with pytest.raises(UserError, match=word):
        EmailChannel(settings, lambda: NOW, SECRET)
