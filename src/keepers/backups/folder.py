"""The folder of a workspace's backups: manifests, their pieces, and the erasures that were known with the last backup.

    keepers-backups.json    says that this is one, and whose
    lock                    locked while the folder is used; never removed
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
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from msgspec import Struct

from keepers.backups.chunks import FRESH, Chunks, DamagedBackupError, remove_durably
from keepers.backups.manifest import FORMAT, ID, Manifest, read_sealed, write_sealed
from keepers.model.errors import ConflictError, NotFoundError, UserError, nearest, problem
from keepers.store.privacy.erasures import ErasedAddress, ErasedIdentifier, Ledger

HEAD = "keepers-backups.json"
LOCK = "lock"
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
        """Of all backups, the oldest first. Raises OSError."""
        manifests = self.path / _MANIFESTS
        names = os.listdir(manifests) if manifests.exists() else []
        found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(name for name in found if ID.fullmatch(name))

    def read(self, id: str) -> Manifest:
        """A backup's manifest. Raises NotFoundError, DamagedBackupError, UserError for one of a newer Keepers."""
        try:
            return self._read(id)
        except DamagedBackupError as error:
            raise DamagedBackupError(
                problem(
                    "Backup {id} cannot be restored: {reason}. Nothing was written. Restore another one with --at; "
                    "`keepers backups {folder} --check` says which are whole.",
                    id=id,
                    reason=error.problem,
                    folder=self.path,
                )
            ) from None

    def _read(self, id: str) -> Manifest:
        if id not in (known := self.ids()):
            if not known:
                raise NotFoundError(problem("There is no backup in {folder} yet.", folder=self.path), code="backup")
            raise NotFoundError(
                problem("There is no backup “{id}” in {folder}.", near=nearest(id, known), id=id, folder=self.path),
                code="backup",
            )
        found = read_sealed(self._manifest(id), Manifest)
        if found.id != id:
            raise DamagedBackupError(problem("{file} names another backup", file=self._manifest(id)))
        return found

    def readable(self) -> tuple[list[Manifest], list[Damage]]:
        """The manifests, oldest first, and those that are damaged."""
        found, damaged = [], []
        for id in self.ids():
            try:
                found.append(self._read(id))
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
            remove_durably(self._manifest(one.id))
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
    path = path.resolve()  # it may be reached by a link; in it none is followed
    head = path / HEAD
    if not head.exists() and not (path / LOCK).exists():
        _require_empty(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    with _locked(path, fcntl.LOCK_EX):
        if not head.exists():
            _require_empty(path)
            write_sealed(head, _Head(FORMAT, owner))
        if _head(path).owner != owner:
            raise UserError(
                problem("{folder} holds backups of another workspace. Name a folder of its own for each.", folder=path),
                code="backup",
            )
        _require_no_links(path, _MANIFESTS, _CHUNKS, _STAGING)
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

    Raises NotFoundError where there is none, ConflictError while a backup is being made, DamagedBackupError, UserError.
    """
    path = path.resolve()
    head = path / HEAD
    if not head.is_file():
        raise NotFoundError(
            problem(
                "{folder} is no folder of backups (it has no {file}). Name the one that `keepers backup` writes to.",
                folder=path,
                file=HEAD,
            ),
            code="backup",
        )
    with _locked(path, fcntl.LOCK_SH) if (path / LOCK).exists() else nullcontext():  # it may be a copy, or read-only
        _require_no_links(path, _MANIFESTS, _CHUNKS)
        yield BackupFolder(path, _head(path).owner)


def _head(path: Path) -> _Head:
    try:
        return read_sealed(path / HEAD, _Head)
    except DamagedBackupError as error:
        raise DamagedBackupError(
            problem(
                "{reason}. It says whose the backups are: put the one of a copy of this folder there.",
                reason=error.problem,
            )
        ) from None


def _require_no_links(path: Path, *parts: str) -> None:
    for part in parts:
        if (path / part).is_symlink():
            raise UserError(
                problem(
                    "{folder} is a link, and backups follow none. Name a folder of its own, or put a folder there.",
                    folder=path / part,
                ),
                code="backup",
            )


def _require_empty(path: Path) -> None:
    """Raises UserError for a folder that holds more than another first backup has made of it so far."""
    if path.exists() and (not path.is_dir() or {one.name for one in path.iterdir()} - {LOCK, HEAD + FRESH}):
        raise UserError(
            problem("{folder} holds something else. Name a folder of its own for the backups.", folder=path),
            code="backup",
        )


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Locks a file that is made once and never replaced, so that two first backups meet too."""
    is_shared = how == fcntl.LOCK_SH
    flags = os.O_RDONLY if is_shared else os.O_RDWR | os.O_CREAT
    descriptor = os.open(folder / LOCK, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                problem("{folder} is being used by another backup or restore. Wait for it.", folder=folder),
                code="locked",
            ) from None
        yield
    finally:
        os.close(descriptor)
