"""The files beside the warehouse's own: what DuckDB, a rewriting and a damaged log leave there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

LOG = ".wal"
"""follows the name of the file: its write-ahead log"""
_LOGS = (LOG, f"{LOG}.checkpoint", f"{LOG}.recovery")
"""what DuckDB makes beside a file; the latter two while a checkpoint is under way"""
_FRESH, _BEFORE = ".compacting", ".before"
_DAMAGED = f"{LOG}.damaged-"
"""what is set aside, before the instant"""

_OF_ONE = ("", *_LOGS, ".tmp/*")
PATTERNS = (*(ending + beside for ending in ("", _FRESH, _BEFORE) for beside in _OF_ONE), f"{_DAMAGED}*")
"""what follows the file's name, as patterns, in the names of all files that this module knows"""


def log_of(file: Path) -> Path:
    """The write-ahead log."""
    return _beside(file, LOG)


def logs_of(file: Path) -> list[Path]:
    """The write-ahead logs that are there. Without one the file is complete."""
    return [log for ending in _LOGS if (log := _beside(file, ending)).exists()]


def fresh(file: Path) -> Path:
    """The copy that a rewriting makes, which takes the file's place."""
    return _beside(file, _FRESH)


def before(file: Path) -> Path:
    """The file as it was, while a rewriting puts its copy in its place."""
    return _beside(file, _BEFORE)


def aside(file: Path, now: datetime | None) -> Path:
    """Where a write-ahead log that is damaged is moved to at an instant."""
    return _beside(file, f"{_DAMAGED}{now:%Y%m%dT%H%M%SZ}" if now is not None else f"{_DAMAGED}unknown")


def set_aside(file: Path) -> list[Path]:
    """The damaged write-ahead logs that were set aside, oldest first."""
    return sorted(one for one in file.parent.glob("*") if one.name.startswith(f"{file.name}{_DAMAGED}"))


def remove(file: Path) -> None:
    """Removes a database with its logs, if it is there."""
    for one in (file, *logs_of(file)):
        one.unlink(missing_ok=True)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)
