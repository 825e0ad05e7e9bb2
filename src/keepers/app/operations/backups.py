"""Backups of a workspace while everything goes on: making one, listing and checking them."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from keepers import __version__
from keepers.app.customers.erasing import read_ledger
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.progress import Progress, no_progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.files.backup_files import files_of, inside
from keepers.app.workspace.files.folder import DATA
from keepers.app.workspace.workspace import Workspace
from keepers.backups.chunks import DamagedBackupError
from keepers.backups.folder import opened_for_reading, opened_for_writing
from keepers.backups.make import BackupSource, Written, make_backup
from keepers.backups.manifest import FORMAT, Manifest
from keepers.backups.store_snapshot import hold
from keepers.model.errors import UserError, problem
from keepers.store import migrate
from keepers.warehouse.fixed_tables import LAYOUT_VERSION

MOST_DAYS = 36_500
_PATIENCE_S = 1800.0
"""how long the rewriting of the files, or another backup, is waited for"""
log = logging.getLogger("keepers")


class BackUp(Struct, frozen=True, kw_only=True):
    folder: Annotated[
        str, Meta(description="The absolute path of a folder for the backups of this workspace alone.", min_length=1)
    ]
    keep_newest: Annotated[int, Meta(description="Remove older backups than the newest so many.", ge=1)] | None = None
    expire_after_days: (
        Annotated[
            int, Meta(description="Remove backups older than so many days, never the newest.", ge=1, le=MOST_DAYS)
        ]
        | None
    ) = None


class BackedUp(Struct, frozen=True, kw_only=True):
    """A backup that was made."""

    id: Annotated[str, Meta(description="Its name: the moment that it is of, in UTC.")]
    folder: str
    files: int
    size: Annotated[int, Meta(description="Bytes of all files.")]
    new_bytes: Annotated[int, Meta(description="Bytes that had to be written, compressed: what had changed.")]
    kept: Annotated[int, Meta(description="How many backups there are now.")]
    expired: Annotated[list[str], Meta(description="Backups that were removed.")]
    freed_bytes: Annotated[int, Meta(description="Bytes that nothing needs any more, removed.")]
    damaged: Annotated[
        list[str], Meta(description="Backups whose lists are damaged. While there are any, nothing is freed.")
    ]


class ListedBackup(Struct, frozen=True, kw_only=True):
    """A backup. `damage` says why it cannot be restored."""

    id: str
    made_at: datetime | None
    workspace: str
    keepers: str
    store: str
    files: int
    size: int
    damage: str = ""


class BackupList(Struct, frozen=True):
    folder: str
    items: list[ListedBackup]


@use_case(
    "POST /backups",
    permission="manage",
    lock="locked",
    tag="maintenance",
    problems=(409, 422),
    is_long=True,
    is_local=True,
    audit={"folder": "plain"},
)
def back_up(workspace: Workspace, actor: Actor, request: BackUp, progress: Progress) -> BackedUp:
    """Back up the workspace into a folder on the server's machine

    Everything goes on meanwhile; only the daily rewriting of the files is waited for, up to half an hour. All files are
    as of one moment, and only what changed since earlier backups in that folder is written. An interrupted backup
    leaves the earlier ones as they are.
    """
    path = Path(request.folder)
    try:
        return _back_up(workspace, path, request, progress)
    except OSError as error:
        raise UserError(
            problem(
                "The backup in {folder} could not be made: {reason} ({file}). The earlier ones are as they were. Make "
                "room there or make it writable, or name another folder.",
                folder=path,
                reason=error.strerror or error,
                file=error.filename or path,
            ),
            code="backup",
        ) from None


def list_backups(folder: Path, *, is_checked: bool = False, progress: Progress = no_progress) -> BackupList:
    """The backups in a folder, oldest first; checked, all their content is read. No workspace is needed for it.

    Raises NotFoundError where there are none, ConflictError while one is being made, UserError where it cannot be read.
    """
    try:
        return _list_backups(folder, is_checked, progress)
    except OSError as error:
        raise unreadable(folder, error) from None


def unreadable(folder: Path, error: OSError) -> UserError:
    """That a folder of backups cannot be read."""
    return UserError(
        problem(
            "{folder} cannot be read: {reason} ({file}). Call it as the user that made the backups.",
            folder=folder,
            reason=error.strerror or error,
            file=error.filename or folder,
        ),
        code="backup",
    )


def _list_backups(folder: Path, is_checked: bool, progress: Progress) -> BackupList:
    with opened_for_reading(folder) as found:
        manifests, damaged = found.readable()
        items = [ListedBackup(
            id=one.id, made_at=None, workspace="", keepers="", store="", files=0, size=0, damage=one.error.message
        ) for one in damaged]  # fmt: skip
        pieces = sorted(set().union(*(one.chunk_names() for one in manifests))) if is_checked else []
        wrong: dict[str, DamagedBackupError] = {}
        for done, (name, error) in enumerate(found.check(pieces), 1):
            progress(done, len(pieces))
            if error is not None:
                wrong[name] = error
        for one in manifests:
            damaged_pieces = sorted(one.chunk_names() & wrong.keys())
            items.append(_listed(one, wrong[damaged_pieces[0]].message if damaged_pieces else ""))
    return BackupList(str(folder), sorted(items, key=lambda item: item.id))


def owner_of_backups(workspace: Workspace) -> str:
    """What backups know the workspace by: it tells nothing without the workspace's secret."""
    return hmac.digest(workspace.secret, b"backups", "sha256").hex()[:32]


