"""Pieces of files, each kept once: a file named by the SHA-256 of its content, compressed."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from keepers.model.errors import KeepersError, problem

CHUNK_BYTES = 262_144
_LEVEL = 1
FRESH = ".new"
"""what the name of a file ends with that is being written"""
_MOST_PACKED = CHUNK_BYTES + 4096
"""no piece is larger: zlib adds a few bytes to what it cannot make smaller"""
_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{64}")


class DamagedBackupError(KeepersError):
    """A part of a backup is missing or not as it was written."""

    code = "backup_damaged"


class Chunks:
    """A folder of pieces, in 256 folders by the beginning of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> tuple[str, int]:
        """Keeps a piece of at most CHUNK_BYTES; its name, and how many bytes were written: 0 where it was there.

        Raises OSError, ValueError for a larger one, which could not be read back.
        """
        if len(content) > CHUNK_BYTES:
            raise ValueError(f"a piece of {len(content)} bytes")
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
        """A piece. Raises DamagedBackupError where it is missing, too large or another than was kept."""
        try:
            packed = read_bounded(self._path(name), _MOST_PACKED)
        except OSError as error:
            raise DamagedBackupError(
                problem("chunk {chunk} cannot be read: {reason}", chunk=name, reason=error.strerror or error)
            ) from None
        unpacking = zlib.decompressobj()
        try:
            content = unpacking.decompress(packed, CHUNK_BYTES)
        except zlib.error:
            content = b""
        if not unpacking.eof or sha256(content).hexdigest() != name:
            raise DamagedBackupError(problem("chunk {chunk} is not as it was written", chunk=name))
        return content

    def remove_all_but(self, needed: Collection[str]) -> int:
        """Removes pieces that nobody needs, and what was half written; how many bytes that were.

        Whatever else lies there is left, and links are not followed: others may have put them there.
        """
        freed = 0
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if folder.is_symlink() or not _FOLDER.fullmatch(folder.name) or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if path.name not in needed and _NAME.fullmatch(path.name.removesuffix(FRESH)):
                    freed += path.lstat().st_size
                    path.unlink()
        return freed

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


def read_bounded(path: Path, most: int) -> bytes:
    """A regular file of at most so many bytes. Whatever else is there is not read, and a link not followed.

    Raises DamagedBackupError, OSError.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise DamagedBackupError(problem("{file} is no regular file", file=path))
        if found.st_size > most:
            raise DamagedBackupError(
                problem("{file} has {size} bytes, and at most {most} can be", file=path, size=found.st_size, most=most)
            )
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(most)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """The file is there with all its content, readable by this user alone, or it is not there. Raises OSError."""
    _write(path, content)
    sync_folder(path.parent)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + FRESH)
    # What is there is half written, or a link that would lead elsewhere.
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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
