"""One call's stream of messages: prepared and recorded by one thread, sent by many tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from threading import Event
from typing import TypeVar

from keepers.channels.base import Channel
from keepers.contact.breakers import stream_of
from keepers.contact.rules import Breakers
from keepers.delivery.claim import Preparer
from keepers.delivery.outcomes import UNCERTAIN, Delivered, Done, record
from keepers.delivery.rates import Rates
from keepers.model.errors import problem
from keepers.model.message import Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.messages import sending_switches
from keepers.store.messages.claims import Slot
from keepers.store.messages.messages import MessageRow

LEAST, MOST = 32, 256
"""messages handed over at once: about a second's, so that a crash leaves no more than that uncertain"""
_FAST_S, _SLOW_S = 0.5, 2.0
_RECORDED = 200
_GATHERED_S = 0.05
log = logging.getLogger("keepers")
QueuedMessage = tuple[MessageRow, Outgoing]
T = TypeVar("T")


class SendStream:
    """Made for one call. Any thread may set `stopping`; `total` is added to as outcomes are recorded."""

    def __init__(
        self,
        store: Store,
        breakers: Breakers,
        preparer: Preparer,
        channels: Mapping[str, Channel],
        rates: Rates,
        store_thread: Executor,
        total: Delivered,
        stopping: Event,
        *,
        patience_s: float,
        watch_s: float,
    ) -> None:
        """`patience_s` is how long attempts may still take once stopped; switches are read every `watch_s` seconds."""
        self._store = store
        self._breakers = breakers
        self._preparer = preparer
        self._channels = channels
        self._rates = rates
        self._store_thread = store_thread
        self._total = total
        self._stopping = stopping
        self._patience_s = patience_s
        self._watch_s = watch_s
        self._is_off = False
        self._limits: set[asyncio.Timeout] = set()
        self._is_ending = False
        self._stopped_streams: frozenset[str] = frozenset()
        self._failure: Exception | None = None
        self._under_way = 0
        self.unsent: list[int] = []
        """ids that were handed over, not sent, and could not be put back yet"""
        self.unrecorded: list[Done] = []
        """outcomes the store did not take"""

    @property
    def _is_halted(self) -> bool:
        """Whether what is not sent yet is put back."""
        return self._is_off or self._failure is not None or self._stopping.is_set()

    async def run(
        self,
        now: datetime,
        clock: Callable[[], datetime] | None,
        limit: int,
        known: Sequence[Slot],
        concurrency: int,
    ) -> None:
        """Until nothing is due, `limit` messages were claimed, or sending is stopped. Raises errors of the store."""

        def time() -> datetime:
            return now if clock is None else max(now, clock())

        waiting: asyncio.Queue[QueuedMessage | None] = asyncio.Queue(LEAST)
        done: asyncio.Queue[Done | None] = asyncio.Queue()
        senders = [asyncio.create_task(self._send(waiting, done, time)) for _ in range(concurrency)]
        recorder = asyncio.create_task(self._record(done))
        watcher = asyncio.create_task(self._watch())
        try:
            await self._produce(waiting, time, limit, known)
        finally:
            self._is_ending = True
            for _ in senders:
                await waiting.put(None)
            await asyncio.gather(*senders)
            done.put_nowait(None)
            await recorder
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            if self.unsent and self._failure is None:
                await self._in_store_thread(partial(self._preparer.requeue, self.unsent, time()))
                self.unsent = []
        if self._failure is not None:
            raise self._failure

    async def _produce(
        self,
        waiting: asyncio.Queue[QueuedMessage | None],
        time: Callable[[], datetime],
        limit: int,
        known: Sequence[Slot],
    ) -> None:
        left, size = limit, LEAST
        loop = asyncio.get_running_loop()
        while left > 0 and not self._is_halted:
            now, began = time(), loop.time()
            most = self._rates.most(now)
            prepared = await self._in_store_thread(partial(self._preparer.prepare, now, min(size, left), known, most))
            if not prepared.claimed:
                return
            left -= prepared.claimed
            self._total.held += prepared.held
            self._total.skipped += prepared.skipped
            self._total.failed += prepared.failed
            self._rates.used(message.channel for message, _ in prepared.ready)
            for item in prepared.ready:
                await waiting.put(item)
            took = loop.time() - began
            size = min(size * 2, MOST) if took < _FAST_S else max(size // 2, LEAST) if took > _SLOW_S else size

    async def _send(
        self,
        waiting: asyncio.Queue[QueuedMessage | None],
        done: asyncio.Queue[Done | None],
        time: Callable[[], datetime],
    ) -> None:
        while (item := await waiting.get()) is not None:
            message, outgoing = item
            stream = stream_of(message.channel, message.is_transactional)
            if self._is_halted or stream in self._stopped_streams:
                self.unsent.append(message.id)
                continue
            self._under_way += 1
            outcome = await self._attempt(message, outgoing)
            self._under_way -= 1
            done.put_nowait(Done(message, outcome, time()))

    async def _attempt(self, message: MessageRow, outgoing: Outgoing) -> Outcome:
        channel = self._channels.get(message.channel)
        if channel is None:
            missing = problem("The channel {channel} is not set up in keepers.toml.", channel=message.channel)
            return Outcome("failed", missing, code="no_channel")
        try:
            async with asyncio.timeout(None) as limit:
                self._limits.add(limit)
                try:
                    return await channel.send(outgoing)
                finally:
                    self._limits.discard(limit)
        except Exception as error:
            if limit.expired():
                log.warning("Message %d was still being sent when delivery ended: it is uncertain.", message.id)
                return Outcome("failed", problem("Delivery ended before there was an answer."), code=UNCERTAIN)
            # A fault in the channel: how far it came is unknown.
            log.exception("The channel %s failed at message %d.", message.channel, message.id)
            fault = problem("The channel failed: {error}.", error=type(error).__name__)
            return Outcome("failed", fault, code=UNCERTAIN)

    async def _record(self, done: asyncio.Queue[Done | None]) -> None:
        first = await done.get()
        while first is not None:
            batch = [first]
            await self._gather(done)
            following: Done | None = first
            while following is not None and len(batch) < _RECORDED and not done.empty():
                following = done.get_nowait()
                if following is not None:
                    batch.append(following)
            await self._store_outcomes(batch)
            first = None if following is None else await done.get()

    async def _gather(self, done: asyncio.Queue[Done | None]) -> None:
        """Waits briefly, so that outcomes are recorded together."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _GATHERED_S
        while (self._under_way or not self._is_ending) and done.qsize() < _RECORDED and loop.time() < until:
            await asyncio.sleep(_GATHERED_S / 10)

    async def _store_outcomes(self, batch: list[Done]) -> None:
        try:
            if self._failure is None:
                await self._in_store_thread(partial(self._record_batch, batch))
                return
        except Exception as error:  # noqa: BLE001 - raised at the end, when what is being sent has come back
            self._failure = error
        self.unrecorded += batch

    def _record_batch(self, batch: list[Done]) -> None:
        counted = Delivered()
        with self._store.begin() as connection:
            record(connection, self._breakers, batch, counted)
        for name in counted.__struct_fields__:
            setattr(self._total, name, getattr(self._total, name) + getattr(counted, name))

    async def _watch(self) -> None:
        """Reads the switches while messages wait: one that is off stops what is not sent yet."""
        loop = asyncio.get_running_loop()
        until: float | None = None
        while True:
            await asyncio.sleep(self._watch_s)
            if self._stopping.is_set():
                until = loop.time() + self._patience_s if until is None else until
                for limit in self._limits if loop.time() >= until else ():
                    limit.reschedule(until)
                continue
            try:
                known = await self._in_store_thread(self._switches)
            except Exception as error:  # noqa: BLE001 - preparing or recording will raise it too
                log.warning("The switches could not be read: %s", error)
                continue
            self._is_off = self._is_off or not sending_switches.is_sending(known)
            self._stopped_streams = sending_switches.open_breakers(known)

    def _switches(self) -> dict[str, sending_switches.Switch]:
        with self._store.read() as connection:
            return sending_switches.everything(connection)

    async def _in_store_thread(self, work: Callable[[], T]) -> T:
        """Runs in the one thread that uses the store, so that claiming and recording never wait for each other."""
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, work)
