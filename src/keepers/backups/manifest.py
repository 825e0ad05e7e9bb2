"""What a backup is made of: a list of files, each as the names of its pieces. Written with its own checksum."""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from keepers.backups.chunks import DamagedBackupError, read_bounded, write_durably
from keepers.model.errors import UserError, problem

FORMAT = 1
ID = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,4})?")
ChunkName = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_MOST_SEALED = 256 * 1024 * 1024
"""bytes of a manifest or ledger; of a manifest, this many name the pieces of about 1 TB"""
Role = Literal["file", "warehouse", "main", "inbox", "dump"]
T = TypeVar("T", bound=Struct)


class StoredFile(Struct, frozen=True):
    """One file. `path` is relative to the workspace's folder, with `/`; of a dump it is its name there."""

    path: str
    size: Annotated[int, Meta(ge=0)]
    chunks: list[ChunkName]
    role: Role = "file"


class Manifest(Struct, frozen=True, kw_only=True):
    """One backup. `owner` names the workspace by its secret, `revisions` the schemas by their parts."""

    format: int
    id: Annotated[str, Meta(pattern=rf"^{ID.pattern}\Z")]
    made_at: Annotated[datetime, Meta(tz=False)]
    owner: str
    workspace: str
    keepers: Annotated[str, Meta(pattern=r"^[0-9A-Za-z.+!-]{1,60}\Z")]
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
    """A struct as JSON under the SHA-256 of it. Raises OSError, UserError for one too large to be read back."""
    text = msgspec.json.encode(content)
    if len(text) > _MOST_SEALED - 100:
        raise UserError(
            problem(
                "{file} would have {size} bytes, and at most {most} can be read back. The workspace is too large for "
                "`keepers backup`: see docs/howto/back-up-and-restore.md for copies by hand.",
                file=path,
                size=len(text),
                most=_MOST_SEALED,
            ),
            code="backup",
        )
    write_durably(path, sha256(text).hexdigest().encode() + b"\n" + text + b"\n")


def read_sealed(path: Path, shape: type[T]) -> T:
    """What `write_sealed` wrote.

    Raises DamagedBackupError where it is not, or cannot be read, UserError where a newer Keepers wrote it.
    """
    try:
        seal, _, rest = read_bounded(path, _MOST_SEALED).partition(b"\n")
    except OSError as error:
        raise DamagedBackupError(
            problem("{file} cannot be read: {reason}", file=path, reason=error.strerror or error)
        ) from None
    text = rest.removesuffix(b"\n")
    if sha256(text).hexdigest().encode() != seal:
        raise DamagedBackupError(problem("{file} is not as it was written", file=path))
    found = _decoded(path, text, _Format).format
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
    return _decoded(path, text, shape)


def _decoded(path: Path, text: bytes, shape: type[T]) -> T:
    """The seal finds damage and proves no writer, so what is under it may be anything."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DamagedBackupError(
            problem("{file} does not hold what a backup has there: {reason}", file=path, reason=str(error)[:200])
        ) from None
