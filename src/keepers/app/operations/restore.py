"""Restores a backup as a new workspace, on which nothing is sent until somebody says so."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import func, select

from keepers.app.customers.erasing import apply_ledger, read_ledger
from keepers.app.operations.backups import owner_of_backups, unreadable
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.use_cases.auditing import audit_event
from keepers.app.use_cases.progress import Progress, no_progress
from keepers.app.workspace.clock import environment
from keepers.app.workspace.files.backup_files import database_patterns, inside, is_left_out, store_files
from keepers.app.workspace.files.folder import DATA
from keepers.app.workspace.settings import FILE, Settings, load_settings, with_store
from keepers.app.workspace.workspace import Workspace
from keepers.backups.chunks import REAL_FOLDER, DamagedBackupError, sync_folder
from keepers.backups.folder import HEAD, LEDGER, BackupFolder, newer_than, opened_for_reading, union
from keepers.backups.folder import read_ledger as read_ledger_file
from keepers.backups.foreign_objects import remove_from_store, remove_from_warehouse
from keepers.backups.manifest import Manifest
from keepers.backups.postgres_tools import DUMP, restore_dump, without_password
from keepers.backups.restore import write_files
from keepers.broadcasts import control
from keepers.ingest.identify import identify
from keepers.model.errors import ConflictError, NotFoundError, UserError, problem
from keepers.model.moments import format_instant
from keepers.store.audit_log import DONE
from keepers.store.database import INBOX_FILE, MAIN_FILE
from keepers.store.messages import restored, sending_switches
from keepers.store.privacy.erasures import Ledger
from keepers.store.schema.core import inbox_metadata, metadata, profiles
from keepers.store.schema.messages import messages
from keepers.warehouse.files import LOG

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
    left_out: Annotated[
        list[str],
        Meta(description="Views, macros and triggers of the databases, which Keepers makes none of: they are removed."),
    ]
    is_jump: Annotated[bool, Meta(description="The last tick is so long ago that the next one needs `--allow-jump`.")]


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
    source, to = source.expanduser().resolve(), to.expanduser().absolute()
    try:
        with opened_for_reading(source) as folder:
            ids = folder.ids()
            manifest = folder.read(at if at is not None else ids[-1] if ids else "")
            known = _erasures(folder, erasures)
            with _made_whole(to, source) as building:
                address = _address_for(manifest, store)
                write_files(folder, manifest, building, is_left_out, progress)
                if address is not None:
                    _fill_database(building, address, is_written_whole=store is not None)
                newest = max(folder.readable()[0], key=lambda one: one.made_at)
                return _completed(building, to, manifest, known, newest.made_at)
    except OSError as error:
        if error.filename and Path(str(error.filename)).is_relative_to(source):
            raise unreadable(source, error) from None
        raise UserError(
            problem(
                "{folder} could not be restored: {reason} ({file}). Nothing is left of it. Make room, or name another "
                "folder with --to.",
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
    named = named.expanduser().absolute()
    if (named / HEAD).exists():
        named /= LEDGER
    if named.exists() and not named.is_dir():
        return union(folder.ledger(), _ledger_of(named.parent.resolve() / named.name, folder.owner))
    if not (named / FILE).exists():
        raise NotFoundError(
            problem(
                "{folder} is neither a workspace nor erasures.json of a folder of backups. Name the old workspace, "
                "such a file, or the folder that it is in, with --erasures.",
                folder=named,
            ),
            code="backup",
        )
    living = Workspace.open(named)
    try:
        if owner_of_backups(living) != folder.owner:
            raise UserError(
                problem("{folder} is another workspace than the one that was backed up.", folder=named), code="backup"
            )
        return union(folder.ledger(), read_ledger(living))
    finally:
        living.close()


def _ledger_of(file: Path, owner: str) -> Ledger:
    try:
        return read_ledger_file(file, owner)
    except DamagedBackupError as error:
        raise UserError(
            problem(
                "{reason}. Name the old workspace, or erasures.json of a folder of its backups, with --erasures.",
                reason=error.problem,
            ),
            code="backup",
        ) from None


@contextmanager
def _made_whole(to: Path, source: Path) -> Iterator[Path]:
    """A folder beside `to` that takes its place at the end of the block, and is removed when it raises.

    What an interrupted restore left there is removed first. Raises UserError, ConflictError, OSError.
    """
    place = to.parent.resolve() / to.name
    if place.is_relative_to(source) or source.is_relative_to(place):
        raise UserError(problem("{folder} and the backups lie in each other. Name another folder.", folder=to))
    if to.is_symlink() or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise ConflictError(
            problem("{folder} is not an empty folder. Name one that is not there yet with --to.", folder=to),
            code="exists",
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(to)
    with _held_folder(to) as building:
        try:
            yield building
            building.replace(to)
        except BaseException:
            shutil.rmtree(building)
            raise
        sync_folder(to.parent)


@contextmanager
def _held_folder(to: Path) -> Iterator[Path]:
    """A new folder that is locked for the block, so that no other restore removes it as left. Raises OSError."""
    while True:
        # Private, and of a name that nobody can have taken: a link to another folder, say.
        building = Path(mkdtemp(prefix=_prefix(to), dir=to.parent))
        try:
            held = os.open(building, REAL_FOLDER)
        except FileNotFoundError:  # another restore removed it before it was locked
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if _is_there(building, held):
                yield building
                return
        finally:
            os.close(held)


def _is_there(folder: Path, held: int) -> bool:
    try:
        return os.path.samestat(os.lstat(folder), os.fstat(held))
    except FileNotFoundError:
        return False


def _prefix(to: Path) -> str:
    return f".{to.name}.restoring-"


def _remove_left(to: Path) -> None:
    """Removes what interrupted restores left: this user's private folders that no process holds. Follows no link."""
    for left in to.parent.iterdir():
        if not left.name.startswith(_prefix(to)):
            continue
        try:
            descriptor = os.open(left, REAL_FOLDER)
        except OSError:  # no folder, or another user's
            continue
        try:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
        except BlockingIOError:  # a restore that is under way
            continue
        finally:
            os.close(descriptor)


