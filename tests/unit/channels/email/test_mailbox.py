"""The mailbox that comes with Keepers: keeps everything, shows it, and lets nothing out of its frame."""

from __future__ import annotations

import smtplib
from html import unescape
from pathlib import Path

import httpx
import pytest

from keepers.devtools.mailbox import Mailbox, behave_by_address
from keepers.model.errors import UserError
from keepers.model.message import Content
from posting import NOW, Post, message

EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture
def mailbox(post: Post) -> Mailbox:
    return post.mailbox(http_port=0)


def put(mailbox: Mailbox, *, subject: str = "Hello", html: str = "<p>Hi</p>", to: str = "anna@example.com") -> None:
    mail = (
        f"From: Shop <hello@shop.example>\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}\r\n"
    )
    mailbox.folder.add(mail.encode(), "bounces@shop.example", [to], NOW)


def page(mailbox: Mailbox, path: str = "") -> httpx.Response:
    return httpx.get(mailbox.url + path, timeout=20, trust_env=False)


def test_what_arrived_is_listed_the_newest_first_and_searched(post: Post, mailbox: Mailbox) -> None:
    post.send(post.settings(mailbox), message(1), message(2, recipient="boris@example.com"))
    assert mailbox.count() == 2
    assert [m.recipient for m in mailbox.messages()] == ["boris@example.com", "anna@example.com"]
    assert [m.recipient for m in mailbox.messages("АННА добро".replace("АННА", "anna"))] == ["anna@example.com"]
    assert mailbox.count("100%") == 0
    listed = page(mailbox).text
    assert "2 messages" in listed
    assert listed.index("boris@example.com") < listed.index("anna@example.com")
    assert "boris@" not in page(mailbox, "?q=anna").text
    assert "Nothing matches" in page(mailbox, "?q=nobody").text


def test_an_empty_mailbox_says_so(mailbox: Mailbox) -> None:
    assert "Nothing has arrived yet" in page(mailbox).text
    assert page(mailbox, "7").status_code == 404
    assert page(mailbox, "../etc/passwd").status_code == 404


def test_many_messages_come_in_pages(mailbox: Mailbox) -> None:
    for number in range(120):
        put(mailbox, subject=f"number {number}")
    first, last = page(mailbox).text, page(mailbox, "?page=3").text
    assert first.count("<tr><td") == 50
    assert "Older" in first
    assert last.count("<tr><td") == 20
    assert "Newer" in last
    assert page(mailbox, "?page=nonsense").status_code == 200
    assert sorted(p.name for p in mailbox.folder.folder.glob("*/*.eml"))[-1] == "0000120.eml"


def test_nothing_a_mail_says_becomes_part_of_the_page(mailbox: Mailbox) -> None:
    put(mailbox, subject=EVIL, to=f"{EVIL.replace('<', '(')}@example.com", html=f"<p>{EVIL}</p>")
    for path in ("", "1", "1?view=text", "1?view=headers", "1?view=raw", f"?q={EVIL}"):
        shown = page(mailbox, path)
        assert "<script" not in shown.text
        assert "script" not in shown.headers["content-security-policy"]
        assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert EVIL in unescape(page(mailbox).text)


def test_a_mail_s_html_is_shut_into_a_sandbox_without_remote_images(mailbox: Mailbox) -> None:
    put(mailbox, html="<html><head></head><body><img src='https://shop.example/open.gif'>Hi</body></html>")
    assert '<iframe sandbox="allow-popups' in page(mailbox, "1").text
    shown = page(mailbox, "1/html")
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "img-src data:" in policy
    assert "http:" not in policy
    assert '<head><base target="_blank">' in shown.text
    assert "img-src http: https: data:" in page(mailbox, "1/html?images=1").headers["content-security-policy"]


def test_each_view_shows_its_part(post: Post, mailbox: Mailbox) -> None:
    post.send(post.settings(mailbox), message(content=Content(subject="Żółw", html="<p>Hej</p>", text="Hej, *Anna*")))
    assert "Hej, *Anna*" in page(mailbox, "1?view=text").text
    assert "List-Unsubscribe-Post" in page(mailbox, "1?view=headers").text
    assert "Content-Transfer-Encoding" in page(mailbox, "1?view=raw").text
    raw = page(mailbox, "1/raw")
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.content == mailbox.raw(1)
    assert "Żółw" in page(mailbox, "1").text


def test_a_mail_that_is_no_mail_is_shown_all_the_same(mailbox: Mailbox) -> None:
    mailbox.folder.add(b"\xff\xfe not a mail", "", ["a@b.example"], NOW)
    mailbox.folder.add(
        b"Subject: =?bad?q?x?=\r\nContent-Type: text/html; charset=nope\r\n\r\n\xff", "", ["a@b.example"], NOW
    )
    for path in ("", "1", "2", "2/html", "2?view=raw"):
        assert page(mailbox, path).status_code == 200


def test_what_arrived_outlives_the_server(post: Post, tmp_path: Path) -> None:
    first = Mailbox(tmp_path / "kept", smtp_port=0, http_port=None, now=lambda: NOW)
    first.start()
    post.send(post.settings(first), message())
    first.stop()
    again = Mailbox(tmp_path / "kept", smtp_port=0, http_port=None, now=lambda: NOW)
    assert again.count() == 1
    assert again.messages()[0].at == NOW


def test_ways_to_answer_can_be_asked_for_by_address(post: Post) -> None:
    mailbox = post.mailbox(behave=behave_by_address)
    replies = {}
    for way in ("later", "unknown", "full", "spam"):
        with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=20) as client:
            try:
                client.sendmail("a@b.example", [f"anna+{way}@example.com"], b"Subject: x\r\n\r\nx")
            except smtplib.SMTPRecipientsRefused as error:
                replies[way] = next(iter(error.recipients.values()))[0]
            except smtplib.SMTPDataError as error:
                replies[way] = error.smtp_code
    assert replies == {"later": 450, "unknown": 550, "full": 552, "spam": 554}
    assert mailbox.count() == 0


def test_a_port_that_is_taken_is_told(post: Post, tmp_path: Path) -> None:
    taken = post.mailbox(http_port=0)
    with pytest.raises(UserError, match=str(taken.smtp_port)):
        Mailbox(tmp_path / "other", smtp_port=taken.smtp_port, http_port=None, now=lambda: NOW).start()
    port = int(taken.url.rstrip("/").rpartition(":")[2])
    second = Mailbox(tmp_path / "another", smtp_port=0, http_port=port, now=lambda: NOW)
    with pytest.raises(UserError, match=str(port)):
        second.start()
    second.stop()
