"""The daily upkeep of a running server, in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import time
from functools import partial
from threading import Event, Thread

from keepers.app.operations import upkeep
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import ConflictError, KeepersError, problem

_EVERY_S = 60.0
"""seconds between two checks whether the hour has come"""
_AGAIN_S = 10 * _EVERY_S
"""seconds before what failed is tried again"""
_YIELDS_TO = ("locked", "busy")
"""a backup that copies the warehouse, and long queries: both end by themselves"""
_MOST_REASON = 300
"""characters of an error that are recorded"""
log = logging.getLogger("keepers")


class UpkeepLoop:
    """Does the upkeep of one workspace when its hour comes. The process owns the sequencer's lock meanwhile."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Work under way is interrupted, and done again after the next start."""
        self._stopping.set()
        while self._thread.is_alive():
            if self._thread.ident is not None and "warehouse" in self._workspace.__dict__:
                self._workspace.warehouse.interrupt([self._thread.ident])
            self._thread.join(0.1)

    def _run(self) -> None:
        pause = _EVERY_S
        while not self._stopping.wait(pause):
            pause = self.attempt()

    def attempt(self) -> float:
        """Does the upkeep if its hour has come; how many seconds to wait until it is tried again.

        A failure, and that it yields, is logged and recorded.
        """
        try:
            self.run_if_due()
            upkeep.clear_trouble(self._workspace)
        except Exception as error:
            if isinstance(error, ConflictError) and error.code in _YIELDS_TO:
                log.info("The daily upkeep goes on in %d minutes: %s", _AGAIN_S / 60, error)
                self._record(partial(upkeep.note_put_off, self._workspace))
            elif not self._stopping.is_set():
                known = isinstance(error, KeepersError)
                log.error("The daily upkeep failed: %s", error, exc_info=None if known else error)
                self._record(partial(upkeep.note_failure, self._workspace, _reason(error)))
            return _AGAIN_S
        return _EVERY_S

    def _record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception:
            # Such as a full disk, which stopped the upkeep too.
            log.exception("That the daily upkeep failed cannot be recorded")

    def run_if_due(self) -> bool:
        """Whether the hour had come. Raises what stops it, such as a clock that cannot be believed."""
        workspace = self._workspace
        last, now = upkeep.last_run(workspace), workspace.clock()
        if last is None:
            # The first time, the hour comes first: nobody expects it at the start of a new version.
            upkeep.note_run(workspace, now)
            return False
        if not upkeep.is_due(last, now, time.fromisoformat(workspace.settings.upkeep.at), workspace.zone):
            return False
        with workspace.sequencing("the daily upkeep"):
            upkeep.run_upkeep(workspace, workspace.believed_now(), self._progress)
        return True

    def _progress(self, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise KeepersError(problem("The server is stopping. Try again when it is back."), code="stopped")


def _reason(error: Exception) -> str:
    # The first line alone: a database's errors go on with the values of a statement.
    first = str(error).partition("\n")[0][:_MOST_REASON]
    return first if isinstance(error, KeepersError) else f"{type(error).__name__}: {first}"