def _completed(building: Path, to: Path, manifest: Manifest, known: Ledger, newest: datetime) -> Restored:
    """Opens what was written, which brings it up to date, and makes it safe to start."""
    settings = _own_settings(building, manifest)
    left_out = remove_from_warehouse(building / settings.warehouse.path)
    if manifest.store == "sqlite":
        for name, tables in ((MAIN_FILE, metadata.tables), (INBOX_FILE, inbox_metadata.tables)):
            left_out += remove_from_store(building / settings.store.url / name, tables)
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
            is_jump = _is_jump(workspace)
            audit_event(workspace, COMMAND_LINE, "restore", DONE, manifest.id)
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
        left_out=left_out,
        is_jump=is_jump,
    )


def _is_jump(workspace: Workspace) -> bool:
    try:
        workspace.believed_now()
    except ConflictError:
        return True
    return False


def _own_settings(building: Path, manifest: Manifest) -> Settings:
    """The settings that were restored.

    Raises UserError where they, of the file or the environment, lead to other places than those restored,
    DamagedBackupError where the backup has what none keeps beside these places.
    """
    paths = {str(PurePosixPath(file.path)) for file in manifest.files}
    try:
        settings = load_settings(building, environment())
    except UserError as error:
        reason = error.problem if FILE in paths else problem("it has no {file}", file=FILE)
        raise UserError(
            problem(
                "The settings of backup {id} cannot be used. Restore another one with --at, or unset what the "
                "environment says of them. The reason: {reason}",
                id=manifest.id,
                reason=reason,
            ),
            code="backup",
        ) from None
    places = [("warehouse", "path", settings.warehouse.path, "")]
    if manifest.store == "sqlite":
        places += [("store", "url", settings.store.url, name) for name in (MAIN_FILE, INBOX_FILE)]
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
    _require_only_kept(manifest, settings)
    return settings


def _require_only_kept(manifest: Manifest, settings: Settings) -> None:
    """Raises DamagedBackupError where a file is what no backup has beside its databases, such as a journal of one."""
    warehouse = str(PurePosixPath(settings.warehouse.path))
    databases, patterns = {warehouse, warehouse + LOG, *store_files(settings)}, database_patterns(settings)
    for file in manifest.files:
        path = str(PurePosixPath(file.path))
        if path not in databases and any(fnmatchcase(path.casefold(), one.casefold()) for one in patterns):
            raise DamagedBackupError(
                problem(
                    "Backup {id} cannot be restored, it has {file}: no backup keeps such a file, so somebody has "
                    "changed this one. Nothing was written. Restore another one with --at.",
                    id=manifest.id,
                    file=file.path,
                )
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
    if not address or "://" not in address or (variables and variables != address):
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
