"""The ticker of a running server: ticks when something arrives, else at an interval, also after failures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from keepers.app.workspace.ticker_status import TickerStatus
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import KeepersError, problem

_LONGEST_PAUSE_S = 60.0
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
log = logging.getLogger("keepers")


class TickLoop:
    """Ticks one workspace in a thread of its own. The process owns the sequencer's lock meanwhile."""

    def __init__(self, workspace: Workspace, registry: CollectorRegistry) -> None:
        self._workspace = workspace
        self._every = workspace.settings.server.tick_every
        self._arrived = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="ticker", daemon=True)
        self.status = TickerStatus(is_ticking=True)
        self.on_queued: Callable[[], None] | None = None
        """called when a tick decided on messages"""
        self._seconds = Histogram(
            "keepers_tick_seconds", "Time of one tick that did something.", buckets=_SECONDS, registry=registry
        )
        self._failures = Counter("keepers_tick_failures", "Ticks that failed; each is tried again.", registry=registry)
        self._ticked = Gauge("keepers_last_tick_timestamp_seconds", "When the last tick succeeded.", registry=registry)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Ticks now. Cheap; callable from any thread."""
        self._arrived.set()

    def stop(self, patience_s: float = 2.0) -> None:
        """Ends the thread. A tick that takes long is interrupted and repeated at the next start."""
        self._stopping.set()
        self._arrived.set()
        self._thread.join(patience_s)
        while self._thread.is_alive():
            if self._thread.ident is not None:
                self._workspace.warehouse.interrupt({self._thread.ident})
            self._thread.join(0.1)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            pause = self._tick()
            self._rest(pause)

    def _rest(self, pause_s: float) -> None:
        if self.status.failures:
            # Arrivals do not shorten the pause after a failure.
            self._stopping.wait(pause_s)
        else:
            self._arrived.wait(pause_s)

    def _tick(self) -> float:
        """One tick; returns the seconds until the next one when nothing arrives."""
        try:
            with self._workspace.sequencing("keepers serve") as ticker:
                if self._stopping.is_set():
                    return 0.0
                began = monotonic()
                done = ticker.tick(self._workspace.believed_now())
                took = monotonic() - began
            if done.queued and self.on_queued is not None:
                self.on_queued()
        except Exception as error:  # noqa: BLE001 - whatever stops a tick, the next one is tried, and it is said
            self._workspace.warehouse.note_failure(error)
            return self._failed(error)
        if self.status.failures:
            log.warning("Ticks work again after %d that failed.", self.status.failures)
        took_s = took if done.did_something else self.status.took_s
        if done.did_something:
            self._seconds.observe(took)
        self.status = TickerStatus(is_ticking=True, ticked_at=self._workspace.clock(), took_s=took_s)
        self._ticked.set_to_current_time()
        return self._every

    def _failed(self, error: Exception) -> float:
        if self._stopping.is_set():
            return 0.0
        failures = self.status.failures + 1
        pause: float = min(self._every * 2.0 ** min(failures, 10), _LONGEST_PAUSE_S)
        # Shown on pages without a login: the text of an unexpected error may quote customers' data.
        unforeseen = problem("{error}. Details are in data/errors.log.", error=type(error).__name__)
        trouble = error if isinstance(error, KeepersError) else KeepersError(unforeseen)
        self._failures.inc()
        self.status = msgspec.structs.replace(self.status, failures=failures, trouble=trouble)
        unexpected = None if isinstance(error, KeepersError) else error
        log.error(
            "A tick failed: %s Trying again in %.0f s.", trouble.message.splitlines()[0], pause, exc_info=unexpected
        )
        return pause
