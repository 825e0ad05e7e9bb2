"""The delivery worker: sends what is due, one call at a time; holds the worker's lock, channels and rates."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from threading import Event
from types import TracebackType

from msgspec import Struct
from sqlalchemy import Connection

from keepers.channels.base import Channel
from keepers.delivery.claim import Preparer, Render, one_by_one
from keepers.delivery.outcomes import Delivered, Done, lock, record, recover
from keepers.delivery.rates import Rates, Windows
from keepers.delivery.send import SendStream
from keepers.store.bulk import chunks
from keepers.store.database import Store
from keepers.store.messages import message_copies, workers
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.sequencer_lock import IsHeld

__all__ = ["Delivered", "Deliverer", "Options", "Render", "one_by_one"]
ORPHANS_EVERY = timedelta(minutes=1)
_RECORDED = 200
log = logging.getLogger("keepers")


class Options(Struct, frozen=True):
    """How a worker works. `concurrency` messages of a channel are sent at the same time, or as many as it has
    `connections`, when those are fewer; copies are kept for `kept`.

    Once it is stopped, attempts may still take `patience_s`. The kill switch and breakers are read every `watch_s`.
    """

    concurrency: int = 32
    connections: Mapping[str, int] = {}
    coupon_once_per: timedelta | None = timedelta(days=90)
    kept: timedelta = message_copies.KEPT
    patience_s: float = 10.0
    watch_s: float = 0.5


class Deliverer:
    """One delivery worker. Use it as a context: it holds the worker's lock, and opens channels when first needed.

    `rates` are messages per second by channel; others are unlimited. `clock` is read during a call; without it all of a
    call happens at its `now`. Calls come from one thread, which runs no event loop. `refresh` is called in the
    transaction of every claim: rules and templates are then as new as the messages.
    """

    def __init__(
        self,
        store: Store,
        eligibility: StoredEligibility,
        render: Render,
        channels: Mapping[str, Channel],
        rates: Mapping[str, float],
        clock: Callable[[], datetime] | None,
        worker_id: str,
        options: Options | None = None,
        refresh: Callable[[Connection], None] | None = None,
    ) -> None:
        self._store = store
        self._eligibility = eligibility
        self._channels = channels
        self._rates = Rates(rates)
        self._windows = Windows()
        self._clock = clock
        self._worker_id = worker_id
        self._options = options or Options()
        self._preparer = Preparer(
            store,
            eligibility,
            render,
            worker_id,
            coupon_once_per=self._options.coupon_once_per,
            kept=self._options.kept,
            refresh=refresh,
        )
        self._store_thread = ThreadPoolExecutor(1, thread_name_prefix="deliver")
        self._runner: asyncio.Runner | None = None
        self._working: AbstractContextManager[IsHeld] | None = None
        self._is_held: IsHeld = lambda: False
        self._called_at = datetime.min
        self._recovered_at: datetime | None = None
        self._unrecorded: list[Done] = []
        self._unsent: list[int] = []
        self._stopping = Event()

    def open(self, now: datetime) -> None:
        """Takes the lock of its id. Raises ConflictError when another process has it, or on SQLite delivers already."""
        working = workers.working(self._store, self._worker_id, now)
        self._is_held = working.__enter__()
        self._working = working

    def close(self) -> None:
        """Closes the channels and frees the lock. Raises nothing: it must work when the store cannot be reached."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with _logged("close the channels"):
                runner.run(self._close_channels())
            with _logged("end what was under way"):
                runner.close()
        self._store_thread.shutdown()
        with _logged("write down the last outcomes"):
            # The last try: what is not recorded is uncertain from now on.
            self._record_again(Delivered())
        with _logged("put back what has not gone out"):
            self._requeue_unsent(self._clock() if self._clock is not None else self._called_at)
        self._let_go()

    def __enter__(self) -> Deliverer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """From any thread, for good: what is not sent yet is put back, and the present call returns.

        Attempts that do not end within `Options.patience_s` are cut off, and uncertain.
        """
        self._stopping.set()

    def run_once(self, now: datetime, limit: int = 10_000) -> Delivered:
        """Sends what is due at `now`, up to `limit` messages, and returns the counts."""
        if self._working is None:
            self.open(now)
        total = Delivered()
        self._called_at = now
        self._record_again(total)
        self._requeue_unsent(now)
        self._recover(now, total)
        known = self._preparer.slots()
        if not known or self._stopping.is_set():
            return total
        runner = self._runner = self._runner or self._with_channels()
        options = self._options
        at_once = {c: min(options.concurrency, options.connections.get(c, options.concurrency)) for c in self._channels}
        flow = SendStream(
            self._store, self._eligibility.rules.breakers, self._preparer, self._channels, at_once, self._rates,
            self._windows, self._store_thread, total, self._stopping,
            patience_s=options.patience_s, watch_s=options.watch_s,
        )  # fmt: skip
        try:
            runner.run(flow.run(now, self._clock, limit, known))
        except BaseException:
            # The next call settles what was being sent.
            self._recovered_at = None
            raise
        finally:
            self._unrecorded, self._unsent = flow.unrecorded, flow.unsent
        return total

    def _record_again(self, total: Delivered) -> None:
        """Records outcomes that the store did not take, before anything else."""
        for some in chunks(list(self._unrecorded), _RECORDED):
            with self._store.begin() as connection:
                record(connection, self._eligibility.rules.breakers, some, lock(connection, some), total)
            self._unrecorded = self._unrecorded[len(some) :]

    def _requeue_unsent(self, now: datetime) -> None:
        """Puts back what could not be put back before."""
        if self._unsent:
            self._preparer.requeue(self._unsent, now)
            self._unsent = []

    def _let_go(self) -> None:
        working, self._working = self._working, None
        if working is not None:
            with _logged("give up its place"):
                working.__exit__(None, None, None)

    def _recover(self, now: datetime, total: Delivered) -> None:
        """Settles messages of dead workers: at start, and on PostgreSQL every minute."""
        if self._recovered_at is not None and now - self._recovered_at < ORPHANS_EVERY:
            return
        if not self._is_held():
            log.warning("The lock of delivery worker %s was lost with its session; it is taken anew.", self._worker_id)
            self._recovered_at = None
            self._let_go()
            self.open(now)
        is_first = self._recovered_at is None
        own = self._worker_id if is_first else ""
        with self._store.begin() as connection:
            workers.beat(connection, self._worker_id, now)
            dead = workers.dead(connection, own) if is_first or not self._store.is_sqlite else []
        while dead:
            with self._store.begin() as connection:
                # Read again: a worker of that id may have come back, and the locks hold for this transaction.
                dead = [worker_id for worker_id in workers.dead(connection, own) if worker_id in dead]
                again, lost = recover(connection, dead, now) if dead else (0, 0)
                workers.forget(connection, [worker_id for worker_id in dead if worker_id != self._worker_id])
            if again or lost:
                log.warning("Of messages of workers that died %d wait again and %d are uncertain.", again, lost)
            total.uncertain += lost
        self._recovered_at = now

    def _with_channels(self) -> asyncio.Runner:
        runner = asyncio.Runner()
        try:
            runner.run(self._open_channels())
        except BaseException:
            # Some may be open: the next call opens all of them again.
            with _logged("close the channels"):
                runner.run(self._close_channels())
            runner.close()
            raise
        return runner

    async def _open_channels(self) -> None:
        for channel in self._channels.values():
            await channel.open()

    async def _close_channels(self) -> None:
        for channel in self._channels.values():
            await channel.close()


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """One of several steps of closing: a failure is logged, and the other steps are done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - nothing may keep the rest from being closed
        log.warning("A delivery worker could not %s: %s: %s", what, type(error).__name__, error)
