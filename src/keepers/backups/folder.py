"""The folder of a workspace's backups: manifests, their pieces, and the erasures that were known with the last backup.

    keepers-backups.json    says that this is one, and whose; locked while it is used
    backups/<id>.json       the manifests
    chunks/ab/<sha-256>     pieces of files, each once
    erasures.json           keyed hashes of identifiers that were erased
    staging/                copies of databases while a backup is made

A backup is there with its manifest, which is written last and removed first. So one that was interrupted leaves pieces
alone: the next one finds those that it needs too, and removes the others.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from msgspec import Struct

from keepers.backups.chunks import FRESH, Chunks, DamagedBackupError, sync_folder
from keepers.backups.manifest import FORMAT, ID, Manifest, read_sealed, write_sealed
from keepers.model.errors import ConflictError, NotFoundError, UserError, nearest, problem
from keepers.store.privacy.erasures import ErasedAddress, ErasedIdentifier, Ledger

HEAD = "keepers-backups.json"
LEDGER = "erasures.json"
_MANIFESTS, _CHUNKS, _STAGING = "backups", "chunks", "staging"


class _KeptLedger(Struct, frozen=True):
    """Every erasure that was known. `owner` is the workspace's, without whose secret the hashes say nothing."""

    format: int
    owner: str
    identifiers: list[ErasedIdentifier]
    addresses: list[ErasedAddress]


class _Head(Struct, frozen=True):
    format: int
    owner: str


class Damage(NamedTuple):
    """A backup that cannot be restored, and why."""

    id: str
    error: DamagedBackupError


class BackupFolder:
    """A folder of backups that is open: made by `opened_for_writing` or `opened_for_reading`."""

    def __init__(self, path: Path, owner: str, staging: Path | None = None) -> None:
        self.path = path
        self._staging = staging
        self.owner = owner
        self.chunks = Chunks(path / _CHUNKS)

    @property
    def staging(self) -> Path:
        """An empty folder for what is made on the way, while it is open for writing."""
        assert self._staging is not None, "opened for reading"
        return self._staging

    def ids(self) -> list[str]:
        """Of all backups, the oldest first."""
        names = (path.stem for path in (self.path / _MANIFESTS).glob("*.json"))
        return sorted(name for name in names if ID.fullmatch(name))

    def read(self, id: str) -> Manifest:
        """A backup's manifest. Raises NotFoundError, DamagedBackupError, UserError for one of a newer Keepers."""
        if id not in (known := self.ids()):
            if not known:
                raise NotFoundError(problem("There is no backup in {folder} yet.", folder=self.path), code="backup")
            raise NotFoundError(
                problem("There is no backup “{id}” in {folder}.", near=nearest(id, known), id=id, folder=self.path),
                code="backup",
            )
        return read_sealed(self._manifest(id), Manifest)

    def readable(self) -> tuple[list[Manifest], list[Damage]]:
        """The manifests, oldest first, and those that are damaged."""
        found, damaged = [], []
        for id in self.ids():
            try:
                found.append(self.read(id))
            except DamagedBackupError as error:
                damaged.append(Damage(id, error))
        return found, damaged

    def new_id(self, now: datetime) -> str:
        """By the moment, to the second; a number follows where there is one of that second."""
        first, taken = f"{now:%Y%m%dT%H%M%SZ}", self.ids()
        return next(i for i in (first, *(f"{first}-{n}" for n in range(2, 10_000))) if i not in taken)

    def add(self, manifest: Manifest) -> None:
        """The backup is there from now on. Raises OSError."""
        self.chunks.sync()
        (self.path / _MANIFESTS).mkdir(mode=0o700, exist_ok=True)
        write_sealed(self._manifest(manifest.id), manifest)

    def expire(self, made: Manifest, newest: int | None, longest: timedelta | None) -> list[str]:
        """Removes backups beyond the newest so many and those older than `longest`, never the one just made; their ids.

        That one counts as the newest, whatever a clock said when others were made.
        """
        known = sorted(self.readable()[0], key=lambda one: (one.id == made.id, one.made_at, one.id), reverse=True)
        old = [
            one
            for number, one in enumerate(known)
            if number
            and (
                (newest is not None and number >= newest)
                or (longest is not None and made.made_at - one.made_at > longest)
            )
        ]
        for one in old:
            self._manifest(one.id).unlink()
        if old:
            sync_folder(self.path / _MANIFESTS)
        return [one.id for one in old]

    def remove_unneeded(self) -> int:
        """Removes pieces that no backup needs; how many bytes that were. Nothing while a manifest is damaged."""
        manifests, damaged = self.readable()
        if damaged:
            return 0
        return self.chunks.remove_all_but(set().union(*(one.chunk_names() for one in manifests)))

    def ledger(self) -> Ledger:
        """The erasures that were known with the last backup. Raises DamagedBackupError."""
        path = self.path / LEDGER
        try:
            return read_ledger(path, self.owner) if path.exists() else Ledger([], [])
        except DamagedBackupError as error:
            raise DamagedBackupError(
                problem(
                    "{reason}. It says who was erased: put a copy of it there, or remove it and name the workspace, or "
                    "a copy elsewhere, when you restore.",
                    reason=error.problem,
                )
            ) from None

    def add_erased(self, erased: Ledger) -> None:
        """Adds to the ledger, from which nothing is ever taken. Raises OSError, DamagedBackupError."""
        everything = union(self.ledger(), erased)
        write_sealed(self.path / LEDGER, _KeptLedger(FORMAT, self.owner, *everything))

    def check(self, names: Iterable[str]) -> Iterator[tuple[str, DamagedBackupError | None]]:
        """Reads pieces: each with None, or with what is wrong with it."""
        for name in names:
            try:
                self.chunks.get(name)
            except DamagedBackupError as error:
                yield name, error
            else:
                yield name, None

    def _manifest(self, id: str) -> Path:
        return self.path / _MANIFESTS / f"{id}.json"


