"""One call's stream of messages: claimed, handed over in pieces and recorded by one thread, sent by many tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from threading import Event
from typing import TypeVar

from keepers.channels.base import Channel
from keepers.contact.breakers import stream_of
from keepers.contact.rules import Breakers
from keepers.delivery.claim import Preparer, QueuedMessage
from keepers.delivery.outcomes import UNCERTAIN, Delivered, Done, lock, record
from keepers.delivery.rates import Attempt, Rates, Windows
from keepers.model.errors import problem
from keepers.model.message import Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.messages import sending_switches
from keepers.store.messages.claims import Slot
from keepers.store.messages.messages import MessageRow

LEAST, MOST = 32, 256
"""messages claimed at once: about a second's, so that what others decide meanwhile still counts"""
_FAST_S, _SLOW_S = 0.5, 2.0
_GATHERED_S = 0.05
log = logging.getLogger("keepers")
T = TypeVar("T")


class SendStream:
    """Made for one call. Any thread may set `stopping`; `total` is added to as outcomes are recorded."""

    def __init__(
        self,
        store: Store,
        breakers: Breakers,
        preparer: Preparer,
        channels: Mapping[str, Channel],
        at_once: Mapping[str, int],
        rates: Rates,
        windows: Windows,
        store_thread: Executor,
        total: Delivered,
        stopping: Event,
        *,
        patience_s: float,
        watch_s: float,
    ) -> None:
        """`at_once` messages of each channel are sent at the same time.

        `patience_s` is how long attempts may still take once stopped; switches are read every `watch_s` seconds.
        """
        self._store = store
        self._breakers = breakers
        self._preparer = preparer
        self._channels = channels
        self._at_once = at_once
        self._rates = rates
        self._windows = windows
        self._store_thread = store_thread
        self._total = total
        self._stopping = stopping
        self._patience_s = patience_s
        self._watch_s = watch_s
        self._is_off = False
        self._limits: set[asyncio.Timeout] = set()
        self._stopped_streams: frozenset[str] = frozenset()
        self._failure: Exception | None = None
        self._claimed: dict[str, deque[QueuedMessage]] = {}
        """what is to be handed over, by channel"""
        self._waiting: dict[str, asyncio.Queue[tuple[QueuedMessage, float] | None]] = {}
        """what is handed over and to be sent, with when that was, by channel; each None ends a sender"""
        self._senders: list[asyncio.Task[None]] = []
        self._in_doubt: Counter[str] = Counter()
        """how many messages are handed over without a recorded outcome, by channel"""
        self._done: list[tuple[Done, Attempt]] = []
        self._arrived = asyncio.Event()
        """set by outcomes, messages that are put back and senders that end, and while sending is halted"""
        self.unsent: list[int] = []
        """ids that were claimed, not sent, and could not be put back yet"""
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
    ) -> None:
        """Until nothing is due, `limit` messages were claimed, or sending is stopped. Raises errors of the store."""

        def time() -> datetime:
            return now if clock is None else max(now, clock())

        self._rates.slow(sending_switches.slowed_streams(await self._in_store_thread(self._switches)))
        watcher = asyncio.create_task(self._watch())
        try:
            await self._hand_out(time, limit, known)
        finally:
            self.unsent += [message.id for claimed in self._claimed.values() for message, _ in claimed]
            for waiting in self._waiting.values():
                for _ in self._senders:
                    waiting.put_nowait(None)
            while self._in_doubt.total() and not all(sender.done() for sender in self._senders):
                await self._gather()
                await self._commit([], time)
            await asyncio.gather(*self._senders)
            await self._commit([], time)
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            if self.unsent and self._failure is None:
                await self._in_store_thread(partial(self._preparer.requeue, self.unsent, time()))
                self.unsent = []
        if self._failure is not None:
            raise self._failure

    async def _hand_out(self, time: Callable[[], datetime], limit: int, known: Sequence[Slot]) -> None:
        """Until all is sent or sending is halted: records outcomes, hands over what there is room for, claims more."""
        left, size, is_more = limit, LEAST, True
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._is_halted:
            await self._commit(self._next_piece(), time)
            is_more = is_more and left > 0
            if is_more and sum(map(len, self._claimed.values())) <= size // 2:
                took, began = loop.time() - began, loop.time()
                claimed = await self._claim(time(), min(size, left), known)
                left, is_more = left - claimed, claimed > 0
                size = min(size * 2, MOST) if took < _FAST_S else max(size // 2, LEAST) if took > _SLOW_S else size
            elif self._in_doubt.total():
                await self._gather()
            elif not is_more and not any(self._claimed.values()):
                return

    async def _claim(self, now: datetime, number: int, known: Sequence[Slot]) -> int:
        """Claims and renders messages; returns how many were due."""
        most = self._rates.most(now)
        prepared = await self._in_store_thread(partial(self._preparer.prepare, now, number, known, most))
        self._total.held += prepared.held
        self._total.skipped += prepared.skipped
        self._total.failed += prepared.failed
        self._rates.used(message.channel for message, _ in prepared.ready)
        self._rates.used(stream_of(m.channel, m.is_transactional) for m, _ in prepared.ready)
        for item in prepared.ready:
            self._claimed.setdefault(item[0].channel, deque()).append(item)
        return prepared.claimed

    def _next_piece(self) -> list[QueuedMessage]:
        """What may be handed over now, when the outcomes that are there are recorded in the same transaction."""
        recorded = Counter(attempt.channel for _, attempt in self._done)
        piece: list[QueuedMessage] = []
        for channel, claimed in self._claimed.items():
            most = self._senders_of(channel) + self._windows.of(channel).ahead
            room = most - self._in_doubt[channel] + recorded[channel]
            while claimed and room > 0:
                message, outgoing = claimed.popleft()
                if self._is_stopped(message):
                    self.unsent.append(message.id)
                    continue
                piece.append((message, outgoing))
                room -= 1
        return piece

    def _is_stopped(self, message: MessageRow) -> bool:
        return self._is_halted or stream_of(message.channel, message.is_transactional) in self._stopped_streams

    def _senders_of(self, channel: str) -> int:
        # One without a channel is answered at once.
        return self._at_once.get(channel, 1)

    def _enqueue(self, item: QueuedMessage, handed_over_s: float, time: Callable[[], datetime]) -> None:
        """Passes a message to the senders of its channel, which the first one starts."""
        channel = item[0].channel
        waiting = self._waiting.get(channel)
        if waiting is None:
            waiting = self._waiting[channel] = asyncio.Queue()
            for _ in range(self._senders_of(channel)):
                sender = asyncio.create_task(self._send(waiting, time))
                sender.add_done_callback(lambda _: self._arrived.set())
                self._senders.append(sender)
        waiting.put_nowait((item, handed_over_s))

    async def _send(
        self, waiting: asyncio.Queue[tuple[QueuedMessage, float] | None], time: Callable[[], datetime]
    ) -> None:
        loop = asyncio.get_running_loop()
        while (item := await waiting.get()) is not None:
            (message, outgoing), handed_over_s = item
            if self._is_stopped(message):
                self.unsent.append(message.id)
                self._in_doubt[message.channel] -= 1
            else:
                began_s = loop.time()
                outcome = await self._attempt(message, outgoing)
                attempt = Attempt(message.channel, handed_over_s, began_s)
                self._done.append((Done(message, outcome, time()), attempt))
            self._arrived.set()

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

    async def _gather(self) -> None:
        """Waits for an outcome, and then briefly for others, so that they are recorded together."""
        await self._arrived.wait()
        loop = asyncio.get_running_loop()
        until = loop.time() + _GATHERED_S
        # Half of what is handed over goes on being sent while the other half is recorded.
        while len(self._done) < self._in_doubt.total() // 2 and loop.time() < until:
            await asyncio.sleep(_GATHERED_S / 10)
        self._arrived.clear()

    async def _commit(self, piece: list[QueuedMessage], time: Callable[[], datetime]) -> None:
        """Records the outcomes that are there and hands over a piece, in one transaction; then the piece is sent."""
        batch, self._done = self._done, []
        done = [one for one, _ in batch]
        if not batch and not piece:
            return
        handed_over: list[QueuedMessage] = []
        try:
            if self._failure is None:
                handed_over = await self._in_store_thread(partial(self._store_piece, done, piece, time()))
                done = []
            else:
                self.unsent += [message.id for message, _ in piece]
        except Exception as error:  # noqa: BLE001 - raised at the end, when what is being sent has come back
            self._failure = error
            # Whether it was committed is unknown; that none of it was sent is certain.
            self.unsent += [message.id for message, _ in piece]
        self.unrecorded += done
        now_s = asyncio.get_running_loop().time()
        self._in_doubt.subtract(attempt.channel for _, attempt in batch)
        self._in_doubt.update(message.channel for message, _ in handed_over)
        for item in handed_over:
            self._enqueue(item, now_s, time)
        for channel in {attempt.channel for _, attempt in batch}:
            begun = [attempt for _, attempt in batch if attempt.channel == channel]
            self._windows.of(channel).adjust(begun, now_s, is_limiting=bool(self._claimed.get(channel)))

    def _store_piece(self, done: Sequence[Done], piece: Sequence[QueuedMessage], now: datetime) -> list[QueuedMessage]:
        """Returns what was handed over. While sending is switched off that is nothing, and the piece is put back."""
        counted, handed_over = Delivered(), list[QueuedMessage]()
        with self._store.begin() as connection:
            is_sending = sending_switches.is_sending(sending_switches.everything(connection)) if piece else True
            locked = lock(connection, done, [message.id for message, _ in piece])
            if done:
                record(connection, self._breakers, done, locked, counted)
            if is_sending:
                handed_over = self._preparer.hand_over(connection, piece, locked, now)
        if is_sending:
            counted.skipped += len(piece) - len(handed_over)
        else:
            self._is_off = True
            self.unsent += [message.id for message, _ in piece]
        for name in counted.__struct_fields__:
            setattr(self._total, name, getattr(self._total, name) + getattr(counted, name))
        return handed_over

    async def _watch(self) -> None:
        """Reads the switches while messages wait: one that is off stops what is not sent yet."""
        loop = asyncio.get_running_loop()
        until: float | None = None
        while True:
            await asyncio.sleep(self._watch_s)
            if self._is_halted:
                self._arrived.set()
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
            self._rates.slow(sending_switches.slowed_streams(known))

    def _switches(self) -> dict[str, sending_switches.Switch]:
        with self._store.read() as connection:
            return sending_switches.everything(connection)

    async def _in_store_thread(self, work: Callable[[], T]) -> T:
        """Runs in the one thread that uses the store, so that claiming and recording never wait for each other."""
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, work)
