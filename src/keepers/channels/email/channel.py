"""E-mail over SMTP: composed, signed, handed to one mail server, throttled by the recipient's domain."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from keepers.channels.base import ChannelContext, ChannelKind
from keepers.channels.email.mailbox_address import ascii_domain, parse_mailbox
from keepers.channels.email.mime import OutgoingMail, SenderIdentity, compose
from keepers.channels.email.reply_reasons import classify_reply
from keepers.channels.email.smtp_pool import NoUtf8, Server, SmtpPool, SmtpRefusal, Uncertain, Unreachable
from keepers.channels.email.throttle import DomainThrottle
from keepers.channels.email.verp import Verp
from keepers.contact.addresses import one_mailbox
from keepers.model.errors import UserError, problem
from keepers.model.message import Outcome, Outgoing

if TYPE_CHECKING:
    from keepers.channels.email.dkim import Signer

_SERVER = "*"
"""the mail server's own entry among the throttled domains"""
_LONGEST_WAIT_S = 2.0
"""longer waits are deferred, so that a slow domain blocks no sender task"""
_QUEUE_IDS = tuple(
    re.compile(words + r"\s*<?([A-Za-z0-9._@-]{6,200})>?", re.I)
    for words in (r"queued as", r"\bid=", r"message-?id:?", r"^(?:2\.\d\.\d )?ok:?(?! *queued)")
)
"""`250 2.0.0 Ok: queued as 4XyZ…` (Postfix, SendGrid), `250 Ok 0102018…` (SES: the id its notifications carry)"""


