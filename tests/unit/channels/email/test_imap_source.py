"""Bounces read from an IMAP server, a tiny one over loopback that speaks the wire format of RFC 3501."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

import pytest

from keepers.channels.email.bounces.imap import ImapSettings, read_imap
from keepers.channels.email.bounces.mail_reader import MailReader
from keepers.devtools.mailbox import self_signed
from keepers.model.errors import UserError
from keepers.model.message import DeliveryReport
from posting import KEY, NOW, VERP, dsn


class ImapServer:
    """One mailbox over TLS: LOGIN, SELECT, UID SEARCH, FETCH, STORE, COPY, MOVE, EXPUNGE, one client at a time."""

    def __init__(self, folder: Path, capabilities: str = "IMAP4rev1") -> None:
        self.capabilities = capabilities
        self.mails: dict[int, bytes] = {}
        self.flags: dict[int, set[str]] = {}
        self.moved: dict[int, str] = {}
        self.commands: list[str] = []
        self.context = self_signed("127.0.0.1", folder / "certificate.pem", NOW)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = Thread(target=self._serve, daemon=True)
        self.thread.start()

    def put(self, uid: int, mail: bytes) -> None:
        self.mails[uid] = mail
        self.flags[uid] = set()

    def stop(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(20)

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self.socket.accept()
            except OSError:
                return
            raw.settimeout(20)
            try:
                with self.context.wrap_socket(raw, server_side=True) as connection:
                    self._converse(connection)
            except OSError:
                continue

    def _converse(self, connection: ssl.SSLSocket) -> None:
        def say(line: bytes) -> None:
            connection.sendall(line + b"\r\n")

        say(b"* OK [CAPABILITY " + self.capabilities.encode() + b"] ready")
        with connection.makefile("rb") as file:
            for line in file:
                tag, command = line.decode().strip().split(" ", 1)
                self.commands.append(command)
                if command == "LOGOUT":
                    say(b"* BYE")
                    say(f"{tag} OK bye".encode())
                    return
                for answer in self._answers(command):
                    say(answer)
                is_refused = command.startswith("LOGIN") and "secret" not in command
                say(f"{tag} {'NO wrong password' if is_refused else 'OK done'}".encode())

    def _answers(self, command: str) -> Iterator[bytes]:
        uid = int(found.group(1)) if (found := re.match(r"UID \w+ (\d+)", command)) else 0
        if command == "CAPABILITY":
            yield b"* CAPABILITY " + self.capabilities.encode()
        elif command.startswith("SELECT"):
            yield f"* {len(self.mails)} EXISTS".encode()
        elif command == "UID SEARCH UNSEEN":
            unseen = [str(uid) for uid, flags in self.flags.items() if "\\Seen" not in flags]
            yield f"* SEARCH {' '.join(unseen)}".encode()
        elif command.startswith("UID FETCH") and uid in self.mails:
            data = self.mails[uid][: int(command.partition("<0.")[2].partition(">")[0])]
            yield f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(data)}}}\r\n".encode() + data + b")"
        elif command.startswith("UID STORE"):
            self.flags[uid] |= set(re.findall(r"\\\w+", command))
        elif command.startswith(("UID MOVE", "UID COPY")):
            self.moved[uid] = command.rpartition(" ")[2]
        elif command.startswith("UID EXPUNGE"):
            self.mails.pop(uid)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ImapServer]:
    made = ImapServer(tmp_path)
    yield made
    made.stop()


def settings(server: ImapServer, folder: Path, **changes: str) -> ImapSettings:
    fields = {"host": "127.0.0.1", "user": "shop", "password": "secret", "ca_file": str(folder / "certificate.pem")}
    return ImapSettings(port=server.port, timeout=20.0, **(fields | changes))


def about(number: int) -> bytes:
    return dsn().replace(VERP.token(KEY).encode(), VERP.token(f"{number:032x}").encode())


def test_unseen_mail_is_read_and_marked_after_it_was_committed(
    reader: MailReader, server: ImapServer, tmp_path: Path
) -> None:
    for number in (7, 8, 9):
        server.put(number, about(number))
    server.put(10, b"Subject: hi\r\n\r\nhello")
    taken: list[str] = []

    def store(reports: Sequence[DeliveryReport]) -> None:
        uid = int(reports[0].key, 16)
        assert "\\Seen" not in server.flags[uid], "not marked before it is committed"
        taken.append(reports[0].key[-1])

    assert read_imap(settings(server, tmp_path), reader, store, lambda: NOW, most=2) == 2
    assert read_imap(settings(server, tmp_path), reader, store, lambda: NOW) == 2
    assert read_imap(settings(server, tmp_path), reader, store, lambda: NOW) == 0
    assert taken == ["7", "8", "9"]
    assert all(flags == {"\\Seen"} for flags in server.flags.values())


def test_what_was_not_committed_stays_unseen(reader: MailReader, server: ImapServer, tmp_path: Path) -> None:
    server.put(1, about(1))

    def refuse(reports: Sequence[DeliveryReport]) -> None:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        read_imap(settings(server, tmp_path), reader, refuse, lambda: NOW)
    assert server.flags[1] == set()
    assert read_imap(settings(server, tmp_path), reader, lambda reports: None, lambda: NOW) == 1


@pytest.mark.parametrize(
    ("capabilities", "how"),
    [("IMAP4rev1 MOVE", "UID MOVE 1"), ("IMAP4rev1 UIDPLUS", "UID EXPUNGE 1"), ("IMAP4rev1", "UID COPY 1")],
)
def test_what_was_read_moves_to_another_folder(reader: MailReader, tmp_path: Path, capabilities: str, how: str) -> None:
    server = ImapServer(tmp_path, capabilities)
    server.put(1, about(1))
    try:
        found = settings(server, tmp_path, move_to="Прочитано & done")
        assert read_imap(found, reader, lambda reports: None, lambda: NOW) == 1
    finally:
        server.stop()
    assert any(command.startswith(how) for command in server.commands)
    assert "EXPUNGE" not in server.commands
    assert any('"&BB8EQAQ+BEcEOARCBDAEPQQ+- &- done"' in command for command in server.commands)


def test_a_wrong_password_or_certificate_is_told(reader: MailReader, server: ImapServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wrong password"):
        read_imap(settings(server, tmp_path, password="x"), reader, lambda reports: None, lambda: NOW)
    untrusted = ImapSettings(host="127.0.0.1", port=server.port, user="shop", password="secret", timeout=20)
    with pytest.raises(UserError, match=r"(?i)certificate"):
        read_imap(untrusted, reader, lambda reports: None, lambda: NOW)
