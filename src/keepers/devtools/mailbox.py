"""The development mailbox: accepts every message, delivers none, and shows what arrived on a page."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from msgspec import Struct

from keepers.channels.email.smtp_server import SmtpListening
from keepers.devtools.mailbox_folder import MailboxFolder, Received
from keepers.devtools.mailbox_page import MailboxPage

Stage = Literal["recipient", "data"]


class MailboxReply(Struct, frozen=True):
    """How the mailbox answers instead of accepting."""

    reply: str = ""
    """an SMTP reply such as `450 4.2.0 Later`; empty to accept after all"""
    wait: float = 0.0
    """seconds before the answer"""
    drop: bool = False
    """close the connection without a word; at `data` the message is kept first"""


Behave = Callable[[Stage, str], MailboxReply | None]
"""(`recipient` or `data`, the recipient) → an answer, or None to accept"""

_WAYS: dict[str, tuple[Stage, MailboxReply]] = {
    "later": ("recipient", MailboxReply("450 4.3.2 Not now, try again later")),
    "unknown": ("recipient", MailboxReply("550 5.1.1 User unknown")),
    "full": ("recipient", MailboxReply("552 5.2.2 Mailbox full")),
    "spam": ("data", MailboxReply("554 5.7.1 Message rejected as spam")),
    "slow": ("data", MailboxReply(wait=5.0)),
    "drop": ("recipient", MailboxReply(drop=True)),
    "lost": ("data", MailboxReply(drop=True)),
}


def behave_by_address(stage: Stage, recipient: str) -> MailboxReply | None:
    """To see how Keepers copes: `anna+later@…`, `+unknown`, `+full`, `+spam`, `+slow`, `+drop`, `+lost` (accepted,
    but the connection breaks before the answer)."""
    way = _WAYS.get(recipient.partition("@")[0].rpartition("+")[2])
    return way[1] if way and way[0] == stage else None


class Mailbox:
    """An SMTP server that keeps what it is given in a folder, and a page to read it. Ports of 0 are chosen."""

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        smtp_port: int = 1025,
        http_port: int | None = 8025,
        *,
        now: Callable[[], datetime],
        behave: Behave | None = behave_by_address,
        tls: Literal["none", "starttls", "tls"] = "none",
        login: tuple[str, str] | None = None,
        max_bytes: int = 33_554_432,
        utf8: bool = True,
    ) -> None:
        """`now` gives naive UTC; `tls` speaks with a certificate made here (`certificate` then is its PEM file);
        `login` demands this user and password; `http_port` None serves no page."""
        self.folder = MailboxFolder(folder)
        self.certificate = folder / "certificate.pem"
        options: dict[str, Any] = {"data_size_limit": max_bytes, "enable_SMTPUTF8": utf8}
        if login:
            options |= {
                "authenticator": _authenticator(login),
                "auth_required": True,
                "auth_require_tls": tls == "starttls",
            }
        context = self_signed(host, self.certificate, now()) if tls != "none" else None
        self._smtp = SmtpListening(
            _MailHandler(self.folder, now, behave), host, smtp_port, tls=context, tls_at_once=tls == "tls", **options
        )
        self._page = MailboxPage(self.folder, host, http_port) if http_port is not None else None

    def start(self) -> None:
        """Returns when both servers answer. Raises UserError when a port is taken."""
        self._smtp.start()
        if self._page:
            self._page.start()

    def stop(self) -> None:
        """Ends both servers; what arrived stays in the folder."""
        self._smtp.stop()
        if self._page:
            self._page.stop()

    def drop_connections(self) -> None:
        """Aborts every open connection, as a server that restarts does. New ones are accepted."""
        self._smtp.drop_connections()

    @property
    def smtp_port(self) -> int:
        return self._smtp.port

    @property
    def url(self) -> str:
        """Where the page is; empty without one."""
        return self._page.url if self._page else ""

    def count(self, search: str = "") -> int:
        """How many messages arrived, or hold the words in sender, recipient or subject."""
        return self.folder.count(search)

    def messages(self, search: str = "", *, limit: int = 50, offset: int = 0) -> list[Received]:
        """What arrived, the newest first."""
        return self.folder.messages(search, limit=limit, offset=offset)

    def raw(self, number: int) -> bytes:
        """The message's bytes. Raises FileNotFoundError for a number that is not there."""
        return self.folder.path(number).read_bytes()


class _MailHandler:
    """aiosmtpd's handler."""

    def __init__(self, folder: MailboxFolder, now: Callable[[], datetime], behave: Behave | None) -> None:
        self._folder = folder
        self._now = now
        self._behave = behave

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        for answer in self._answers("recipient", [address]):
            await asyncio.sleep(answer.wait)
            if answer.drop:
                server.transport.abort()
            if answer.reply:
                return answer.reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answers = self._answers("data", envelope.rcpt_tos)
        for answer in answers:
            await asyncio.sleep(answer.wait)
            if answer.reply:
                return answer.reply
        number = self._folder.add(envelope.content, envelope.mail_from, envelope.rcpt_tos, self._now())
        if any(answer.drop for answer in answers):
            server.transport.abort()
        return f"250 2.0.0 OK: queued as mailbox-{number}"

    def _answers(self, stage: Stage, recipients: list[str]) -> list[MailboxReply]:
        if self._behave is None:
            return []
        return [answer for r in recipients if (answer := self._behave(stage, r)) is not None]


def _authenticator(login: tuple[str, str]) -> Callable[..., Any]:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        wanted = LoginPassword(login[0].encode(), login[1].encode())
        return AuthResult(success=data == wanted, handled=False)

    return check


def self_signed(host: str, path: Path, now: datetime) -> ssl.SSLContext:
    """A server's TLS context with a certificate for `host` made for ten years; `path` gets the certificate (PEM), for
    clients to trust, and its private key goes beside it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keepers mailbox")])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    names = x509.SubjectAlternativeName([alternative, x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path = path.with_suffix(".key")
    key_path.touch(mode=0o600)
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return context
