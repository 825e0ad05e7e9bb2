"""The delivery worker of a running server: sends as soon as something is decided, in a thread of its own."""

from __future__ import annotations

import logging
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Counter

from keepers.app.workspace.workspace import Workspace
from keepers.delivery.worker import Deliverer
from keepers.model.errors import KeepersError

STOPPED_S = 20.0
"""seconds that a stop waits for messages under way; after that their outcome is uncertain"""
log = logging.getLogger("keepers")


class DeliveryLoop:
    """Delivers one workspace's messages until stopped. `trouble` says why delivery fails, and is empty otherwise.

    The worker is kept after a failure: it knows which messages it has sent, which the store may not.
    """

    def __init__(
        self,
        workspace: Workspace,
        registry: CollectorRegistry,
        worker_id: str = "serve",
        *,
        every_s: float = 1.0,
        longest_pause_s: float = 60.0,
    ) -> None:
        """Looks for messages every `every_s`; after failures in growing pauses, at most `longest_pause_s`."""
        self._workspace = workspace
        self._worker_id = worker_id
        self._every_s = every_s
        self._longest_pause_s = longest_pause_s
        self._due = Event()
        self._stopping = Event()
        self._deliverer: Deliverer | None = None
        self._thread = Thread(target=self._run, name="delivery", daemon=True)
        self._sent = Counter("keepers_messages_sent", "Messages handed to a channel and taken.", registry=registry)
        self._failed = Counter("keepers_messages_failed", "Messages that became dead letters.", registry=registry)
        self._uncertain = Counter(
            "keepers_messages_uncertain", "Messages of which it is not known whether they were sent.", registry=registry
        )
        self.trouble = ""

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether its thread has not ended."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Starts a round now. Cheap; callable from any thread."""
        self._due.set()

    def stop(self, patience_s: float = STOPPED_S) -> None:
        """Ends the thread, waiting so long at most. Unsent messages wait for the next start."""
        self._stopping.set()
        self._due.set()
        deliverer = self._deliverer
        if deliverer is not None:
            deliverer.stop()
        if not self.is_alive:
            return
        self._thread.join(patience_s)
        if self.is_alive:
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
                self._record_failure(error)
                is_more = False
            if not is_more:
                pause = min(self._every_s * 2.0 ** min(failures, 6), self._longest_pause_s)
                (self._stopping if failures else self._due).wait(pause)
        self._close()

    def _deliver(self) -> bool:
        """One round; returns whether another should follow at once."""
        self._workspace.sending.refresh()
        if self._deliverer is None:
            self._deliverer = self._workspace.sending.deliverer(self._worker_id, self._workspace.clock)
        if self._stopping.is_set():
            # Stopped before the worker existed.
            self._deliverer.stop()
        with self._workspace.warehouse_gate.inside():
            done = self._deliverer.run_once(self._workspace.believed_now())
        self._sent.inc(done.sent)
        self._failed.inc(done.failed)
        self._uncertain.inc(done.uncertain)
        return bool(done.sent)

    def _record_failure(self, error: Exception) -> None:
        known = isinstance(error, KeepersError)
        self.trouble = error.message if isinstance(error, KeepersError) else f"{type(error).__name__}, see errors.log"
        log.error("Delivery stopped: %s", self.trouble, exc_info=None if known else error)

    def _close(self) -> None:
        try:
            if self._deliverer is not None:
                self._deliverer.close()
        except Exception as error:  # noqa: BLE001 - the thread ends here, whatever keeps the rest from it
            self._record_failure(error)
        finally:
            self._deliverer = None
