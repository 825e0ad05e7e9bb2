"""Where bounces come in: committed first, marked afterwards, nothing lost in between."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from pathlib import Path

import pytest

from keepers.channels.email.bounces.mail_reader import MailReader
from keepers.channels.email.bounces.sources import BounceListener, read_maildir, read_mbox
from keepers.model.errors import NotFoundError
from keepers.model.message import DeliveryReport
from posting import KEY, NOW, VERP, dsn


class ReportStore:
    """Takes reports, and refuses as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.reports: list[DeliveryReport] = []
        self.failures = failures

    def add(self, reports: Sequence[DeliveryReport]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.reports.extend(reports)


def about(number: int) -> bytes:
    return dsn().replace(VERP.token(KEY).encode(), VERP.token(f"{number:032x}").encode())


def keys(stored: ReportStore) -> list[int]:
    return [int(report.key, 16) for report in stored.reports]


def test_the_listener_takes_bounces_and_is_no_relay(reader: MailReader) -> None:
    stored = ReportStore()
    listener = BounceListener("127.0.0.1", 0, reader, stored.add, lambda: NOW)
    listener.start()
    try:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=20) as client:
            client.sendmail("", [VERP.return_path(VERP.token(KEY))], dsn())
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="Relaying denied"):
                client.sendmail("", ["anna@elsewhere.example"], dsn())
    finally:
        listener.stop()
    assert [(r.key, r.is_hard) for r in stored.reports] == [(KEY, True)]


def test_the_listener_lets_the_sender_keep_what_could_not_be_committed(
    reader: MailReader, caplog: pytest.LogCaptureFixture
) -> None:
    stored = ReportStore(failures=1)
    troubles: list[str] = []
    listener = BounceListener("127.0.0.1", 0, reader, stored.add, lambda: NOW, troubles.append)
    listener.start()
    try:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=20) as client:
            with pytest.raises(smtplib.SMTPDataError, match="451"):
                client.sendmail("", [VERP.return_path(VERP.token(KEY))], dsn())
            client.sendmail("", [VERP.return_path(VERP.token(KEY))], dsn())
    finally:
        listener.stop()
    assert len(stored.reports) == 1
    assert len(troubles) == 1
    assert "could not be taken" in caplog.text


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    for number in range(5):
        (tmp_path / "new" / f"1700000000.M{number}.host").write_bytes(about(number))
    return tmp_path


def test_a_maildir_is_read_and_what_was_read_moves_on(reader: MailReader, maildir: Path) -> None:
    stored = ReportStore()
    assert read_maildir(maildir, reader, stored.add, lambda: NOW, most=3) == 3
    assert read_maildir(maildir, reader, stored.add, lambda: NOW) == 2
    assert read_maildir(maildir, reader, stored.add, lambda: NOW) == 0
    assert keys(stored) == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in (maildir / "cur").iterdir())[0] == "1700000000.M0.host:2,S"


def test_a_maildir_interrupted_goes_on_where_it_was(reader: MailReader, maildir: Path) -> None:
    stored = ReportStore()
    read_maildir(maildir, reader, stored.add, lambda: NOW, most=2)
    stored.failures = 1
    with pytest.raises(RuntimeError):
        read_maildir(maildir, reader, stored.add, lambda: NOW)
    assert len(list((maildir / "new").iterdir())) == 3
    assert read_maildir(maildir, reader, stored.add, lambda: NOW) == 3
    assert keys(stored) == [0, 1, 2, 3, 4]


def test_a_folder_that_is_no_maildir_is_told(reader: MailReader, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Maildir"):
        read_maildir(tmp_path, reader, ReportStore().add, lambda: NOW)


def mbox(*numbers: int) -> bytes:
    mails = (
        b"From MAILER-DAEMON Mon Jun  1 12:00:00 2026\n" + about(n).replace(b"\r\n", b"\n") + b"\n" for n in numbers
    )
    return b"".join(mails)


def test_an_mbox_is_read_from_where_it_was_left(reader: MailReader, tmp_path: Path) -> None:
    path, stored = tmp_path / "bounces", ReportStore()
    path.write_bytes(mbox(1, 2, 3))
    before = path.read_bytes()
    assert read_mbox(path, reader, stored.add, lambda: NOW, most=2) == 2
    stored.failures = 1
    with pytest.raises(RuntimeError):
        read_mbox(path, reader, stored.add, lambda: NOW)
    assert read_mbox(path, reader, stored.add, lambda: NOW) == 1
    assert path.read_bytes() == before, "the mailbox is left as it is"
    with path.open("ab") as file:
        file.write(mbox(4, 5))
    assert read_mbox(path, reader, stored.add, lambda: NOW) == 2
    assert read_mbox(path, reader, stored.add, lambda: NOW) == 0
    assert keys(stored) == [1, 2, 3, 4, 5]


def test_an_mbox_that_was_emptied_is_read_from_its_beginning(reader: MailReader, tmp_path: Path) -> None:
    path, stored = tmp_path / "bounces", ReportStore()
    path.write_bytes(mbox(1, 2))
    read_mbox(path, reader, stored.add, lambda: NOW)
    path.write_bytes(mbox(3))
    assert read_mbox(path, reader, stored.add, lambda: NOW) == 1
    assert keys(stored) == [1, 2, 3]
    with pytest.raises(NotFoundError):
        read_mbox(tmp_path / "none", reader, stored.add, lambda: NOW)


def test_other_mail_in_the_box_is_passed_over(reader: MailReader, tmp_path: Path) -> None:
    path, stored = tmp_path / "bounces", ReportStore()
    path.write_bytes(b"From anna Mon Jun  1 12:00:00 2026\nSubject: hi\n\n>From here\n\n" + mbox(7))
    assert read_mbox(path, reader, stored.add, lambda: NOW) == 2
    assert keys(stored) == [7]