class EmailSettings(Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    """The mail server (SMTP) that messages are handed to."""
    port: int = 587
    """Its port: 587 with STARTTLS, 465 with TLS from the first byte, 1025 for `keepers mailbox`."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """Encryption: `starttls` requires it, `tls` from the first byte, `none` only on your own network."""
    verify: bool = True
    """Whether the mail server's certificate is checked."""
    ca_file: str = ""
    """Certificates to trust (PEM) in place of the system's."""
    user: str = ""
    """User name; empty to send without login."""
    password: str = ""
    """Password. Better given as KEEPERS_CHANNELS_EMAIL_PASSWORD than in the file."""
    hello: str = ""
    """The name given to the mail server (EHLO); empty for this machine's."""
    sender: str = ""
    """From, as `Shop <hello@shop.example>`. A message may have its own."""
    reply_to: str = ""
    """The address for answers, a mailbox that somebody reads; empty for the sender."""
    bounce_domain: str = ""
    """Domain of the return path, whose mail comes back to Keepers; empty for the sender's domain."""
    bounce_prefix: str = "bounces"
    """Local part of the return path, before the + and the message's own token; at most 16 letters."""
    list_domain: str = ""
    """Domain in List-Id; empty for the sender's."""
    feedback_id: str = ""
    """The sender's own part of Feedback-ID, 5 to 15 letters; empty for one made of the sender's domain."""
    unsubscribe_mailto: str = ""
    """An address whose mail comes back to Keepers, such as unsubscribe@bounce.shop.example, offered beside the
    one-click link; empty for none."""
    dkim_domain: str = ""
    """Domain to sign for (d=); empty for the sender's."""
    dkim_selector: str = "keepers"
    """Selector of the key's DNS record, <selector>._domainkey.<domain>."""
    dkim_key_file: str = ""
    """Private key to sign with (PEM; RSA 2048 or Ed25519); empty when the mail server signs."""
    provider: Literal["", "mailgun", "postmark", "sendgrid", "ses"] = ""
    """Whose mail server `host` is. The message's key then travels along in the provider's own header, and comes back
    with its webhooks (SES: with a configuration set); empty for any other server, which would pass the header on."""
    max_connections: int = 10
    """Connections open to the mail server at the same time."""
    messages_per_connection: int = 500
    """Messages sent over one connection before a fresh one is opened."""
    per_domain_per_second: float = 0.0
    """Most messages per second to one recipient domain; 0 for no limit."""
    timeout: float = 60.0
    """Seconds to wait for an answer of the mail server."""
    data_timeout: float = 600.0
    """Seconds to wait for the answer to a whole message; what is cut off here may have arrived."""


class EmailChannel:
    """Sends e-mail. Outcomes of `send`:

    - `sent`: the server took it; `provider_id` is the queue id it named.
    - `deferred`: nobody has it; try again, not before `retry_after`.
    - `bounced`: refused for ever because of the recipient; `is_hard` when the address does not work.
    - `failed`: refused for ever for another reason (code: the server's, or `invalid_address`, `invalid_message`,
      `smtputf8`), and `failed` with code `uncertain` when the connection broke after the whole message was out, so
      that nobody knows whether the server has it.
    """

    def __init__(self, settings: EmailSettings, now: Callable[[], datetime], secret: bytes) -> None:
        """Opens nothing. Raises UserError (NotFoundError) for settings that cannot work."""
        if not settings.sender:
            raise UserError(
                problem("[channels.email] needs sender, such as “Shop <hello@shop.example>”."), code="settings"
            )
        _check(settings)
        _, sender = parse_mailbox(settings.sender)
        self.settings = settings
        self._now = now
        bounce_domain = ascii_domain(settings.bounce_domain) if settings.bounce_domain else sender.domain
        self.verp = Verp(secret, bounce_domain, settings.bounce_prefix)
        self._identity = SenderIdentity(
            sender=settings.sender,
            verp=self.verp,
            reply_to=settings.reply_to,
            list_domain=settings.list_domain,
            feedback_id=settings.feedback_id,
            unsubscribe_mailto=settings.unsubscribe_mailto,
            provider=settings.provider,
        )
        self.signer = _signer(settings, sender.domain)
        self._throttle = DomainThrottle(settings.per_domain_per_second)
        self._context = _tls_context(settings)
        self._pool: SmtpPool | None = None

    async def open(self) -> None:
        """Prepares; connections are opened when needed."""
        s = self.settings
        server = Server(
            host=s.host,
            port=s.port,
            tls=s.tls,
            user=s.user,
            password=s.password,
            hello=s.hello or socket.gethostname() or "localhost",
            context=self._context,
            timeout=s.timeout,
            data_timeout=s.data_timeout,
        )
        self._pool = SmtpPool(server, connections=s.max_connections, messages_each=s.messages_per_connection)

    async def close(self) -> None:
        """Closes idle connections."""
        if self._pool:
            await self._pool.close()
            self._pool = None

    async def send(self, message: Outgoing) -> Outcome:
        """One attempt. Safe to call concurrently; more calls than `max_connections` wait their turn."""
        assert self._pool, "not open"
        at = self._now()
        try:
            mail = compose(message, self._identity, at)
        except UserError as error:
            return Outcome("failed", detail=error.problem, code=error.code)
        loop = asyncio.get_running_loop()
        domain = mail.recipient.domain
        pause = max(self._throttle.paused_for(_SERVER, loop.time()), self._throttle.paused_for(domain, loop.time()))
        if pause > 0:
            return Outcome(
                "deferred", detail=problem("Waiting after a deferral."), retry_after=timedelta(seconds=pause)
            )
        wait = self._throttle.reserve(domain, loop.time(), _LONGEST_WAIT_S)
        if wait > _LONGEST_WAIT_S:
            most = self.settings.per_domain_per_second
            rate = problem("At most {most:g} messages per second are sent to {domain}.", domain=domain, most=most)
            return Outcome("deferred", detail=rate, retry_after=timedelta(seconds=wait))
        if wait > 0:
            await asyncio.sleep(wait)
        if self.signer:
            mail = mail._replace(data=self.signer.signed(mail.data, at))
        return await self._hand_over(self._pool, mail, domain)

    async def _hand_over(self, pool: SmtpPool, mail: OutgoingMail, domain: str) -> Outcome:
        loop = asyncio.get_running_loop()
        try:
            answer = await pool.send(mail)
        except SmtpRefusal as refused:
            return self._refused(refused, domain, loop.time())
        except Unreachable as error:
            pause = self._throttle.deferred(_SERVER, loop.time())
            return Outcome("deferred", detail=str(error), code="unreachable", retry_after=pause)
        except Uncertain as error:
            broken = problem("The connection broke after the message was sent: {error}", error=str(error))
            return Outcome("failed", detail=broken, code="uncertain")
        except NoUtf8:
            detail = problem(
                "The mail server {host} takes no addresses with letters beyond ASCII (SMTPUTF8).",
                host=self.settings.host,
            )
            return Outcome("failed", detail=detail, code="smtputf8")
        self._throttle.accepted(_SERVER)
        self._throttle.accepted(domain)
        return Outcome("sent", detail=answer, provider_id=_queue_id(answer))

    def _refused(self, refused: SmtpRefusal, domain: str, now: float) -> Outcome:
        """The outcome of a 4xx or 5xx reply, and the pauses that follow from it."""
        verdict = classify_reply(refused.text, reply=refused.code)
        detail = f"{refused.code} {refused.text}"
        code = verdict.code or str(refused.code)
        if refused.stage in ("connect", "auth"):
            # Not about this message: a wrong password must not fail a whole broadcast.
            pause = self._throttle.deferred(_SERVER, now)
            return Outcome("deferred", detail=f"{refused.stage}: {detail}", code=code, retry_after=pause)
        if refused.code < 500:
            if refused.code == 421 and refused.stage == "sender":
                return Outcome("deferred", detail, code, retry_after=self._throttle.deferred(_SERVER, now))
            is_own = verdict.is_of_mailbox or code.startswith(("4.1.", "4.2."))
            pause = timedelta(0) if is_own else self._throttle.deferred(domain, now)
            return Outcome("deferred", detail, code, retry_after=pause or None)
        self._throttle.accepted(_SERVER)
        if verdict.is_of_mailbox:
            return Outcome("bounced", detail, code, is_hard=verdict.is_hard)
        if refused.stage == "recipient" and verdict.reason == "unknown" and refused.code in (550, 551, 553):
            # RFC 5321 section 4.2.3 has 550, 551 and 553 for mailboxes; without a reason it counts as a soft bounce.
            return Outcome("bounced", detail, code)
        return Outcome("failed", detail, code, fault=None if verdict.reason == "unknown" else verdict.fault)


def _queue_id(answer: str) -> str:
    found = (pattern.search(answer) for pattern in _QUEUE_IDS)
    return next((match.group(1) for match in found if match), "")


def _signer(settings: EmailSettings, domain: str) -> Signer | None:
    if not settings.dkim_key_file:
        return None
    from keepers.channels.email.dkim import Signer

    return Signer.from_file(settings.dkim_domain or domain, settings.dkim_selector, Path(settings.dkim_key_file))


def _check(settings: EmailSettings) -> None:
    for name in ("max_connections", "messages_per_connection", "timeout", "data_timeout", "port"):
        if getattr(settings, name) <= 0:
            raise UserError(problem("[channels.email] {name} has to be above 0.", name=name), code="settings")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,15}", settings.bounce_prefix):
        raise UserError(
            problem("[channels.email] bounce_prefix takes up to 16 of a-z, 0-9, dot and dash."), code="settings"
        )
    if settings.password and settings.tls == "none" and settings.host not in ("127.0.0.1", "::1", "localhost"):
        raise UserError(
            problem("[channels.email] would send the password unencrypted: set tls to starttls or tls."),
            code="settings",
        )
    for name in ("reply_to", "unsubscribe_mailto"):
        if getattr(settings, name):
            parse_mailbox(getattr(settings, name))


def _tls_context(settings: EmailSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            problem("[channels.email] ca_file cannot be read: {reason}.", reason=error), code="settings"
        ) from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _make(settings: EmailSettings, context: ChannelContext) -> EmailChannel:
    return EmailChannel(settings, context.now, context.secret)


KIND = ChannelKind(
    id="email",
    settings=EmailSettings,
    make=_make,
    connections="max_connections",
    address_trait="email",
    event_name="Email",
    position=1,
    article="an",
    parts=("subject", "preheader", "body", "text"),
    required=("subject", "body"),
    is_counted=True,
    is_mail=True,
    is_ramped=True,
    is_quiet_lifted=True,
    caps={"1d": 1, "7d": 3, "30d": 10},
    quiet={"from": "21:00", "to": "07:00"},
    engagement={"received": "Email Sent", "opened": "Email Opened", "clicked": "Email Link Clicked"},
    machine_events=("Email Opened", "Email Link Clicked"),
    # The domain and, by wide custom, the local part are read without regard to case.
    one_inbox=one_mailbox,
    docs="E-mail through an SMTP server, signed with DKIM, with one-click unsubscribe and bounce handling.",
)
