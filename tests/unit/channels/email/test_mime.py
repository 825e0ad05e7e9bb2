"""Composed messages, read back by the standard library."""

from __future__ import annotations

from email import charset, message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.mime import OutgoingMail, SenderIdentity, compose, encoded_text
from keepers.channels.email.verp import Verp
from keepers.model.errors import UserError
from keepers.model.message import Content, Outgoing
from posting import NOW, SECRET, message

IDENTITY = SenderIdentity(
    sender="Магазин Żółw <hello@shop.example>",
    verp=Verp(SECRET, "bounce.shop.example"),
    reply_to="Anna from the shop <anna@shop.example>",
    unsubscribe_mailto="unsubscribe@bounce.shop.example",
)


def composed(outgoing: Outgoing, identity: SenderIdentity = IDENTITY) -> OutgoingMail:
    mail = compose(outgoing, identity, NOW)
    lines = mail.data.split(b"\r\n")
    assert all(len(line) <= 998 for line in lines)
    assert all(b"\r" not in line and b"\n" not in line for line in lines)
    return mail


def read(outgoing: Outgoing, identity: SenderIdentity = IDENTITY) -> EmailMessage:
    found = message_from_bytes(composed(outgoing, identity).data, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def test_a_message_says_who_what_and_when() -> None:
    found = read(message())
    assert found["From"].addresses[0].display_name == "Магазин Żółw"
    assert found["From"].addresses[0].addr_spec == "hello@shop.example"
    assert str(found["To"]) == "anna@example.com"
    assert str(found["Subject"]) == "Добро пожаловать"
    assert str(found["Reply-To"]) == "Anna from the shop <anna@shop.example>"
    assert found["Date"].datetime.isoformat() == "2026-06-01T12:00:00+00:00"
    assert str(found["Feedback-ID"]) == "welcome:newsletter:marketing:shop-example"
    assert str(found["List-Id"]) == "<newsletter.shop.example>"
    assert str(found["Auto-Submitted"]) == "auto-generated"
    assert "Precedence" not in found


def test_headers_are_the_same_whatever_a_library_registers_for_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charset, "CHARSETS", dict(charset.CHARSETS))
    charset.add_charset("utf-8", charset.QP, charset.QP, "utf-8")
    assert encoded_text("Магазин Żółw i syn", len("From: ")) == "=?utf-8?b?0JzQsNCz0LDQt9C40L0gxbvDs8WCdyBpIHN5bg==?="


@pytest.mark.parametrize(
    ("provider", "name", "value"),
    [
        ("sendgrid", "X-SMTPAPI", '{"unique_args": {"keepers-key": "k1"}}'),
        ("mailgun", "X-Mailgun-Variables", '{"keepers-key": "k1"}'),
        ("postmark", "X-PM-Metadata-keepers-key", "k1"),
        ("ses", "X-SES-MESSAGE-TAGS", "keepers-key=k1"),
    ],
)
def test_the_key_travels_along_for_the_provider_alone(provider: str, name: str, value: str) -> None:
    assert read(message(key="k1"), IDENTITY._replace(provider=provider))[name] == value
    assert name not in read(message(key="k1"))
    hostile = composed(message(key="k1\r\nBcc: anna@example.com"), IDENTITY._replace(provider=provider))
    assert b"\nBcc" not in hostile.data


def test_text_and_html_are_alternatives() -> None:
    found = read(message())
    assert found.get_content_type() == "multipart/alternative"
    plain, html = found.iter_parts()
    assert plain.get_content() == "Привет, Анна\r\n"
    assert html.get_content() == "<p>Привет, Анна</p>\r\n"


def test_one_body_is_no_multipart() -> None:
    assert read(message(content=Content(subject="a", text="b"))).get_content_type() == "text/plain"
    assert read(message(content=Content(subject="a", html="b"))).get_content_type() == "text/html"
    with pytest.raises(UserError):
        compose(message(content=Content(subject="a")), IDENTITY, NOW)


def test_the_same_message_gives_the_same_bytes() -> None:
    assert composed(message()) == composed(message())
    assert composed(message(1)).message_id != composed(message(2)).message_id
    assert composed(message(message_id="<a.b@shop.example>")).message_id == "<a.b@shop.example>"


