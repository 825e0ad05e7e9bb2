"""A folder of received mails: one .eml file each and an index beside them, so that memory stays flat."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path

from msgspec import Struct

_INDEX = "index.sqlite"
_PER_FOLDER = 1000


class Received(Struct, frozen=True):
    """One mail as the index knows it."""

    id: int
    at: datetime
    """naive UTC"""
    sender: str
    """From, decoded"""
    recipient: str
    """the envelope's recipients, separated by a comma"""
    subject: str
    return_path: str
    """the envelope's sender"""
    message_id: str
    size: int
    """in bytes"""


class MailboxFolder:
    """Adds and finds mails. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = threading.local()
        folder.mkdir(parents=True, exist_ok=True)
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS mails (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, "
                "sender TEXT, recipient TEXT, subject TEXT, return_path TEXT, message_id TEXT, size INTEGER, "
                "words TEXT)"
            )

    def path(self, number: int) -> Path:
        """Where the mail's bytes lie."""
        return self.folder / f"{number // _PER_FOLDER:04d}" / f"{number:07d}.eml"

    def add(self, data: bytes, return_path: str, recipients: list[str], at: datetime) -> int:
        """Writes a mail and its row; the mail is there before its row."""
        head = message_from_bytes(data.partition(b"\r\n\r\n")[0])
        sender, subject = _decoded(head.get("From")), _decoded(head.get("Subject"))
        recipient = ", ".join(recipients)
        words = f"{sender} {recipient} {subject}".casefold()
        row = (at.isoformat(), sender, recipient, subject, return_path, str(head.get("Message-ID", "")).strip())
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            cursor = connection.execute(
                "INSERT INTO mails (at, sender, recipient, subject, return_path, message_id, size, words) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, len(data), words),
            )
            number = cursor.lastrowid or 0
            path = self.path(number)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            connection.execute("COMMIT")
        return number

    def count(self, search: str = "") -> int:
        """How many mails there are, or hold all of the words in sender, recipient or subject."""
        where, values = _matching(search)
        with self._connect() as connection:
            found = connection.execute(f"SELECT count(*) FROM mails {where}", values).fetchone()
        return int(found[0])

    def messages(self, search: str = "", *, limit: int = 50, offset: int = 0) -> list[Received]:
        """Mails, the newest first."""
        where, values = _matching(search)
        query = (
            "SELECT id, at, sender, recipient, subject, return_path, message_id, size "
            f"FROM mails {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        )
        with self._connect() as connection:
            rows = connection.execute(query, (*values, limit, offset)).fetchall()
        return [Received(row[0], datetime.fromisoformat(row[1]), *row[2:]) for row in rows]

    def message(self, number: int) -> Received | None:
        """One mail by its number."""
        query = "SELECT id, at, sender, recipient, subject, return_path, message_id, size FROM mails WHERE id = ?"
        with self._connect() as connection:
            row = connection.execute(query, (number,)).fetchone()
        return Received(row[0], datetime.fromisoformat(row[1]), *row[2:]) if row else None

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection. Left open: closing the last one would write the whole journal back each time."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.folder / _INDEX, timeout=30, isolation_level=None)
            connection.execute("PRAGMA synchronous = OFF")
            self._threads.connection = connection
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _matching(search: str) -> tuple[str, list[str]]:
    words = search.casefold().split()
    escaped = [w.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for w in words]
    clause = " AND ".join("words LIKE ? ESCAPE '\\'" for _ in escaped)
    return (f"WHERE {clause}" if clause else ""), [f"%{word}%" for word in escaped]


def _decoded(value: object) -> str:
    text = " ".join(str(value or "").split())
    if "=?" not in text:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError):
        return text
