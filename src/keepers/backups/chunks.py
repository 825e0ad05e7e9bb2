"""Pieces of files, each kept once: a file named by the SHA-256 of its content, compressed.

Whatever lies in a folder of backups is opened from its folder, which is opened first and is no link itself.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from keepers.model.errors import KeepersError, problem

CHUNK_BYTES = 262_144
_LEVEL = 1
REAL_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""how a folder is opened that is no link"""
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

        Raises OSError, also where a folder on the way is a link; ValueError for a larger piece, which could not be read
        back.
        """
        if len(content) > CHUNK_BYTES:
            raise ValueError(f"a piece of {len(content)} bytes")
        name = sha256(content).hexdigest()
        path = self._path(name)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with real_folder(self.folder) as pieces:
            with _naming(path.parent), suppress(FileExistsError):
                os.mkdir(path.parent.name, 0o700, dir_fd=pieces)
            with real_folder(path.parent, pieces) as folder:
                if _is_file(path, folder):
                    return name, 0
                packed = zlib.compress(content, _LEVEL)
                _write(path, folder, packed)
        return name, len(packed)

    def sync(self) -> None:
        """All that was kept is on disk, under its name too. Raises OSError."""
        for path in self._folders():
            with real_folder(path) as folder:
                os.fsync(folder)

    def get(self, name: str) -> bytes:
        """A piece. Raises DamagedBackupError where it is missing, too large, behind a link or another than was kept."""
        path = self._path(name)
        try:
            with real_folder(self.folder) as pieces, real_folder(path.parent, pieces) as folder:
                packed = _read(path, folder, _MOST_PACKED)
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
        for path in self._folders():
            with real_folder(path) as folder:
                for name in os.listdir(folder):
                    if name not in needed and _NAME.fullmatch(name.removesuffix(FRESH)):
                        freed += os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                        with _naming(path / name):
                            os.unlink(name, dir_fd=folder)
        return freed

    def _folders(self) -> list[Path]:
        """Those of pieces that are there."""
        if not self.folder.is_dir():
            return []
        named = (one for one in self.folder.iterdir() if _FOLDER.fullmatch(one.name))
        return [one for one in named if one.is_dir() and not one.is_symlink()]

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


@contextmanager
def real_folder(path: Path, within: int | None = None) -> Iterator[int]:
    """A descriptor of a folder that is no link itself; `within` is one of the folder that it is in. Raises OSError."""
    with _naming(path):
        descriptor = os.open(path if within is None else path.name, REAL_FOLDER, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the whole path, and say what a link is refused for."""
    try:
        yield
    except OSError as error:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, and backups follow none", str(path)) from None
        error.filename = str(path)
        raise


def read_bounded(path: Path, most: int) -> bytes:
    """A regular file of at most so many bytes. Whatever else is there is not read, and no link to it or its folder.

    Raises DamagedBackupError, OSError.
    """
    with real_folder(path.parent) as folder:
        return _read(path, folder, most)


def _read(path: Path, folder: int, most: int) -> bytes:
    with _naming(path):
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path.name, flags, dir_fd=folder)
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
    """The file is there with all its content, readable by this user alone, or it is not there.

    Raises OSError, also where its folder is a link.
    """
    with real_folder(path.parent) as folder:
        _write(path, folder, content)
        os.fsync(folder)


def remove_durably(path: Path) -> None:
    """Removes a file, or a link itself. Raises OSError, also where its folder is a link."""
    with real_folder(path.parent) as folder, _naming(path):
        os.unlink(path.name, dir_fd=folder)
        os.fsync(folder)


def _is_file(path: Path, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _write(path: Path, folder: int, content: bytes) -> None:
    fresh = path.name + FRESH
    with _naming(path):
        # What is there is half written, or a link that would lead elsewhere.
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def sync_folder(folder: Path) -> None:
    """The names in it are on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
