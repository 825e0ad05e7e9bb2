"""What a backup is made of: a list of files, each as the names of its pieces. Written with its own checksum."""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from keepers.backups.chunks import DamagedBackupError, write_durably
from keepers.model.errors import UserError, problem

FORMAT = 1
ID = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,4})?")
ChunkName = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Role = Literal["file", "warehouse", "main", "inbox", "dump"]
T = TypeVar("T", bound=Struct)


class StoredFile(Struct, frozen=True):
    """One file. `path` is relative to the workspace's folder, with `/`; of a dump it is its name there."""

    path: str
    size: int
    chunks: list[ChunkName]
    role: Role = "file"


class Manifest(Struct, frozen=True, kw_only=True):
    """One backup. `owner` names the workspace by its secret, `revisions` the schemas by their parts."""

    format: int
    id: str
    made_at: datetime
    owner: str
    workspace: str
    keepers: str
    store: Literal["sqlite", "postgresql"]
    revisions: dict[str, str]
    layout: str
    files: list[StoredFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def chunk_names(self) -> set[str]:
        return {name for file in self.files for name in file.chunks}


class _Format(Struct, frozen=True):
    format: int


def write_sealed(path: Path, content: Struct) -> None:
    """A struct as JSON under the SHA-256 of it. Raises OSError."""
    text = msgspec.json.encode(content)
    write_durably(path, sha256(text).hexdigest().encode() + b"\n" + text + b"\n")


def read_sealed(path: Path, shape: type[T]) -> T:
    """What `write_sealed` wrote.

    Raises DamagedBackupError where it is not, UserError where a newer Keepers wrote it, FileNotFoundError.
    """
    seal, _, rest = path.read_bytes().partition(b"\n")
    text = rest.removesuffix(b"\n")
    if sha256(text).hexdigest().encode() != seal:
        raise DamagedBackupError(problem("{file} is not as it was written", file=path))
    found = msgspec.json.decode(text, type=_Format).format
    if found != FORMAT:
        raise UserError(
            problem(
                "{file} has format {found}, this Keepers knows {known}. Use the Keepers that made it, or a newer one.",
                file=path,
                found=found,
                known=FORMAT,
            ),
            code="backup",
        )
    return msgspec.json.decode(text, type=shape)
