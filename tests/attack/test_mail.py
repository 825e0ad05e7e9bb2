"""Mail from outside that is made to cost time or memory."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keepers.channels.email.bounces.mail_reader import MailReader, ReadingLimits
from keepers.channels.email.bounces.returned_mail import MOST_BYTES
from keepers.channels.email.bounces.scanning import addresses, without_excess, without_tags
from keepers.channels.email.bounces.set_aside import MOST_MAILS
from keepers.channels.email.bounces.sources import BounceListener, read_maildir
from keepers.channels.email.reply_reasons import classify_reply
from keepers.model.message import DeliveryReport
from posting import KEY, NOW, VERP, dsn
from waiting import wait_for

RETURN_PATH = VERP.return_path(VERP.token(KEY))


def filled(unit: str, size: int = MOST_BYTES) -> str:
    return unit * (size // len(unit))


def mail(body: str, kind: str = "text/plain", headers: str = "") -> bytes:
    """A bounce by its sender and subject, with a body that is whatever the attacker likes."""
    start = f"From: MAILER-DAEMON@mx.example\nSubject: failed\nContent-Type: {kind}\n{headers}\n"
    return (start + body).encode()[:MOST_BYTES]


def report_of(body: str) -> bytes:
    part = f"--b\nContent-Type: message/delivery-status\n\n{body}\n--b--"
    return mail(part, 'multipart/report; report-type=delivery-status; boundary="b"')


def nested(levels: int) -> bytes:
    return "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(levels)).encode()


HOSTILE = {
    "html of unclosed styles": mail(filled("<style"), "text/html"),
    "html of styles around elements": mail(filled("<style><b>"), "text/html"),
    "html of unclosed comments": mail(filled("<!--"), "text/html"),
    "html with a number of 500,000 digits": mail("&#" + filled("9"), "text/html"),
    "a word without end": mail(filled("a")),
    "signs of addresses": mail(filled("a@")),
    "many addresses": mail("".join(f"u{n}@x.example failed\n" for n in range(25_000))),
    "a line of dashes": mail("x\n" * 30 + filled("-")),
    "lines of blanks": mail(filled(" \n")),
    "words of a reason": mail(filled("user")),
    "a report of blank lines": report_of(filled("\n")),
    "a report on many": report_of(filled("Final-Recipient: rfc822;a@b.c\nAction: failed\n")),
    "a sender without end": ("From: " + filled("a")).encode(),
    "parameters without end": ("Content-Type: " + filled(";")).encode(),
    "folded parameters": ("Content-Type: multipart/mixed" + filled(";\n a=b")).encode(),
    "many fields": filled("X: y\n").encode(),
    "nested parts": nested(5_000),
    "nested parts over many lines": nested(100) + b"x\n" * 200_000,
    "a charset that is slow to read": mail("-" + filled("a"), "text/plain; charset=punycode"),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailReader]:
    made = MailReader(VERP, tmp_path_factory.mktemp("set-aside"))
    yield made
    made.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_of_the_largest_size_is_read_within_the_limits(reader: MailReader, name: str) -> None:
    reader.read(HOSTILE[name], NOW, [RETURN_PATH])
    assert reader.set_aside.count() == 0


def cost(work: Callable[[], object]) -> float:
    """Processor time, the least of three: other programs can only add to it."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(
    "unit", ["a", "a@", "a.", "@", "<style", "<style><b>", "<!--", "<!-- -->", "<a", "&#9", "-", ";", " \n", "user"]
)
def test_searches_take_time_in_proportion_to_the_text(unit: str) -> None:
    def search(text: str) -> None:
        list(addresses(text))
        without_tags(text)
        without_excess(text.encode())
        classify_reply(text)

    short, long = filled(unit, 16_000), filled(unit, 128_000)
    # Eight times the text: a search in the square of its length would take 64 times as long.
    assert cost(lambda: search(long)) < 24 * max(cost(lambda: search(short)), 0.002)


def test_what_the_scanners_find() -> None:
    text = "To <anna.b+x@shop.example>, or né@пример.рф and @b, a@, x@y_ x@y..-"
    assert [a for _, a in addresses(text)] == ["anna.b+x@shop.example", "né@пример.рф", "x@y_", "x@y"]
    html = "<style>a@b.c</style>Dear <b>you</b><!-- no <i> -->: <anna@b.example> &lt;&eacute;&#99999999999;<!-- open"
    assert " ".join(without_tags(html).split()) == "Dear you : <anna@b.example> <é <!-- open"


