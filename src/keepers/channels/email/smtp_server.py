"""An SMTP server in a thread of its own, for bounces and for the local mailbox."""

from __future__ import annotations

import asyncio
import logging
import ssl
from threading import Event, Thread
from typing import Any

from aiosmtpd.smtp import SMTP

from keepers.channels.connection_counts import ConnectionCounts
from keepers.channels.networks import network_of
from keepers.model.errors import UserError, problem

_START_S = 20.0
# aiosmtpd logs every refused command and lost connection; without a handler that would go to the terminal.
logging.getLogger("mail.log").addHandler(logging.NullHandler())


class _Server(SMTP):  # type: ignore[misc]
    """Registers its connection while it lasts, so that all can be closed; one too many is refused (RFC 5321 3.1)."""

    def __init__(self, listening: SmtpListening, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listening = listening
        self._network = ""
        self._is_refused = False

    def connection_made(self, transport: asyncio.WriteTransport) -> None:
        self._network = network_of(str((transport.get_extra_info("peername") or ("",))[0]))
        counts = self._listening.counts
        if counts.is_full or counts.has_enough(self._network):
            self._is_refused = True
            transport.write(b"421 4.7.0 Too many connections, try again later\r\n")
            transport.close()
            return
        counts.add(self._network)
        super().connection_made(transport)
        self._listening.transports.add(transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._is_refused else super().eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_refused:
            return
        self._listening.counts.remove(self._network)
        super().connection_lost(error)
        self._listening.transports = {t for t in self._listening.transports if not t.is_closing()}


class SmtpListening:
    """Serves an aiosmtpd handler on host and port; port 0 takes a free one, then found in `port`."""

    def __init__(
        self,
        handler: Any,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        tls_at_once: bool = False,
        most_connections: int = 1000,
        most_of_network: int = 0,
        **options: Any,
    ) -> None:
        """With `tls` STARTTLS is offered, or spoken from the first byte with `tls_at_once`. Connections past
        `most_connections`, or past `most_of_network` from one address or IPv6 /64 (0 for any number), are answered 421.
        `options` are those of aiosmtpd's SMTP."""
        self.counts = ConnectionCounts(most_connections, most_of_network)
        self._handler = handler
        self.host = host
        self.port = port
        self._tls = tls
        self._tls_at_once = tls_at_once
        self._options = {"enable_SMTPUTF8": True, "timeout": 300, "ident": "Keepers", **options}
        self.transports: set[asyncio.WriteTransport] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._problem: OSError | None = None

    def start(self) -> None:
        """Returns when connections are accepted. Raises UserError when the port cannot be opened."""
        ready = Event()
        self._problem = None
        self._thread = Thread(target=self._run, args=(ready,), name="smtp", daemon=True)
        self._thread.start()
        if not ready.wait(_START_S) or self._problem:
            raise UserError(
                problem(
                    "Mail cannot be received on {host}:{port}: {reason}.",
                    host=self.host,
                    port=self.port,
                    reason=self._problem or problem("no answer"),
                ),
                code="settings",
            )

    def stop(self) -> None:
        """Closes every connection and ends the thread."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_START_S)
            self._thread = self._loop = None

    def drop_connections(self) -> None:
        """Aborts every open connection; may be called by any thread."""
        if self._loop is not None:
            for transport in list(self.transports):
                self._loop.call_soon_threadsafe(transport.abort)

    def _factory(self) -> SMTP:
        tls = None if self._tls_at_once else self._tls
        return _Server(self, self._handler, tls_context=tls, loop=self._loop, **self._options)

    def _run(self, ready: Event) -> None:
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            at_once = self._tls if self._tls_at_once else None
            server = loop.run_until_complete(
                loop.create_server(self._factory, self.host, self.port, ssl=at_once, backlog=512)
            )
        except OSError as error:
            self._problem = error
            loop.close()
            ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        try:
            loop.run_forever()
        finally:
            server.close()
            for transport in self.transports:
                transport.close()
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
