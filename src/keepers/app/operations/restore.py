"""Restores a backup as a new workspace, on which nothing is sent until somebody says so."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import func, select

from keepers.app.customers.erasing import apply_ledger, read_ledger
from keepers.app.operations.backups import owner_of_backups
from keepers.app.use_cases.progress import Progress, no_progress
from keepers.app.workspace.clock import environment
from keepers.app.workspace.files.backup_files import inside
from keepers.app.workspace.files.folder import DATA
from keepers.app.workspace.settings import FILE, load_settings, with_store
from keepers.app.workspace.workspace import Workspace
from keepers.backups.chunks import sync_folder
from keepers.backups.folder import BackupFolder, newer_than, opened_for_reading, union
from keepers.backups.folder import read_ledger as ledger_of_file
from keepers.backups.manifest import Manifest
from keepers.backups.postgres_tools import DUMP, restore_dump, without_password
from keepers.backups.restore import write_files
from keepers.broadcasts import control
from keepers.ingest.identify import identify
from keepers.model.errors import ConflictError, UserError, problem
from keepers.model.moments import format_instant
from keepers.store.database import MAIN_FILE
from keepers.store.messages import restored, sending_switches
from keepers.store.privacy.erasures import Ledger
from keepers.store.schema.core import profiles
from keepers.store.schema.messages import messages

STORE_VARIABLE = "KEEPERS_STORE_URL"


class Restored(Struct, frozen=True, kw_only=True):
    """A workspace that was made from a backup."""

    id: str
    made_at: Annotated[datetime, Meta(description="The moment that it is of.")]
    folder: str
    events: Annotated[int, Meta(description="Events and other messages in the warehouse's record.")]
    profiles: int
    messages: int
    uncertain: Annotated[int, Meta(description="Messages that waited then and are not sent by themselves any more.")]
    stopped_broadcasts: Annotated[list[str], Meta(description="Broadcasts that were under way then.")]
    erased: Annotated[int, Meta(description="Customers that were erased after the backup, and are erased again.")]
    erasures_until: Annotated[datetime, Meta(description="Erasures after this moment were known from no backup.")]


def restore_workspace(
    source: Path,
    to: Path,
    at: str | None = None,
    erasures: Path | None = None,
    store: str | None = None,
    progress: Progress = no_progress,
) -> Restored:
    """Makes a workspace in a new folder `to` from a backup in `source`: the newest, or the one named `at`.

    The folder is there when everything is done, and not before: the store is brought up to date, what waited is taken
    in, erasures that came after the backup are applied (those that the backups' folder knows, and those of `erasures`:
    a workspace, or a ledger of another folder of backups). A backup on PostgreSQL goes into the empty database `store`,
    else that of KEEPERS_STORE_URL, which the new workspace then uses. There is no workspace yet, so it is no use case.
    Raises DamagedBackupError, ConflictError for a folder that is not empty, UserError for what cannot be used.
    """
    source, to = source.expanduser().absolute(), to.expanduser().absolute()
    try:
        with opened_for_reading(source) as folder:
            ids = folder.ids()
            manifest = folder.read(at if at is not None else ids[-1] if ids else "")
            known = _erasures(folder, erasures)
            with _made_whole(to, source) as building:
                address = _address_for(manifest, store)
                write_files(folder, manifest, building, progress)
                if address is not None:
                    _fill_database(building, address, is_written_whole=store is not None)
                newest = max(folder.readable()[0], key=lambda one: one.made_at)
                return _completed(building, to, manifest, known, newest.made_at)
    except OSError as error:
        raise UserError(
            problem(
                "{folder} could not be restored: {reason} ({file}). Nothing is left of it.",
                folder=to,
                reason=error.strerror or error,
                file=error.filename or to,
            ),
            code="backup",
        ) from None


def _erasures(folder: BackupFolder, named: Path | None) -> Ledger:
    """What the backups know of erasures, and what a workspace or another ledger knows."""
    if named is None:
        return folder.ledger()
    if named.is_file():
        return union(folder.ledger(), ledger_of_file(named, folder.owner))
    living = Workspace.open(named.expanduser().absolute())
    try:
        if owner_of_backups(living) != folder.owner:
            raise UserError(
                problem("{folder} is another workspace than the one that was backed up.", folder=named), code="backup"
            )
        return union(folder.ledger(), read_ledger(living))
    finally:
        living.close()


@contextmanager
def _made_whole(to: Path, source: Path) -> Iterator[Path]:
    """A folder beside `to` that takes its place at the end of the block, and is removed when it raises.

    What an interrupted restore left there is removed first. Raises ConflictError.
    """
    if to.is_relative_to(source) or source.is_relative_to(to):
        raise UserError(problem("{folder} and the backups lie in each other. Name another folder.", folder=to))
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConflictError(
            problem("{folder} is not empty. Name a folder that is not there yet with --to.", folder=to), code="exists"
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    building = to.with_name(f".{to.name}.restoring")
    building.mkdir(mode=0o700, exist_ok=True)
    held = os.open(building, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                problem("Another process is restoring into {folder} already.", folder=to), code="locked"
            ) from None
        _empty(building)
        try:
            yield building
        except BaseException:
            shutil.rmtree(building)
            raise
        building.replace(to)
        sync_folder(to.parent)
    finally:
        os.close(held)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _completed(building: Path, to: Path, manifest: Manifest, known: Ledger, newest: datetime) -> Restored:
    """Opens what was written, which brings it up to date, and makes it safe to start."""
    _require_own_places(building, manifest)
    workspace = Workspace.open(building)
    try:
        with workspace.sequencing("keepers restore") as ticker:
            now = workspace.clock()
            stopped, uncertain = _stop_sending(workspace, manifest, now)
            identify(workspace.store, now, workspace.settings.collect.limits)
            ticker.load()
            # By difference, not by time: whoever was erased and came again before the backup is a customer of then.
            erased = apply_ledger(workspace, newer_than(known, read_ledger(workspace)), now)
            ticker.load()
            with workspace.store.read() as connection:
                people = connection.execute(select(func.count()).select_from(profiles)).scalar_one()
                decided = connection.execute(select(func.count()).select_from(messages)).scalar_one()
            events = workspace.warehouse.cursor().execute("SELECT count(*) FROM tracks").fetchall()[0][0]
    finally:
        workspace.close()
    return Restored(
        id=manifest.id,
        made_at=manifest.made_at,
        folder=str(to),
        events=int(events),
        profiles=int(people),
        messages=int(decided),
        uncertain=uncertain,
        stopped_broadcasts=stopped,
        erased=erased,
        erasures_until=newest,
    )


def _require_own_places(building: Path, manifest: Manifest) -> None:
    """Raises UserError where the settings, of the file or the environment, lead to other places than those restored."""
    settings = load_settings(building, environment())
    paths = {file.path for file in manifest.files}
    places = [("warehouse", "path", settings.warehouse.path, "")]
    if manifest.store == "sqlite":
        places.append(("store", "url", settings.store.url, MAIN_FILE))
    for section, name, value, file in places:
        if "://" in value or str(inside(section, name, value) / file) not in paths:
            raise UserError(
                problem(
                    "[{section}] {name} = “{value}” is not where the backup {id} has it. Unset what the environment "
                    "says of it.",
                    section=section,
                    name=name,
                    value=value,
                    id=manifest.id,
                ),
                code="backup",
            )


def _address_for(manifest: Manifest, named: str | None) -> str | None:
    """The database that a backup goes into; None for one on SQLite. Raises UserError."""
    variables = environment().get(STORE_VARIABLE)
    if manifest.store == "sqlite":
        if named is not None or variables:
            raise UserError(
                problem(
                    "This backup is of a store on SQLite, which lies in the folder. Leave out --store, and unset "
                    "{variable}.",
                    variable=STORE_VARIABLE,
                ),
                code="backup",
            )
        return None
    address = named or variables
    if not address or (variables and variables != address):
        raise UserError(
            problem(
                "This backup is of a store on PostgreSQL. Name an empty database for it with --store "
                "postgresql://…, or by {variable}, but not two different ones.",
                variable=STORE_VARIABLE,
            ),
            code="backup",
        )
    return address


def _fill_database(building: Path, address: str, *, is_written_whole: bool) -> None:
    """Restores the dump and has the settings lead there, without the password if that is in the environment.

    The settings of the backup lead to the database of then, which the old workspace may still use.
    """
    file = building / FILE
    url = address if is_written_whole else without_password(address)
    file.write_text(with_store(file.read_text(encoding="utf-8"), url), encoding="utf-8")
    dump = building / DATA / DUMP
    restore_dump(dump, address, _go_on)
    shutil.rmtree(dump)


def _go_on() -> None:
    """Nothing ends a restore of a database but its end."""


def _stop_sending(workspace: Workspace, manifest: Manifest, now: datetime) -> tuple[list[str], int]:
    """Nothing is sent until somebody starts it, and nothing of then by itself; broadcasts stopped, messages in doubt.

    Whatever waited at the moment of the backup may have been sent since, by the workspace that was lost.
    """
    store = workspace.store
    reason = (
        f"restored from the backup of {format_instant(manifest.made_at)}: what was sent since is not known here. See "
        "docs/howto/back-up-and-restore.md, then `keepers start-sending`"
    )
    with store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, False, reason, now)
    stopped = control.under_way(store)
    for name in stopped:
        control.stop(store, name, now)
    uncertain = 0
    while True:
        with store.begin() as connection:
            done = restored.mark_uncertain(connection, now)
        uncertain += done
        if not done:
            return stopped, uncertain