@given(st.text(max_size=300), st.text(max_size=200))
def test_no_subject_or_name_adds_a_header(subject: str, name: str) -> None:
    sender = name.replace("<", "").replace(">", "")
    try:
        found = compose(
            message(content=Content(subject=subject, text="x"), sender=f"{sender} <a@b.example>"), IDENTITY, NOW
        )
    except UserError:
        found = compose(message(content=Content(subject=subject, text="x")), IDENTITY, NOW)
    names = [key.lower() for key, _ in message_from_bytes(found.data).items()]
    assert len(names) == len(set(names)) == 15
    assert all(len(line) <= 998 for line in found.data.split(b"\r\n"))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=3000))
def test_bodies_come_back_as_they_were(text: str) -> None:
    mail = compose(message(content=Content(subject="a", text=text or "x", html=text or "x")), IDENTITY, NOW)
    assert mail.data.isascii()
    plain, html = message_from_bytes(mail.data).get_payload()  # type: ignore[misc]
    wanted = text or "x"
    for part in (plain, html):
        got = part.get_payload(decode=True).decode().replace("\r\n", "\n")  # type: ignore[union-attr]
        assert got.removesuffix("\n") == wanted.removesuffix("\n")


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": "anna@example.com\r\nBcc: x@y.example"},
        {"sender": "Shop <a@b.example>\nBcc: x@y.example"},
        {"reply_to": "x\r\nBcc: y <x@y.example>"},
        {"message_id": "<a@b>\r\nBcc: x"},
        {"unsubscribe_url": "https://shop.example/\r\nBcc: x@y.example"},
        {"unsubscribe_url": "https://shop.example/>,<https://evil.example/"},
        {"unsubscribe_url": "javascript:alert(1)"},
    ],
)
def test_a_header_cannot_be_injected_where_the_value_has_to_be_exact(change: dict[str, str]) -> None:
    with pytest.raises(UserError):
        compose(message(**change), IDENTITY, NOW)


def test_topic_and_campaign_are_reduced_to_labels() -> None:
    found = read(message(topic="new\r\ns: Ж", campaign="a:b c"))
    assert str(found["List-Id"]) == "<new-s.shop.example>"
    assert str(found["Feedback-ID"]).startswith("a-b-c:new-s:")


def test_transactional_mail_is_no_list() -> None:
    found = read(message(is_transactional=True, unsubscribe_url="", topic="orders"))
    assert not {"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"} & set(found.keys())
    assert str(found["Feedback-ID"]) == "welcome:orders:transactional:shop-example"


def test_an_address_beyond_ascii_stands_in_utf_8() -> None:
    mail = composed(message(recipient="анна@пример.рф"))
    assert mail.needs_utf8
    assert str(mail.recipient) == "анна@xn--e1afmkfd.xn--p1ai"
    assert "To: анна@xn--e1afmkfd.xn--p1ai\r\n".encode() in mail.data
    assert not composed(message(recipient="anna@пример.рф")).needs_utf8


def test_one_click_unsubscribe_is_as_rfc_8058_wants_it(shared_data: Path) -> None:
    rules = (shared_data / "rules" / "rfc8058_requirements.md").read_text(encoding="utf-8")
    assert "exactly `List-Unsubscribe=One-Click`" in rules
    url = "https://shop.example/u/" + "a" * 300
    found = read(message(unsubscribe_url=url))
    assert found.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    (value,) = found.get_all("List-Unsubscribe", [])
    first, second = (part.strip().strip("<>") for part in str(value).split(","))
    assert first == url, "one HTTPS address, whole, though it is longer than a line usually is"
    assert second.startswith("mailto:unsubscribe+k.")
    assert IDENTITY.verp.find([second]) == message().key, "the mail says by itself who unsubscribes"


def test_a_link_without_tls_is_no_one_click() -> None:
    found = read(message(unsubscribe_url="http://127.0.0.1:8787/u/x"))
    assert "List-Unsubscribe" in found
    assert "List-Unsubscribe-Post" not in found


def test_the_return_path_is_the_message_s_own() -> None:
    mail = composed(message())
    assert IDENTITY.verp.read(mail.return_path) == message().key
    assert f"X-Keepers-Message: {IDENTITY.verp.token(message().key)}".encode() in mail.data
