"""Whether a folder can be written to: asked by writing, for a full or read-only disk looks like any other."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from threading import Lock
from time import monotonic

from keepers.model.errors import Problem, UserError, problem

PROBE_BYTES = 65_536
REMEMBERED_S = 1.0
"""seconds for which an answer holds: whoever may ask whether the server is ready must not make it write without end"""


class DiskProbe:
    """Probes one folder. `place` is what it is called to those who may not know its path."""

    def __init__(self, folder: Path, place: Problem | None = None) -> None:
        self.folder = folder
        self._place = place
        self._lock = Lock()
        self._asked_at = float("-inf")
        self._reason = ""

    def why_not_writable(self) -> Problem | None:
        """That it cannot be written to, why by the system, and the remedy; None when it can. Blocks."""
        with self._lock:
            if monotonic() - self._asked_at >= REMEMBERED_S:
                self._reason = _write(self.folder)
                self._asked_at = monotonic()
            return _not_writable(self._place or self.folder, self._reason) if self._reason else None


def require_writable(folder: Path) -> None:
    """Raises UserError (`store`) when a folder cannot be written to."""
    reason = _write(folder)
    if reason:
        raise UserError(_not_writable(folder, reason), code="store")


def _not_writable(place: Path | Problem, reason: str) -> Problem:
    return problem(
        "{folder} cannot be written to: {reason}. Make room, or make it writable.", folder=place, reason=reason
    )


def _write(folder: Path) -> str:
    try:
        # It has no name, or loses it at once, so that nothing of it is left behind.
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"\0" * PROBE_BYTES)
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
