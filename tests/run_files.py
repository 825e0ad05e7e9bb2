"""Where the processes of a test run keep their files: in memory where there is room, and compiled queries together.

Imported first of all, so that every temporary folder lies there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
"""a file system in memory, where Linux has one"""
ENOUGH_BYTES = 4_000_000_000
"""free there, for all that a run of every test leaves while it lasts"""
_SHARED = "KEEPERS_TESTS_SHARED"
"""environment variable: the folder that all processes of a run share"""

if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
    # Tests never cut the power, and waiting for the disk takes as long as all else.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
if _SHARED not in os.environ:
    os.environ[_SHARED] = tempfile.mkdtemp(prefix="keepers-tests-")


def shared_folder() -> Path:
    return Path(os.environ[_SHARED])


def compiled_queries() -> Path:
    """Many workspaces of tests have the same definitions: what one has compiled serves the next."""
    folder = shared_folder() / "compiled"
    folder.mkdir(exist_ok=True)
    return folder


def remove() -> None:
    shutil.rmtree(shared_folder(), ignore_errors=True)
