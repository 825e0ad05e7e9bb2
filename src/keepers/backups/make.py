"""Makes a backup of an open workspace while everything goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from keepers.backups.chunks import CHUNK_BYTES
from keepers.backups.folder import BackupFolder
from keepers.backups.manifest import Role, StoredFile
from keepers.backups.store_snapshot import StoreSnapshot
from keepers.backups.warehouse_snapshot import snapshot
from keepers.store.database import INBOX_FILE, MAIN_FILE
from keepers.warehouse.database import Warehouse
from keepers.warehouse.files import LOG

_ROLES: dict[str, Role] = {MAIN_FILE: "main", INBOX_FILE: "inbox"}
Step = Callable[[int, int], None]
"""(bytes done, of how many); may raise to end the work"""


class Written(Struct):
    """What was done: bytes read, and bytes written for pieces that were not there."""

    read: int = 0
    new: int = 0


class Taken(NamedTuple):
    """The files for the manifest, and the moment that they are of."""

    files: list[StoredFile]
    at: datetime


class BackupSource(Struct, frozen=True):
    """What a backup is made of. `store_folder` and `warehouse_path` are relative to the workspace's folder.

    `keep_file` keeps others from copying or rewriting the warehouse's file, and may wait for them, calling what it is
    given in between. `hold_store` takes the store's snapshot. `files` is gone through after the databases are copied,
    so that they are no older.
    """

    warehouse: Warehouse
    keep_file: Callable[[Callable[[], None]], AbstractContextManager[None]]
    hold_store: Callable[[], StoreSnapshot]
    clock: Callable[[], datetime]
    store_folder: str
    warehouse_path: str
    files: Iterable[tuple[str, Path]]


def make_backup(source: BackupSource, folder: BackupFolder, step: Step, written: Written) -> Taken:
    """Copies everything into the folder's pieces.

    The store is copied as of a moment at which nothing is written to the warehouse, and both go on at once: what a tick
    or an import had committed by then is in both, as after a crash at that moment.
    Raises OSError, what `step` raises, and what `keep_file` raises where the file is in use for too long.
    """
    copier = _Copier(folder, step, written)
    kept: list[StoredFile] = []
    with (
        source.keep_file(copier.check),
        snapshot(source.warehouse, lambda: (source.hold_store(), source.clock())) as warehouse,
    ):
        stored, at = warehouse.same_moment
        try:
            copies = stored.write(folder.staging, copier.check)
        finally:
            stored.close()
        copier.total = warehouse.size + len(warehouse.log) + sum(copy.stat().st_size for copy in copies)
        kept.append(copier.store(source.warehouse_path, warehouse.pieces(), "warehouse"))
        if warehouse.log:
            log = (warehouse.log[n : n + CHUNK_BYTES] for n in range(0, len(warehouse.log), CHUNK_BYTES))
            kept.append(copier.store(source.warehouse_path + LOG, log, "warehouse"))
    for copy in copies:
        name = copy.relative_to(folder.staging).as_posix()
        kept.append(copier.store_file(f"{source.store_folder}/{name}", copy, _ROLES.get(name, "dump")))
        copy.unlink()
    for name, path in source.files:
        try:
            kept.append(copier.store_file(name, path, "file"))
        except FileNotFoundError:  # it went meanwhile
            continue
    return Taken(kept, at)


class _Copier:
    def __init__(self, folder: BackupFolder, step: Step, written: Written) -> None:
        self._chunks = folder.chunks
        self._step = step
        self._written = written
        self.total = 0

    def check(self) -> None:
        """Ends the work here, if it is to end."""
        self._step(self._written.read, max(self.total, self._written.read))

    def store_file(self, name: str, path: Path, role: Role) -> StoredFile:
        with path.open("rb") as stream:
            return self.store(name, iter(lambda: stream.read(CHUNK_BYTES), b""), role)

    def store(self, name: str, pieces: Iterator[bytes], role: Role) -> StoredFile:
        chunks, size = [], 0
        for piece in pieces:
            chunk, new = self._chunks.put(piece)
            chunks.append(chunk)
            size += len(piece)
            self._written.read += len(piece)
            self._written.new += new
            self.check()
        return StoredFile(name, size, chunks, role)
