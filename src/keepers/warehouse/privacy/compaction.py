"""Rewrites the warehouse's file: what DuckDB deletes stays in the file as bytes, also after a checkpoint."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

from keepers.model.errors import ConflictError, problem
from keepers.warehouse import files
from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import get_meta
from keepers.warehouse.names import literal, quoted

MARK = "compacted"
"""`meta`: which rewriting made the file"""


def compact(warehouse: Warehouse, alone: AbstractContextManager[None]) -> bool:
    """Copies everything into a new file and puts it in the place of the old one; False without a file.

    Others read while it is copied. The file is replaced within `alone`, when nobody else has a query under way. The
    caller holds the sequence of events. After an interruption at any point one of both files is there, complete.
    Damaged write-ahead logs that were set aside are removed: what they held is loaded from the store's log.
    Raises ConflictError while a backup copies the file (`locked`) or others use it (`busy`): it is as before then.
    """
    path = warehouse.path
    if path is None:
        return False
    with warehouse.keeping_file(), warehouse.writing():
        fresh = files.fresh(path)
        try:
            mark = _copy(warehouse, fresh)
            with alone:
                _replace(warehouse, path, fresh, mark)
        finally:
            files.remove(fresh)
        for damaged in files.set_aside(path):
            damaged.unlink()
        _sync(path.parent)
    return True


def remove_left(path: Path) -> None:
    """Removes what an interrupted rewriting left. Only for who owns the workspace."""
    files.remove(files.fresh(path))
    if path.exists():  # else the one of before is all there is
        files.remove(files.before(path))


def _copy(warehouse: Warehouse, fresh: Path) -> str:
    files.remove(fresh)
    cursor = warehouse.cursor()
    mark = uuid4().hex
    (own,) = cursor.execute("SELECT current_database()").fetchall()[0]
    cursor.execute(f"ATTACH {literal(str(fresh))} AS compacting")
    try:
        cursor.execute(f"COPY FROM DATABASE {quoted(own)} TO compacting")
        cursor.execute(f"DELETE FROM compacting.meta WHERE name = {literal(MARK)}")
        cursor.execute(f"INSERT INTO compacting.meta VALUES ({literal(MARK)}, {literal(mark)})")
        cursor.execute("CHECKPOINT compacting")
    finally:
        cursor.execute("DETACH compacting")
    _sync(fresh)
    return mark


def _replace(warehouse: Warehouse, path: Path, fresh: Path, mark: str) -> None:
    before = files.before(path)
    files.remove(before)
    warehouse.release()
    try:
        # The journal is of the old file: without it the old one is complete.
        if not files.logs_of(path) and not _is_open(path):
            os.link(path, before)
            os.replace(fresh, path)
            _sync(path.parent)
    finally:
        warehouse.reopen()
    if get_meta(warehouse.cursor(), MARK) == mark:
        files.remove(before)
        return
    # Some query still held the old file open. It and the new one would share a journal.
    if before.exists():
        os.replace(before, path)
    raise ConflictError(
        problem("The warehouse's file is still in use, and was not replaced. It is tried again."), code="busy"
    )


def _is_open(path: Path) -> bool:
    """Whether this process still has the file open, where the system says so."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        return False
    return any(_leads_to(one, path) for one in descriptors.iterdir())


def _leads_to(descriptor: Path, path: Path) -> bool:
    try:
        return os.path.samefile(descriptor, path)
    except FileNotFoundError:  # closed meanwhile, or a socket
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
