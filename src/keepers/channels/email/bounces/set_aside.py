"""Mail that could not be read within its limits, kept as files until somebody has looked at it."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from keepers.model.errors import UserError, problem

FOLDER = "mail-set-aside"
"""in the workspace's `data`"""
MOST_MAILS = 200


class SetAside:
    """The folder of mail set aside: at most 200 mails, each a file named by its content, so that none is kept twice."""

    def __init__(self, folder: Path) -> None:
        """Makes nothing before the first mail."""
        self.folder = folder

    def holds(self, data: bytes) -> bool:
        """Whether this very mail was set aside before."""
        return self._path(data).exists()

    def put(self, data: bytes) -> Path:
        """Keeps a mail, readable by this user alone. Raises UserError when the folder is full, OSError when the disk
        is."""
        path = self._path(data)
        if path.exists():
            return path
        if self.count() >= MOST_MAILS:
            raise UserError(
                problem(
                    "{folder} holds {most} mails that could not be read, and takes no more. Look at them and delete "
                    "them.",
                    folder=self.folder,
                    most=MOST_MAILS,
                ),
                code="mail_set_aside",
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path

    def count(self) -> int:
        return len(list(self.folder.glob("*.eml")))

    def _path(self, data: bytes) -> Path:
        return self.folder / f"{sha256(data).hexdigest()[:32]}.eml"