def test_a_machine_that_was_stopped_while_a_mail_was_read_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = MailReader(VERP, tmp_path / "aside", ReadingLimits(wall_s=0.05, late_tries=3))
    try:
        for attempt in range(3):
            stop_process(reader)
            if attempt < 2:
                with pytest.raises(OSError, match="tried again later"):
                    reader.read(dsn(), NOW)
                assert reader.set_aside.count() == 0
        assert caplog.text == ""
        assert reader.read(dsn(), NOW) == ()
        (kept,) = (tmp_path / "aside").iterdir()
        assert kept.read_bytes() == dsn()
        assert kept.stat().st_mode & 0o777 == 0o600
        assert "set aside, unread: reading it took more than 0.05 s, 3 times" in caplog.text
        caplog.clear()
        assert reader.read(dsn(), NOW) == (), "it is not read again"
        assert caplog.text == ""
    finally:
        reader.stop()


def test_a_mailbox_keeps_a_mail_that_was_not_read_in_time(tmp_path: Path) -> None:
    for name in ("new", "cur"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1").write_bytes(dsn())
    reader = MailReader(VERP, tmp_path / "aside", ReadingLimits(wall_s=0.05))
    stored: list[DeliveryReport] = []
    try:
        stop_process(reader)
        with pytest.raises(OSError, match="tried again later"):
            read_maildir(tmp_path, reader, stored.extend, lambda: NOW)
    finally:
        reader.stop()
    patient = MailReader(VERP, tmp_path / "aside")
    try:
        assert read_maildir(tmp_path, patient, stored.extend, lambda: NOW) == 1
    finally:
        patient.stop()
    assert [report.key for report in stored] == [KEY]


def stop_process(reader: MailReader) -> None:
    """The process of a reader stands still, as all do on a machine that sleeps."""
    os.kill(reader._running().pid, signal.SIGSTOP)


def test_the_system_ends_a_process_that_uses_too_much_processor_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = MailReader(VERP, tmp_path, ReadingLimits(cpu_s=0))
    try:
        reader.read(HOSTILE["nested parts"], NOW)
        assert "took more than 0 s of processor time" in caplog.text
        assert reader.set_aside.count() == 1
    finally:
        reader.stop()


def test_a_mail_that_takes_too_much_memory_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = MailReader(VERP, tmp_path, ReadingLimits(memory_bytes=29 << 20))
    try:
        assert reader.read(HOSTILE["many fields"], NOW) == ()
        assert "of memory" in caplog.text
        assert reader.set_aside.count() == 1
        assert reader.read(dsn(), NOW), "the next mail is read by another process"
    finally:
        reader.stop()


def test_a_maildir_goes_on_past_a_mail_that_cannot_be_read_nor_set_aside(tmp_path: Path) -> None:
    for name in ("new", "cur", "aside"):
        (tmp_path / name).mkdir()
    for n in range(MOST_MAILS):
        (tmp_path / "aside" / f"{n}.eml").touch()
    (tmp_path / "new" / "1").write_bytes(HOSTILE["many fields"])
    (tmp_path / "new" / "2").write_bytes(dsn())
    reader = MailReader(VERP, tmp_path / "aside", ReadingLimits(memory_bytes=29 << 20))
    stored: list[DeliveryReport] = []
    try:
        assert read_maildir(tmp_path, reader, stored.extend, lambda: NOW) == 2
    finally:
        reader.stop()
    assert [report.key for report in stored] == [KEY]
    assert (tmp_path / "cur" / "1:2,S").read_bytes() == HOSTILE["many fields"], "it is still in the mailbox"


def test_the_listener_keeps_senders_with_many_connections_apart_from_others(reader: MailReader) -> None:
    listener = BounceListener("127.0.0.1", 0, reader, lambda reports: None, lambda: NOW)
    listener.start()
    try:
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", listener.port))) for _ in range(40)]
            answers = [one.recv(100)[:3] for one in silent]
            assert answers.count(b"220") == 20
            assert answers.count(b"421") == 20

        def is_taken() -> bool:
            try:
                with smtplib.SMTP("127.0.0.1", listener.port, timeout=60) as client:
                    client.sendmail("", [RETURN_PATH], dsn())
            except smtplib.SMTPConnectError:  # the closed ones are not all noticed yet
                return False
            return True

        assert wait_for(is_taken)
    finally:
        listener.stop()


@given(st.binary(max_size=400), st.integers(0, 1200), st.integers(0, 300), st.integers(1, 400))
@example(b"\xd7\xff", 700, 0, 400).via("undecodable bytes in a status part")
def test_no_mail_stops_the_process_that_reads(
    reader: MailReader, junk: bytes, start: int, length: int, times: int
) -> None:
    data = dsn()
    reader.read(data[:start] + junk * times + data[start + length :], NOW)
    assert reader.set_aside.count() == 0
    assert reader.read(data, NOW)[0].key == KEY