def _back_up(workspace: Workspace, path: Path, request: BackUp, progress: Progress) -> BackedUp:
    _require_apart(workspace.folder, path)
    settings, store = workspace.settings, workspace.store
    source = BackupSource(
        warehouse=workspace.warehouse,
        keep_file=lambda on_wait: _file_kept(workspace, on_wait),
        hold_store=lambda: hold(store),
        clock=workspace.clock,
        store_folder=str(inside("store", "url", settings.store.url)) if store.is_sqlite else DATA,
        warehouse_path=str(inside("warehouse", "path", settings.warehouse.path)),
        files=files_of(workspace.folder, settings),
    )
    written = Written()
    with opened_for_writing(path, owner_of_backups(workspace)) as folder:
        files, made_at = make_backup(source, folder, progress, written)
        folder.add_erased(read_ledger(workspace))
        made = Manifest(
            format=FORMAT,
            id=folder.new_id(made_at),
            made_at=made_at,
            owner=folder.owner,
            workspace=settings.workspace.name,
            keepers=__version__,
            store="sqlite" if store.is_sqlite else "postgresql",
            revisions={part.name: migrate.head(part) for part in migrate.PARTS},
            layout=LAYOUT_VERSION,
            files=files,
        )
        folder.add(made)
        longest = timedelta(days=request.expire_after_days) if request.expire_after_days is not None else None
        expired = folder.expire(made, request.keep_newest, longest)
        freed = folder.remove_unneeded()
        manifests, damaged = folder.readable()
    return BackedUp(
        id=made.id,
        folder=str(path),
        files=len(files),
        size=made.size,
        new_bytes=written.new,
        kept=len(manifests),
        expired=expired,
        freed_bytes=freed,
        damaged=[one.id for one in damaged],
    )


@contextmanager
def _file_kept(workspace: Workspace, on_wait: Callable[[], None]) -> Iterator[None]:
    """Waits for another backup, and for the rewriting of the warehouse's file: this is no reader that it waits for."""
    is_logged = False

    def wait() -> None:
        nonlocal is_logged
        if not is_logged:
            log.info("A backup waits: the warehouse's file is being rewritten, or copied by another backup.")
            is_logged = True
        on_wait()

    with ExitStack() as stack:
        with workspace.warehouse_gate.outside():
            stack.enter_context(workspace.warehouse.keeping_file(_PATIENCE_S, wait))
        yield


def _require_apart(workspace: Path, backups: Path) -> None:
    """Raises UserError where one folder lies in the other, or the path is not absolute."""
    if not backups.is_absolute():
        raise UserError(problem("{folder} is no absolute path.", folder=backups), code="backup", field="folder")
    mine, theirs = workspace.resolve(), backups.resolve()
    if mine.is_relative_to(theirs) or theirs.is_relative_to(mine):
        raise UserError(
            problem(
                "{folder} and the workspace lie in each other. Name a folder elsewhere, best on another disk.",
                folder=backups,
            ),
            code="backup",
            field="folder",
        )


def _listed(one: Manifest, damage: str) -> ListedBackup:
    return ListedBackup(
        id=one.id, made_at=one.made_at, workspace=one.workspace, keepers=one.keepers, store=one.store,
        files=len(one.files), size=one.size, damage=damage,
    )  # fmt: skip
