"""Writes the files of a backup into a new folder, each piece checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from keepers.backups.chunks import DamagedBackupError
from keepers.backups.folder import BackupFolder
from keepers.backups.manifest import Manifest, StoredFile
from keepers.model.errors import UserError, problem

Step = Callable[[int, int], None]
"""(bytes done, of how many)"""


def write_files(
    folder: BackupFolder, manifest: Manifest, target: Path, is_left_out: Callable[[str], bool], step: Step
) -> None:
    """Writes everything into the folder `target`, which is empty; readable by this user alone.

    `is_left_out` knows the paths that no backup holds, so that only somebody else can have put them into this one.
    Raises DamagedBackupError naming the backup, the file and what is wrong; UserError where there is no room; OSError.
    """
    done, free = 0, shutil.disk_usage(target).free
    if manifest.size > free:
        raise UserError(
            problem(
                "Backup {id} needs {needed} bytes, and {folder} has room for {free}. Make room, or name another disk.",
                id=manifest.id,
                needed=manifest.size,
                folder=target.parent,
                free=free,
            ),
            code="backup",
        )
    for file in manifest.files:
        try:
            path = target / _safe(file, is_left_out)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                for name in file.chunks:
                    content = folder.chunks.get(name)
                    if stream.tell() + len(content) > file.size:
                        raise _wrong_size()
                    done += stream.write(content)
                    step(done, manifest.size)
                if stream.tell() != file.size:
                    raise _wrong_size()
                stream.flush()
                os.fsync(stream.fileno())
        except (DamagedBackupError, FileExistsError) as error:
            raise DamagedBackupError(
                problem(
                    "Backup {id} cannot be restored, {file} is damaged: {reason}. Nothing was written. Restore another "
                    "one with --at; `keepers backups {folder} --check` says which are whole.",
                    id=manifest.id,
                    file=file.path,
                    reason=error.problem if isinstance(error, DamagedBackupError) else error.strerror,
                    folder=folder.path,
                )
            ) from None


def _wrong_size() -> DamagedBackupError:
    return DamagedBackupError(problem("its size is not the one that was written"))


def _safe(file: StoredFile, is_left_out: Callable[[str], bool]) -> PurePosixPath:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in file.path:
        raise DamagedBackupError(problem("it leads out of the folder"))
    if is_left_out(str(path)):
        raise DamagedBackupError(problem("no backup keeps such a file, so somebody has changed this one"))
    return path
