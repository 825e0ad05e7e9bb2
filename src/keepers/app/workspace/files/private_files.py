"""Takes from others what they could do with the files of a workspace that came from elsewhere.

Every process of Keepers begins with `folder.make_private`, so all that it or a library makes (databases with their
journals, compiled queries, uploads, rejects, logs, exports) is made 0600, folders 0700, whatever the shell's umask.
`restrict_files` is for files of an older version, a copy, a backup.

`keepers.toml` and `data/` are Keepers' own and are restricted at every start. The playbook, its languages and the
folder of the workspace itself are the user's: made private, and then left as they set them, for a team may share them
by group.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keepers.app.workspace.files.folder import DATA, UMASK
from keepers.app.workspace.settings import FILE


class RestrictedFile(NamedTuple):
    """Something that others could read or change. `is_private` is false where the mode could not be changed."""

    path: Path
    mode: int
    is_private: bool


def restrict_files(folder: Path) -> list[RestrictedFile]:
    """Makes private what others could read or change of a workspace; what it was, with its mode before.

    Symbolic links are not followed: what they lead to is not Keepers' to change.
    """
    return [_restricted(path, found) for path in _own(folder) if (found := _shared(path)) is not None]


def shared_files(folder: Path) -> list[Path]:
    """What `restrict_files` would make private. Changes nothing."""
    return [path for path in _own(folder) if _shared(path) is not None]


def _own(folder: Path) -> Iterator[Path]:
    yield folder / FILE
    yield folder / DATA
    for root, folders, files in os.walk(folder / DATA):
        yield from (Path(root) / name for name in (*folders, *files))


def _shared(path: Path) -> int | None:
    """The mode of a file or folder that others may use; None of any other, and of a link."""
    try:
        found = path.lstat()
    except FileNotFoundError:  # it went meanwhile
        return None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return None
    mode = stat.S_IMODE(found.st_mode)
    return mode if mode & UMASK else None


def _restricted(path: Path, mode: int) -> RestrictedFile:
    try:
        path.chmod(mode & ~UMASK)
    except OSError:
        return RestrictedFile(path, mode, False)
    return RestrictedFile(path, mode, True)
