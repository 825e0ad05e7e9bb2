"""The delivery worker of a running server: sends as soon as something is decided, in a thread of its own."""

from __future__ import annotations

import logging
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Counter

from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.delivery.worker import Deliverer
from keepers.model.errors import KeepersError

_LONGEST_PAUSE_S = 60.0
_EVERY_S = 1.0
STOPPED_S = 20.0
"""how long the end waits for what is on its way; then it is in doubt"""
log = logging.getLogger("keepers")


class DeliveryLoop:
    """Delivers one workspace's messages until stopped. `trouble` says what keeps it from doing so, if anything.

    A worker outlives a failure: it knows what it has sent and what not, which the store may not have been told.
    """

    def __init__(self, workspace: Workspace, registry: CollectorRegistry, worker_id: str = "serve") -> None:
        self._workspace = workspace
        self._worker_id = worker_id
        self._due = Event()
        self._stopping = Event()
        self._deliverer: Deliverer | None = None
        self._thread = Thread(target=self._run, name="delivery", daemon=True)
        self._sent = Counter("keepers_messages_sent", "Messages handed to a channel and taken.", registry=registry)
        self._failed = Counter("keepers_messages_failed", "Messages that became dead letters.", registry=registry)
        self.trouble = ""

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was decided: look now. Cheap, from any thread."""
        self._due.set()

    def stop(self, patience_s: float = STOPPED_S) -> None:
        """Ends the thread, waiting so long at most. What has not gone out yet waits for the next start."""
        self._stopping.set()
        self._due.set()
        deliverer = self._deliverer
        if deliverer is not None:
            deliverer.stop()
        if not self._thread.is_alive():
            return
        self._thread.join(patience_s)
        if self._thread.is_alive():
            log.warning("Delivery did not end within %g seconds: what is on its way is in doubt.", patience_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._due.clear()
            try:
                is_more = self._deliver()
                failures, self.trouble = 0, ""
            except Exception as error:  # noqa: BLE001 - whatever stops delivery, it is tried again, and it is said
                failures += 1
                self._note(error)
                is_more = False
            if not is_more:
                pause = min(_EVERY_S * 2.0 ** min(failures, 6), _LONGEST_PAUSE_S)
                (self._stopping if failures else self._due).wait(pause)
        self._close()

    def _deliver(self) -> bool:
        """One round; whether there may be more to do at once."""
        self._workspace.sending.refresh()
        if self._deliverer is None:
            self._deliverer = self._workspace.sending.deliverer(self._worker_id, clock)
        if self._stopping.is_set():
            # Told to stop before there was a worker to tell.
            self._deliverer.stop()
        done = self._deliverer.run_once(clock())
        self._sent.inc(done.sent)
        self._failed.inc(done.failed)
        return bool(done.sent)

    def _note(self, error: Exception) -> None:
        known = isinstance(error, KeepersError)
        self.trouble = error.message if isinstance(error, KeepersError) else f"{type(error).__name__}, see errors.log"
        log.error("Delivery stopped: %s", self.trouble, exc_info=None if known else error)

    def _close(self) -> None:
        try:
            if self._deliverer is not None:
                self._deliverer.close()
        except Exception as error:  # noqa: BLE001 - the thread ends here, whatever keeps the rest from it
            self._note(error)
        finally:
            self._deliverer = None
