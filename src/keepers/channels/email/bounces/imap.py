"""Bounces and complaints from an IMAP mailbox (RFC 3501) over TLS."""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Sequence

from msgspec import Struct

from keepers.channels.email.bounces.mail_reader import MailReader
from keepers.channels.email.bounces.returned_mail import MOST_BYTES
from keepers.channels.email.bounces.sources import Clock, ReportSink, take_mail
from keepers.model.errors import UserError, problem


class ImapSettings(Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    """The IMAP server."""
    user: str
    """User name."""
    password: str
    """Password. Better given as an environment variable than in the file."""
    port: int = 993
    """Its port: 993 with TLS from the first byte."""
    folder: str = "INBOX"
    """The folder mail is read from."""
    move_to: str = ""
    """A folder what was read is moved to; empty to leave it, marked as seen."""
    ca_file: str = ""
    """Certificates to trust (PEM) in place of the system's."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""


def read_imap(
    settings: ImapSettings, reader: MailReader, store_reports: ReportSink, now: Clock, most: int = 1000
) -> int:
    """Reads the first 512 KiB of up to `most` unseen mails, and marks each as seen (and moves it, where `move_to` is
    set) after its reports were stored. Gives how many were read. One reader at a time.

    Raises UserError when the server cannot be reached or refuses, and when a mail could not be read in time; what was
    marked before stays so, the rest is unseen and read by the next call.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        with imaplib.IMAP4_SSL(settings.host, settings.port, ssl_context=context, timeout=settings.timeout) as server:
            server.login(settings.user, settings.password)
            _answer(server.select(_quoted(settings.folder)))
            return _read_unseen(server, settings, reader, store_reports, now, most)
    except (imaplib.IMAP4.error, OSError) as error:
        raise UserError(
            problem(
                "IMAP {host}:{port}, {folder}: {reason}",
                host=settings.host,
                port=settings.port,
                folder=settings.folder,
                reason=error,
            ),
            code="imap",
        ) from error


def _read_unseen(
    server: imaplib.IMAP4, settings: ImapSettings, reader: MailReader, store_reports: ReportSink, now: Clock, most: int
) -> int:
    found = _answer(server.uid("SEARCH", "UNSEEN"))
    numbers = b" ".join(part for part in found if isinstance(part, bytes)).split()[:most]
    count = 0
    for number in numbers:
        uid = number.decode("ascii")
        # PEEK leaves the mail unseen: a crash before it is committed means it is read again.
        data = _literal(_answer(server.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MOST_BYTES}>)")))
        if data is not None:
            take_mail(data, reader, store_reports, now)
        _answer(server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)"))
        if settings.move_to:
            _move(server, uid, settings.move_to)
        count += 1
    return count


def _move(server: imaplib.IMAP4, uid: str, folder: str) -> None:
    """MOVE (RFC 6851) where the server has it, else a copy, marked as deleted and expunged alone (RFC 4315) if the
    server can; never a plain EXPUNGE, which would remove what other clients marked."""
    if "MOVE" in server.capabilities:
        _answer(server.uid("MOVE", uid, _quoted(folder)))
        return
    _answer(server.uid("COPY", uid, _quoted(folder)))
    _answer(server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
    if "UIDPLUS" in server.capabilities:
        _answer(server.uid("EXPUNGE", uid))


def _answer(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{status} {data[0] if data else ''!r}")
    return data


def _literal(parts: Sequence[object]) -> bytes | None:
    """The mail's bytes; None when it has gone meanwhile."""
    for part in parts:
        if isinstance(part, tuple) and len(part) > 1 and isinstance(part[1], bytes):
            return part[1]
    return None


def _quoted(folder: str) -> str:
    """A folder's name as a quoted string, letters beyond ASCII in modified UTF-7 (RFC 3501 section 5.1.3)."""
    encoded = re.sub(r"[^\x20-\x7e]+", _shifted, folder.replace("&", "&-"))
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shifted(match: re.Match[str]) -> str:
    return (
        "&" + match.group().encode("utf-7").decode("ascii").removeprefix("+").removesuffix("-").replace("/", ",") + "-"
    )
