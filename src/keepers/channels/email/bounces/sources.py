"""Where bounces and complaints come in: an SMTP port, a Maildir, an mbox file or an IMAP mailbox.

All keep one order: the reports are committed (`ReportSink`), and only then is the mail marked as read. After a crash in
between a mail is read again; nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import mailbox
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from keepers.channels.email.bounces.mail_reader import MailReader
from keepers.channels.email.bounces.returned_mail import MOST_BYTES
from keepers.channels.email.smtp_server import SmtpListening
from keepers.model.errors import NotFoundError, UserError, problem
from keepers.model.message import DeliveryReport

ReportSink = Callable[[Sequence[DeliveryReport]], None]
"""commits reports; raises when it cannot, and the mail is read again later"""
Clock = Callable[[], datetime]
_MOST_SMTP_BYTES = 5_242_880
_MOST_RECIPIENTS = 100
"""of one envelope; RFC 5321 section 4.5.3.1.8"""
_MOST_CONNECTIONS = 100
_MOST_OF_NETWORK = 20
_SILENCE_S = 60.0
_UNSEEN_FLAG = "S"
log = logging.getLogger("keepers")


class BounceListener:
    """An SMTP server that takes mail for the bounce domain. Mail is read and its reports are stored in a thread pool;
    when either raises, the sender gets a temporary error (451) and keeps the mail."""

    def __init__(
        self,
        host: str,
        port: int,
        reader: MailReader,
        store_reports: ReportSink,
        now: Clock,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        """Port 0 takes a free one. Mail for other domains than the reader's `verp.domain` is refused: this is no relay.
        At most 100 connections, 20 of one network, each closed after 60 s of silence; mails of at most 5 MB.

        `on_trouble` is called, in the thread pool, with the reason why a mail could not be taken.
        """
        self._on_trouble = on_trouble
        self._reader = reader
        self._store_reports = store_reports
        self._now = now
        self._listening = SmtpListening(
            self,
            host,
            port,
            most_connections=_MOST_CONNECTIONS,
            most_of_network=_MOST_OF_NETWORK,
            data_size_limit=_MOST_SMTP_BYTES,
            timeout=_SILENCE_S,
        )

    @property
    def port(self) -> int:
        return self._listening.port

    def start(self) -> None:
        """Raises UserError when the port cannot be opened."""
        self._listening.start()

    def stop(self) -> None:
        self._listening.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Takes mail for the bounce domain alone."""
        if address.rpartition("@")[2].lower() != self._reader.verp.domain:
            return "550 5.7.1 Relaying denied"
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Answers 250 after the reports are committed."""
        try:
            await asyncio.to_thread(self._store, envelope.content, tuple(envelope.rcpt_tos))
        except Exception as error:  # the sender keeps the mail and tries again, whatever went wrong
            log.exception("A returned mail could not be taken; its sender will try again.")
            if self._on_trouble is not None:
                with suppress(Exception):
                    await asyncio.to_thread(self._on_trouble, f"{type(error).__name__}: {error}")
            return "451 4.3.0 Not now, try again later"
        return "250 2.0.0 OK"

    def _store(self, data: bytes, recipients: tuple[str, ...]) -> None:
        reports = self._reader.read(data, self._now(), recipients)
        if reports:
            self._store_reports(reports)


def read_maildir(folder: Path, reader: MailReader, store_reports: ReportSink, now: Clock, most: int = 1000) -> int:
    """Reads up to `most` new mails of a Maildir and moves each to `cur`, marked as seen. Gives how many were read.

    The first 512 KiB of each are read. Raises NotFoundError when the folder is no Maildir, OSError when a mail could
    not be read in time: it and those after it stay new. May be called again at any time, by one reader at a time.
    """
    fresh = folder / "new"
    if not fresh.is_dir() or not (folder / "cur").is_dir():
        raise NotFoundError(problem("{folder} is no Maildir: it has no folders new and cur.", folder=folder))
    count = 0
    for path in sorted(fresh.iterdir())[:most]:
        if path.name.startswith(".") or not path.is_file():
            continue
        take_mail(_beginning(path), reader, store_reports, now)
        path.rename(folder / "cur" / f"{path.name.partition(':')[0]}:2,{_UNSEEN_FLAG}")
        count += 1
    return count


def read_mbox(path: Path, reader: MailReader, store_reports: ReportSink, now: Clock, most: int = 1000) -> int:
    """Reads up to `most` mails of an mbox file that came after those read before, and gives how many.

    How far it has read stands in `<file>.keepers-read` beside it (the offset in bytes, and the file's number), so the
    mailbox itself is left as it is; a file that was replaced or has shrunk is read from its beginning. The file is
    locked while it is read (fcntl and dot lock), as mail servers do. The first 512 KiB of each mail are read. Raises
    NotFoundError without the file, OSError when a mail could not be read in time: it is read by the next call.
    """
    if not path.is_file():
        raise NotFoundError(problem("There is no mailbox file {path}.", path=path))
    box = mailbox.mbox(path, create=False)
    box.lock()
    try:
        start = _position(path)
        end = path.stat().st_size
        count = 0
        for begin, stop in _mails(path, start, end):
            with path.open("rb") as file:
                file.seek(begin)
                data = file.read(min(stop - begin, MOST_BYTES))
            take_mail(data.partition(b"\n")[2].replace(b"\n>From ", b"\nFrom "), reader, store_reports, now)
            _set_position(path, stop)
            count += 1
            if count >= most:
                break
        return count
    finally:
        box.unlock()
        box.close()


def _mails(path: Path, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Where mails begin and end, in bytes, from `start` on; read line by line, so that memory stays flat."""
    begin: int | None = None
    with path.open("rb") as file:
        file.seek(start)
        place = start
        is_after_blank = True
        while place < end:
            line = file.readline(MOST_BYTES)
            if not line:
                break
            if is_after_blank and line.startswith(b"From "):
                if begin is not None:
                    yield begin, place
                begin = place
            place += len(line)
            is_after_blank = line in (b"\n", b"\r\n")
    if begin is not None:
        yield begin, place


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".keepers-read")


def _position(path: Path) -> int:
    try:
        inode, offset = (int(part) for part in _mark(path).read_text().split())
    except (FileNotFoundError, ValueError):
        return 0
    stat = path.stat()
    return offset if inode == stat.st_ino and offset <= stat.st_size else 0


def _set_position(path: Path, offset: int) -> None:
    """Atomically: a crash leaves the old mark or the new."""
    fresh = _mark(path).with_suffix(".new")
    with fresh.open("w") as file:
        file.write(f"{path.stat().st_ino} {offset}")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(_mark(path))


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def take_mail(data: bytes, reader: MailReader, store_reports: ReportSink, now: Clock) -> None:
    """Stores what a mail of a mailbox reports. One that can be neither read nor set aside, since that folder is full,
    is named in the log and left in the mailbox, for the caller to mark as read like any other.

    Raises OSError when the mail could not be read in time, and whatever `store_reports` raises."""
    try:
        reports = reader.read(data, now())
    except UserError as error:
        log.error("A mail stays unread in its mailbox, marked as read: %s", error.message)
        return
    if reports:
        store_reports(reports)
