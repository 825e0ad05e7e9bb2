"""Pieces of files, each kept once: a file named by the SHA-256 of its content, compressed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from keepers.model.errors import KeepersError, problem

CHUNK_BYTES = 262_144
_LEVEL = 1
FRESH = ".new"
"""what the name of a file ends with that is being written"""
_MOST_BYTES = 64 * 1024 * 1024
"""no piece is larger: a damaged one may claim to be"""


class DamagedBackupError(KeepersError):
    """A part of a backup is missing or not as it was written."""

    code = "backup_damaged"


class Chunks:
    """A folder of pieces, in 256 folders by the beginning of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> tuple[str, int]:
        """Keeps a piece; its name, and how many bytes were written: 0 where it was there. Raises OSError."""
        name = sha256(content).hexdigest()
        path = self._path(name)
        if path.exists():
            return name, 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        packed = zlib.compress(content, _LEVEL)
        _write(path, packed)
        return name, len(packed)

    def sync(self) -> None:
        """All that was kept is on disk, under its name too. Raises OSError."""
        for folder in self.folder.glob("??"):
            sync_folder(folder)

    def get(self, name: str) -> bytes:
        """A piece. Raises DamagedBackupError where it is missing or another than was kept."""
        try:
            packed = self._path(name).read_bytes()
        except OSError as error:
            raise DamagedBackupError(
                problem("chunk {chunk} cannot be read: {reason}", chunk=name, reason=error.strerror or error)
            ) from None
        unpacking = zlib.decompressobj()
        try:
            content = unpacking.decompress(packed, _MOST_BYTES)
        except zlib.error:
            content = b""
        if not unpacking.eof or sha256(content).hexdigest() != name:
            raise DamagedBackupError(problem("chunk {chunk} is not as it was written", chunk=name))
        return content

    def remove_all_but(self, needed: Collection[str]) -> int:
        """Removes what nobody needs, and what was half written; how many bytes that were."""
        freed = 0
        for path in self.folder.glob("??/*"):
            if path.name not in needed:
                freed += path.stat().st_size
                path.unlink()
        return freed

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


def write_durably(path: Path, content: bytes) -> None:
    """The file is there with all its content, readable by this user alone, or it is not there. Raises OSError."""
    _write(path, content)
    sync_folder(path.parent)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + FRESH)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def sync_folder(folder: Path) -> None:
    """The names in it are on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
