"""The group committer: requests wait together, one thread makes all of them durable in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Condition, Thread
from time import perf_counter

from keepers.model.errors import KeepersError, problem
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted


class QueueFullError(KeepersError):
    """Too many requests wait for the disk. The sender may retry shortly."""

    code = "busy"


class NotCommittedError(KeepersError):
    """The store did not take the requests; nothing was acknowledged."""

    code = "store"


class Collector:
    """Keeps accepted requests. `start` and `stop` frame its life; `keep` may be awaited by any number of tasks.

    `on_arrival` is called from the committing thread after each commit; `on_commit(requests, seconds)` too.
    """

    def __init__(
        self,
        store: Store,
        on_arrival: Callable[[], None] | None = None,
        on_commit: Callable[[int, float], None] | None = None,
        most_requests: int = 10_000,
        most_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._store = store
        self._on_arrival = on_arrival
        self._on_commit = on_commit
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._condition = Condition()
        self._waiting: list[tuple[Accepted, asyncio.Future[None]]] = []
        self._bytes = 0
        self._stopping = False
        self._is_asleep = False
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_running(self) -> bool:
        """Whether the committing thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Requests that are not yet on disk."""
        return len(self._waiting)

    def start(self) -> None:
        """Starts the thread. Called from the event loop that will await `keep`."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._thread = Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commits what waits and ends the thread. Blocks until it has."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def commit(self, accepted: Accepted) -> asyncio.Future[None]:
        """A future that is done once the request is on disk; NotCommittedError when the store failed.

        Raises QueueFullError at once when too much waits already.
        """
        size = len(accepted.body)
        with self._condition:
            if self._stopping or self._loop is None:
                raise QueueFullError(problem("The server is stopping. Send it again in a moment."))
            if len(self._waiting) >= self._most_requests or self._bytes + size > self._most_bytes:
                raise QueueFullError(
                    problem("Events arrive faster than they can be written. Send it again in a moment.")
                )
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((accepted, future))
            self._bytes += size
            if self._is_asleep:
                self._condition.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._stopping:
                    self._is_asleep = True
                    self._condition.wait()
                self._is_asleep = False
                if not self._waiting:
                    return
                taken, self._waiting = self._waiting, []
                self._bytes = 0
            self._commit(taken)

    def _commit(self, taken: list[tuple[Accepted, asyncio.Future[None]]]) -> None:
        began = perf_counter()
        failure: NotCommittedError | None = None
        try:
            with self._store.begin_inbox() as connection:
                inbox.append(connection, [accepted for accepted, _ in taken])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told and the thread lives on
            failure = NotCommittedError(
                problem("The store did not take the request: {error}", error=getattr(error, "orig", error))
            )
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_resolve, taken, failure)
        except RuntimeError:
            # The event loop was closed: its waiting tasks are gone, and the committed requests stay.
            return
        if failure is None:
            if self._on_commit is not None:
                self._on_commit(len(taken), perf_counter() - began)
            if self._on_arrival is not None:
                self._on_arrival()


def _resolve(taken: list[tuple[Accepted, asyncio.Future[None]]], failure: NotCommittedError | None) -> None:
    for _, future in taken:
        if future.done():  # the sender has disconnected
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
