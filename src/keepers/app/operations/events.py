"""Event intake: authenticates senders, and commits every usable event before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from keepers.app.operations.keys import KeyRing, require_origin, why_ended
from keepers.app.public.rate_limit import PublicLimits
from keepers.app.workspace.disk_probe import DiskProbe
from keepers.app.workspace.settings import LimitSettings
from keepers.ingest.collect import Collector, NotCommittedError
from keepers.model.errors import KeepersError, problem
from keepers.model.event import ParsedRequest, parse_request
from keepers.model.json_text import LIMITS, Limits
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted
from keepers.store.keys import TRUST_OF, Key
from keepers.store.migrate import is_current

log = logging.getLogger("keepers")


class SenderRefusedError(KeepersError):
    """The sender's key is refused: the code is `unauthorized`, `revoked`, `expired` or `wrong_key`."""

    code = "unauthorized"


class EventIntake:
    """Takes events into a migrated store. `start` and `stop` frame its life; any number of tasks may use it.

    `on_arrival` is called, from a thread, after each commit; at most `most_waiting` requests wait for the disk.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_arrival: Callable[[], None] | None = None,
        limits: Limits = LIMITS,
        most_waiting: int = 10_000,
        keys: KeyRing | None = None,
        public_limits: PublicLimits | None = None,
    ) -> None:
        self.limits = limits
        self.keys = keys or KeyRing(store.read)
        self._public_limits = public_limits or PublicLimits(LimitSettings())
        self.on_commit: Callable[[int, float], None] = _uncounted
        """called after each commit with its number of requests and its seconds"""
        self._store = store
        self._disk = DiskProbe(store.folder) if store.folder is not None else None
        self._collector = Collector(store, on_arrival, self._committed, most_requests=most_waiting)

    def start(self) -> None:
        """Called from the event loop that will await `take`."""
        self._collector.start()

    def stop(self) -> None:
        """Commits what waits. Blocks until it has."""
        self._collector.stop()

    @property
    def waiting(self) -> int:
        """Requests that are not yet on disk."""
        return self._collector.waiting

    async def sender(self, token: str, now: datetime, origin: str = "") -> Key:
        """The sender's key. `origin` is that of the page which sends, empty where it is no page.

        Raises SenderRefusedError, OriginRefusedError, and KeepersError (`store`) when the keys cannot be read.
        """
        if self.keys.is_stale(now):
            try:
                await asyncio.to_thread(self.keys.refresh, now)
            except SQLAlchemyError:
                raise NotCommittedError(problem("The store does not answer. Send it again in a moment.")) from None
        key = self.keys.find(token) if token else None
        if key is None:
            raise SenderRefusedError(
                problem("The write key is unknown.") if token else problem("A write key is needed.")
            )
        if key.has_ended(now):
            if key.revoked_at is None:
                raise SenderRefusedError(why_ended(key), code="expired")
            raise SenderRefusedError(why_ended(key), code="revoked")
        if key.kind == "secret":
            raise SenderRefusedError(
                problem("A management key may not send events. Use a write or a server key."), code="wrong_key"
            )
        require_origin(key, origin)
        self.keys.note_use(key, now)
        return key

    def record_key_uses(self, now: datetime) -> None:
        """Writes when keys were last used. Blocks. A store that does not answer is tried again the next time."""
        try:
            self.keys.record_uses(self._store.begin, now)
        except SQLAlchemyError as error:
            log.warning("When keys were last used could not be written (%s); it is tried again.", type(error).__name__)

    async def accept(self, key: Key, path: str, body: bytes, received_at: datetime, address: str = "") -> ParsedRequest:
        """What of a request is usable; it is on disk by then. Nothing is kept where no item can be used.

        `address` is the network address it came from. Raises UserError for a body that cannot be read, TooManyError
        over a limit of public keys, and KeepersError with the code `busy` when too much waits, or `store` when the
        store failed; nothing is kept then.
        """
        parsed = parse_request(path, body, received_at, self.limits)
        trust = TRUST_OF[key.kind]
        if trust == "public":
            self._public_limits.spend_events(key.id, address, parsed.items, received_at)
        if parsed.items:
            await self._collector.commit(Accepted(received_at, key.id, trust, path, body))
        return parsed

    def why_not_ready(self) -> str:
        """Why events cannot be taken; empty when they can. Blocks."""
        try:
            self._store.ping()
            if not is_current(self._store):
                return "The store's schema is not this version's. Start the server again, which upgrades it."
        except KeepersError as error:
            # The caller is not authenticated, and the error's text names hosts and folders.
            log.warning("Not ready: %s", error.message)
            return "The store does not answer. The server's log says more."
        trouble = self._disk.why_not_writable() if self._disk is not None else ""
        if trouble:
            return f"The disk of the store cannot be written to: {trouble}. Make room, or make it writable."
        return "" if self._collector.is_running else "The collector has stopped. Start the server again."

    def inbox_depth(self) -> int:
        """Accepted requests that wait to be identified. Blocks."""
        with self._store.read_inbox() as connection:
            return inbox.depth(connection)

    def _committed(self, requests: int, seconds: float) -> None:
        self.on_commit(requests, seconds)


def _uncounted(requests: int, seconds: float) -> None:
    """The default: commits are not counted."""
