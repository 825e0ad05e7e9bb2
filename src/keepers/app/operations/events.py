"""Event intake: authenticates senders, and commits every usable event before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from keepers.app.access.key_ring import KeyRefusedError, KeyRing
from keepers.app.public.rate_limit import PublicLimits
from keepers.app.workspace.files.disk_probe import DiskProbe
from keepers.app.workspace.settings import LimitSettings
from keepers.ingest.collect import Collector, NotCommittedError
from keepers.model.errors import KeepersError, problem
from keepers.model.event import IMPORT, ParsedRequest, parse_request
from keepers.model.identity import Trust
from keepers.model.json_text import LIMITS, Limits
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted
from keepers.store.key_kinds import SENDER_KINDS, SERVER_KINDS
from keepers.store.keys import TRUST_OF, Key
from keepers.store.migrate import is_current

QUICK_BYTES: dict[Trust, int] = {"public": 8_192, "server": 65_536}
"""a body up to this size is parsed at once; a larger one in a thread, for one that is made to be slow takes a second"""
log = logging.getLogger("keepers")


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
        self._disk = DiskProbe(store.folder, problem("The disk of the store")) if store.folder is not None else None
        self._collector = Collector(store, on_arrival, self._committed, most_requests=most_waiting)
        # One thread, so that whoever sends much waits for themselves and not the event loop for all of them.
        self._parsing = ThreadPoolExecutor(1, "parsing")

    def start(self) -> None:
        """Called from the event loop that will await `take`."""
        self._collector.start()

    def stop(self) -> None:
        """Commits what waits. Blocks until it has."""
        self._parsing.shutdown()
        self._collector.stop()

    @property
    def waiting(self) -> int:
        """Requests that are not yet on disk."""
        return self._collector.waiting

    async def sender(self, token: str, now: datetime, call: str, origin: str = "", address: str = "") -> Key:
        """The sender's key for a call such as `track`; imports take server keys alone.

        `origin` is that of the page which sends, empty where it is no page.

        Raises KeyRefusedError, TooManyError for a network (`address`) with too many unknown keys, and KeepersError
        (`store`) when the keys cannot be read.
        """
        if self.keys.is_stale(now):
            try:
                await asyncio.to_thread(self.keys.refresh, now)
            except SQLAlchemyError:
                raise NotCommittedError(problem("The store does not answer. Send it again in a moment.")) from None
        try:
            return self.keys.admit(token, now, SERVER_KINDS if call == IMPORT else SENDER_KINDS, origin)
        except KeyRefusedError as refused:
            if refused.code == "unauthorized":
                self._public_limits.spend_request(address, now)
            raise

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
        trust = TRUST_OF[key.kind]
        counted = self._public_limits.spend_body(address, len(body), received_at) if trust == "public" else 0
        if len(body) <= QUICK_BYTES[trust]:
            parsed = parse_request(path, body, received_at, self.limits)
        else:
            loop = asyncio.get_running_loop()
            parsed = await loop.run_in_executor(self._parsing, parse_request, path, body, received_at, self.limits)
        if trust == "public":
            self._public_limits.spend_events(key.id, address, parsed, counted, received_at)
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
        trouble = self._disk.why_not_writable() if self._disk is not None else None
        if trouble is not None:
            return str(trouble)
        return "" if self._collector.is_running else "The collector has stopped. Start the server again."

    def inbox_depth(self) -> int:
        """Accepted requests that wait to be identified. Blocks."""
        with self._store.read_inbox() as connection:
            return inbox.depth(connection)

    def _committed(self, requests: int, seconds: float) -> None:
        self.on_commit(requests, seconds)


def _uncounted(requests: int, seconds: float) -> None:
    """The default: commits are not counted."""
