"""A small file system of its own, to be filled and made read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = b"\0" * 65_536


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self, but: int = 0) -> None:
        """Leaves no byte free, or so many at most."""
        descriptor = os.open(self._filling, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for block in (_BLOCK, _BLOCK[:4096]):
                while self._free() > but:
                    try:
                        os.write(descriptor, block)
                    except OSError:
                        break
        finally:
            os.close(descriptor)

    def _free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_bsize

    def make_room(self) -> None:
        self._filling.unlink()

    def allow_writes(self, *, allowed: bool) -> None:
        """Open files that may be written keep the file system writable, so this is for before they are opened."""
        _run("mount", "-o", f"remount,{'rw' if allowed else 'ro'}", str(self.folder))


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A file system of so many megabytes at a new folder. Skips the test where none may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    folder.mkdir(parents=True)
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "keepers-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
