"""The warehouse's file as of one moment, copied while everything goes on.

DuckDB writes over no block that its last checkpoint refers to: new blocks go to free places, commits into the
write-ahead log beside, until the next checkpoint. So writers are blocked for a checkpoint alone, and checkpoints are
put off while the file is copied. Where a reader keeps the checkpoint from being made, the log is copied too.

The file is read by processes of their own: closing it in this one would free DuckDB's lock on it (fcntl).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Generic, TypeVar

import duckdb

from keepers.model.errors import KeepersError, problem
from keepers.warehouse.database import Warehouse
from keepers.warehouse.files import log_of

T = TypeVar("T")
HEADER_BYTES = 12_288
"""the file's header, and the two that checkpoints write in turn"""
BLOCK_BYTES = 262_144
"""of DuckDB's files; the first block follows the header"""
_NEVER = "1 TB"
_READ = """\
import shutil, sys
sys.stdin.buffer.read(1) or sys.exit()
shutil.copyfileobj(open(sys.argv[1], "rb"), sys.stdout.buffer, 1 << 20)
"""


class WarehouseSnapshot(Generic[T]):
    """The file as of one moment. `same_moment` is what the caller took at that moment."""

    def __init__(self, path: Path, size: int, header: bytes, log: bytes, rest: IO[bytes], same_moment: T) -> None:
        self.path = path
        self.size = size
        self.log = log
        """the write-ahead log, empty after a checkpoint"""
        self.same_moment = same_moment
        self._header = header
        self._rest = rest

    def pieces(self) -> Iterator[bytes]:
        """The file's bytes: the header, then block by block. To be read once.

        Raises KeepersError when the file was changed meanwhile by something else than Keepers.
        """
        yield self._header
        left = self.size - len(self._header)
        while left > 0:
            piece = self._rest.read(min(BLOCK_BYTES, left))
            if not piece:
                raise _changed(self.path)
            left -= len(piece)
            yield piece
        with _reader(self.path) as again:
            if again().read(HEADER_BYTES) != self._header:
                raise _changed(self.path)


@contextmanager
def snapshot(warehouse: Warehouse, take_at_moment: Callable[[], T]) -> Iterator[WarehouseSnapshot[T]]:
    """The warehouse as of a moment when nothing is written to it. `take_at_moment` is called then and must be quick.

    The caller is `Warehouse.keeping_file`.
    """
    path = warehouse.path
    assert path is not None, "a warehouse in memory has no file"
    with checkpoints_put_off(warehouse), _reader(path) as read:
        with warehouse.writers_blocked() as cursor:
            # Where it is not possible, the log has what was committed.
            with suppress(duckdb.TransactionException):
                cursor.execute("CHECKPOINT")
            rest = read()
            size, header, log = path.stat().st_size, rest.read(HEADER_BYTES), _log_of(path)
            same_moment = take_at_moment()
        yield WarehouseSnapshot(path, size, header, log, rest, same_moment)


@contextmanager
def checkpoints_put_off(warehouse: Warehouse) -> Iterator[None]:
    """DuckDB makes no checkpoint by itself for the block."""
    cursor = warehouse.cursor()
    cursor.execute(f"SET wal_autocheckpoint = '{_NEVER}'")
    try:
        yield
    finally:
        cursor.execute("RESET wal_autocheckpoint")


def _log_of(path: Path) -> bytes:
    log = log_of(path)
    if not log.exists():
        return b""
    with _reader(log) as read:
        return read().read()


@contextmanager
def _reader(path: Path) -> Iterator[Callable[[], IO[bytes]]]:
    """What begins to read the file when it is called: the process that does it is there by then."""
    # Nothing of this process's environment is needed: not its modules either.
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _READ, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    source, content = process.stdin, process.stdout

    def begin() -> IO[bytes]:
        source.write(b".")
        source.close()
        return content

    try:
        yield begin
    finally:
        process.kill()
        process.wait()
        content.close()
        with suppress(OSError):
            source.close()


def _changed(path: Path) -> KeepersError:
    return KeepersError(
        problem("The warehouse {file} was changed while it was copied. Start the backup again.", file=path),
        code="backup",
    )