def read_ledger(path: Path, owner: str) -> Ledger:
    """A ledger as a backup keeps it. Raises DamagedBackupError, UserError for one of another workspace, OSError."""
    found = read_sealed(path, _KeptLedger)
    if found.owner != owner:
        raise UserError(
            problem("{file} lists the erasures of another workspace. Name the one of this workspace.", file=path),
            code="backup",
        )
    return Ledger(found.identifiers, found.addresses)


def union(*ledgers: Ledger) -> Ledger:
    """Everything that is in one of them; of what was erased twice, the later."""
    identifiers = sorted(one for ledger in ledgers for one in ledger.identifiers)
    addresses = sorted(one for ledger in ledgers for one in ledger.addresses)
    # By hash and then by instant: the last of each counts.
    return Ledger(
        list({one.hash: one for one in identifiers}.values()),
        list({(one.channel, one.hash): one for one in addresses}.values()),
    )


def newer_than(ledger: Ledger, known: Ledger) -> Ledger:
    """What a ledger has and another does not know, or knows as erased earlier alone."""
    identifiers = {one.hash: one.erased_at for one in known.identifiers}
    addresses = {(one.channel, one.hash) for one in known.addresses}
    return Ledger(
        [one for one in ledger.identifiers if one.hash not in identifiers or identifiers[one.hash] < one.erased_at],
        [one for one in ledger.addresses if (one.channel, one.hash) not in addresses],
    )


@contextmanager
def opened_for_writing(path: Path, owner: str) -> Iterator[BackupFolder]:
    """The folder, made where there is none; nobody else uses it meanwhile.

    Raises UserError where it is something else or another workspace's, ConflictError while it is used, OSError.
    """
    head = path / HEAD
    if not head.exists():
        if path.exists() and (not path.is_dir() or any(one.name != HEAD + FRESH for one in path.iterdir())):
            raise UserError(
                problem("{folder} holds something else. Name a folder of its own for the backups.", folder=path),
                code="backup",
            )
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        write_sealed(head, _Head(FORMAT, owner))
    with _locked(head, fcntl.LOCK_EX):
        found = read_sealed(head, _Head)
        if found.owner != owner:
            raise UserError(
                problem("{folder} holds backups of another workspace. Name a folder of its own for each.", folder=path),
                code="backup",
            )
        # A program that outlives a killed backup may still write there: then it is removed by a later one.
        shutil.rmtree(path / _STAGING, ignore_errors=True)
        for half in (path / _MANIFESTS).glob(f"*{FRESH}"):
            half.unlink()
        (path / _STAGING).mkdir(mode=0o700, exist_ok=True)
        try:
            yield BackupFolder(path, owner, Path(mkdtemp(dir=path / _STAGING)))
        finally:
            shutil.rmtree(path / _STAGING, ignore_errors=True)


@contextmanager
def opened_for_reading(path: Path) -> Iterator[BackupFolder]:
    """The folder, in which nothing is changed meanwhile.

    Raises NotFoundError where there is none, ConflictError while a backup is being made, DamagedBackupError.
    """
    head = path / HEAD
    if not head.is_file():
        raise NotFoundError(
            problem("{folder} is no folder of backups (it has no {file}).", folder=path, file=HEAD), code="backup"
        )
    with _locked(head, fcntl.LOCK_SH):
        yield BackupFolder(path, read_sealed(head, _Head).owner)


@contextmanager
def _locked(head: Path, how: int) -> Iterator[None]:
    descriptor = os.open(head, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                problem("{folder} is being used by another backup or restore. Wait for it.", folder=head.parent),
                code="locked",
            ) from None
        yield
    finally:
        os.close(descriptor)
