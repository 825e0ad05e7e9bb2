"""Opens and clicks as they come in: one thread commits together what has gathered meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Lock

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from keepers.store.database import Store
from keepers.store.messages import engagement_requests, messages
from keepers.store.messages.engagement_requests import EngagementRow

MOST_WAITING = 50_000
"""requests that may wait for a store that does not answer; beyond it new ones are dropped, and that is logged"""
PATIENCE_S = 0.25
"""how long a response waits for its request to be on disk; after that it is still stored"""
_BATCH = 2_000
log = logging.getLogger("keepers")


class EngagementRequest(Struct, frozen=True):
    """One request for a link of the message with this key. `url` is where a click led; empty for an open."""

    key: str
    at: datetime
    url: str
    method: str
    user_agent: str
    ip_hash: str
    network: str = ""


class EngagementLog:
    """Stores requests. Belongs to one event loop. Needs neither start nor stop: its thread lives while there is work,
    and what waits when the process ends is still written."""

    def __init__(self, store: Store, most_waiting: int = MOST_WAITING, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._waiting: deque[tuple[EngagementRequest, asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lock = Lock()
        self._is_busy = False
        self._lost = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engagement")

    async def record(self, request: EngagementRequest) -> bool:
        """Waits until the request is on disk, at most `patience_s`: whether it is."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if len(self._waiting) >= self._most_waiting:
                self._lost += 1
                return False
            self._waiting.append((request, loop, future))
            if not self._is_busy:
                self._is_busy = True
                self._thread.submit(self._drain)
        try:
            await asyncio.wait_for(future, self._patience_s)
        except (TimeoutError, asyncio.CancelledError):
            return False
        return True

    def _drain(self) -> None:
        try:
            self._write_all()
        except Exception:  # whatever it was, the next request tries again
            log.exception("Opens and clicks could not be kept.")
            with self._lock:
                self._is_busy = False

    def _write_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_busy = False
                    return
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
                lost, self._lost = self._lost, 0
            if lost:
                log.error("%d opens and clicks were not kept: the store was too slow for them.", lost)
            if not self._write_rows([request for request, _, _ in taken]):
                # They go with the next request: a store that is unreachable is not tried over and over.
                with self._lock:
                    self._waiting.extendleft(reversed(taken))
                    self._is_busy = False
                return
            for _, loop, future in taken:
                _resolve(loop, future)

    def _write_rows(self, taken: list[EngagementRequest]) -> bool:
        try:
            with self._store.read() as connection:
                known = messages.by_keys(connection, sorted({request.key for request in taken}))
            rows = [
                EngagementRow(
                    known[request.key].id,
                    request.at,
                    request.url,
                    request.user_agent,
                    request.ip_hash,
                    request.method,
                    network=request.network,
                )
                for request in taken
                if request.key in known
            ]
            if rows:
                with self._store.begin() as connection:
                    engagement_requests.append(connection, rows)
        except (SQLAlchemyError, OSError) as error:
            log.error("Opens and clicks wait for the store: %s", getattr(error, "orig", None) or error)
            return False
        except Exception:  # an internal fault must not lose what waits either
            log.exception("Opens and clicks wait.")
            return False
        return True


def _resolve(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    def done() -> None:
        if not future.done():
            future.set_result(None)

    # Nobody waits on a closed loop.
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(done)
        except RuntimeError:
            return
