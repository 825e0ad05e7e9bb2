"""Connections to one mail server: opened when needed, reused, and closed when in doubt."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected, SMTPTimeoutError

from keepers.channels.email.mime import OutgoingMail

_STALE = (421, 451)
"""replies of servers that close a reused connection"""


class Server(NamedTuple):
    """The mail server and how to connect."""

    host: str
    port: int
    tls: str
    """`starttls`, `tls` (from the first byte) or `none`"""
    user: str
    password: str
    hello: str
    context: ssl.SSLContext | None
    timeout: float
    data_timeout: float
    """seconds to wait for the answer to a whole message (RFC 5321 asks for 600)"""


class SmtpRefusal(Exception):  # noqa: N818 - a reply of the server
    """The server answered 4xx or 5xx. `stage` is connect, auth, sender, recipient or data."""

    def __init__(self, stage: str, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.stage = stage
        self.code = code
        self.text = text


class Unreachable(Exception):  # noqa: N818
    """No connection, or one lost before the message was complete: the server cannot have taken it."""


class Uncertain(Exception):  # noqa: N818
    """The connection was lost after the final dot: the server may have taken the message."""


class NoUtf8(Exception):  # noqa: N818
    """The server lacks SMTPUTF8 (RFC 6531), which this message needs."""


class _Connection:
    def __init__(self, client: SMTP, now: float) -> None:
        self.client = client
        self.used_at = now
        self.messages = 0


class SmtpPool:
    """At most `connections` at a time to one server; each carries up to `messages_each` messages.

    A connection idle for `check_after` seconds is checked with NOOP first, one idle for `idle` seconds is closed.
    Belongs to the event loop it is first used on.
    """

    def __init__(
        self,
        server: Server,
        *,
        connections: int,
        messages_each: int = 500,
        idle: float = 60.0,
        check_after: float = 5.0,
    ) -> None:
        self.server = server
        self._places = asyncio.Semaphore(connections)
        self._messages_each = messages_each
        self._idle_s = idle
        self._check_after = check_after
        self._idle: deque[_Connection] = deque()

    async def send(self, mail: OutgoingMail) -> str:
        """Hands a message over and returns the server's reply.

        Raises SmtpRefusal, Unreachable, Uncertain or NoUtf8.
        """
        async with self._places:
            connection = await self._acquire()
            was_reused = connection.messages > 0
            try:
                return await self._send_on(connection, mail)
            except (Unreachable, SmtpRefusal) as error:
                is_stale = isinstance(error, Unreachable) or (error.stage == "sender" and error.code in _STALE)
                if not (was_reused and is_stale):
                    raise
                # A server may close a connection between two messages: a new one gives the true answer.
                return await self._send_on(await self._open(), mail)

    async def close(self) -> None:
        """Closes idle connections. Messages being sent keep theirs."""
        while self._idle:
            client = self._idle.pop().client
            try:
                await client.quit(timeout=2)
            except (SMTPException, OSError):
                pass
            finally:
                client.close()

    async def _send_on(self, connection: _Connection, mail: OutgoingMail) -> str:
        is_clean = False
        try:
            answer = await _transaction(connection.client, mail, self.server)
            is_clean = True
            return answer
        except SmtpRefusal as error:
            is_clean = error.code != 421 and await _reset(connection.client)
            raise
        except NoUtf8:
            is_clean = True
            raise
        finally:
            self._release(connection, is_clean)

    async def _acquire(self) -> _Connection:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            idle = now - connection.used_at
            if not connection.client.is_connected or idle > self._idle_s:
                connection.client.close()
            elif idle <= self._check_after or await _answers(connection.client):
                return connection
        return await self._open()

    def _release(self, connection: _Connection, is_clean: bool) -> None:
        connection.messages += 1
        connection.used_at = asyncio.get_running_loop().time()
        if is_clean and connection.client.is_connected and connection.messages < self._messages_each:
            self._idle.append(connection)
        else:
            connection.client.close()

    async def _open(self) -> _Connection:
        server = self.server
        client: SMTP | None = None
        stage = "connect"
        try:
            client = SMTP(
                hostname=server.host,
                port=server.port,
                use_tls=server.tls == "tls",
                start_tls=False,
                tls_context=server.context,
                local_hostname=server.hello,
                timeout=server.timeout,
            )
            await client.connect()
            await client.ehlo()
            if server.tls == "starttls":
                if not client.supports_extension("starttls"):
                    raise Unreachable(f"{server.host} does not offer STARTTLS")
                await client.starttls()
                await client.ehlo()
            if server.user:
                stage = "auth"
                await client.login(server.user, server.password)
        except SMTPResponseException as error:
            _drop(client)
            raise SmtpRefusal(stage, error.code, error.message) from None
        except (SMTPException, OSError, ValueError) as error:
            _drop(client)
            raise Unreachable(f"{server.host}:{server.port}: {error or type(error).__name__}") from None
        except BaseException:
            _drop(client)
            raise
        return _Connection(client, asyncio.get_running_loop().time())


async def _transaction(client: SMTP, mail: OutgoingMail, server: Server) -> str:
    """MAIL, RCPT, DATA one by one: this tells whether the final dot was sent when a connection breaks."""
    options: list[str] = []
    encoding = "ascii"
    if mail.needs_utf8:
        if not client.supports_extension("smtputf8"):
            raise NoUtf8
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        encoding = "utf-8"
    if client.supports_extension("size"):
        options.append(f"SIZE={len(mail.data)}")
    stage = "sender"
    protocol = client.protocol
    try:
        if protocol is None:
            raise Unreachable("the connection was lost")
        await client.mail(mail.return_path, options=options, encoding=encoding)
        stage = "recipient"
        await client.rcpt(str(mail.recipient), encoding=encoding)
        stage = "data"
        answer = await client.execute_command(b"DATA")
        if answer.code != 354:
            raise SmtpRefusal(stage, answer.code, answer.message)
        # Transparency (RFC 5321 section 4.5.2); a message starts with a header, so never with a dot.
        protocol.write(mail.data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    except SMTPResponseException as error:
        raise SmtpRefusal(stage, error.code, error.message) from None
    except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
        raise Unreachable(f"{server.host}:{server.port}: {error or type(error).__name__}") from None
    try:
        answer = await protocol.read_response(timeout=server.data_timeout)
    except SMTPResponseException as error:
        raise Uncertain(str(error)) from None
    except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
        raise Uncertain(str(error) or type(error).__name__) from None
    if answer.code // 100 != 2:
        raise SmtpRefusal(stage, answer.code, answer.message)
    return answer.message


def _drop(client: SMTP | None) -> None:
    if client is not None:
        client.close()


async def _reset(client: SMTP) -> bool:
    try:
        await client.rset()
    except (SMTPException, OSError):
        return False
    return True


async def _answers(client: SMTP) -> bool:
    try:
        await client.noop(timeout=5)
    except (SMTPException, OSError):
        client.close()
        return False
    return True
