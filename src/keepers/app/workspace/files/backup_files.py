"""Which files of a workspace's folder a backup keeps as they are: all of them but those listed here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path, PurePosixPath

from keepers.app.workspace.files.folder import DATA, SERVER_FILE
from keepers.app.workspace.settings import Settings
from keepers.model.errors import UserError, problem
from keepers.store.database import INBOX_FILE, MAIN_FILE
from keepers.warehouse import files as warehouse_files

LEFT_OUT: dict[str, str] = {
    ".git": "the history of the playbook is its repository's",
    ".git/*": "the same",
    "*/.git": "the same",
    "*/.git/*": "the same",
    f"{DATA}/{SERVER_FILE}": "the address and token of the running server",
    f"{DATA}/server.[0-9]*": "the same, being written",
    f"{DATA}/*.lock": "which process works",
    f"{DATA}/compiled/*": "made anew at any time",
    f"{DATA}/uploads/*": "imports that end with the server",
}
"""patterns of paths, in small letters → why they are not kept"""
_SQLITE_PATTERNS = ("", "-wal", "-shm", "-journal")


def inside(section: str, name: str, value: str) -> PurePosixPath:
    """A place that the settings name, relative to the workspace's folder.

    Raises UserError for one outside: a restored workspace would use the same files as the living one.
    """
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(
            problem(
                "[{section}] {name} = “{value}” leads out of the workspace's folder, so a restored workspace would use "
                "the same files. Move them into the folder, or back up with the server stopped.",
                section=section,
                name=name,
                value=value,
            ),
            code="backup",
        )
    return path


def is_left_out(path: str) -> bool:
    """Whether no backup keeps a file, given relative to the folder; as on disks that take `.GIT` for `.git`."""
    return any(fnmatchcase(path.casefold(), pattern) for pattern in LEFT_OUT)


def database_patterns(settings: Settings) -> list[str]:
    """Patterns of the databases' files and what lies beside them: backups hold copies of their own of these."""
    store, warehouse = settings.store.url, PurePosixPath(settings.warehouse.path)
    patterns = [f"{escape(str(warehouse.parent))}/compiled/*"]
    patterns += [escape(str(warehouse)) + ending for ending in warehouse_files.PATTERNS]
    if "://" not in store:
        patterns += [escape(name) + ending for name in store_files(settings) for ending in _SQLITE_PATTERNS]
        patterns.append(f"{escape(store)}/*.lock")
    return patterns


def store_files(settings: Settings) -> list[str]:
    """The store's files on SQLite, relative to the folder; none on PostgreSQL."""
    if "://" in settings.store.url:
        return []
    return [str(PurePosixPath(settings.store.url) / name) for name in (MAIN_FILE, INBOX_FILE)]


def files_of(folder: Path, settings: Settings) -> Iterator[tuple[str, Path]]:
    """(path relative to the folder, with `/`; the file) of all files to keep, sorted.

    Links are followed, so that a restored workspace needs no file elsewhere. The databases are never opened: closing
    one here would free the locks that this process has on it.
    """
    patterns = database_patterns(settings)
    names = [str(PurePosixPath(settings.warehouse.path)), *store_files(settings)]
    databases = {(found.st_dev, found.st_ino) for name in names if (found := _stat(folder / name)) is not None}
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = os.stat(root)
        if (here.st_dev, here.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            found = _stat(path)
            if found is None or not path.is_file() or is_left_out(relative):
                continue
            if any(fnmatchcase(relative, pattern) for pattern in patterns):
                continue
            if (found.st_dev, found.st_ino) not in databases:
                yield relative, path


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # it went meanwhile, or is a link that leads nowhere
        return None
