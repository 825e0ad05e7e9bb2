"""What is wrong with an installation."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from keepers import __version__
from keepers.app.messaging.sending_status import sending_status
from keepers.app.operations.upkeep import compacted_at, last_failure, last_retention, put_off_since
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.clock import clock_notice
from keepers.app.workspace.files.disk_probe import DiskProbe
from keepers.app.workspace.files.private_files import shared_files
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.evaluate import last_tick
from keepers.i18n.problems import problem_text
from keepers.ingest.imports import import_counts
from keepers.model.errors import ConflictError, Problem, problem, problem_as_written
from keepers.model.identity import MOST_UNPROVEN
from keepers.model.moments import format_instant
from keepers.store import keys
from keepers.store.events import inbox, log
from keepers.store.keys import Key
from keepers.store.privacy import erasures, removed_counts
from keepers.store.privacy.erasures import WaitingErasures
from keepers.store.profiles import identities
from keepers.warehouse.arrivals import unlisted_rows
from keepers.warehouse.columns.registry import MAX_PUBLIC_EVENTS, MAX_PUBLIC_TRAITS
from keepers.warehouse.database import Warehouse
from keepers.warehouse.files import set_aside
from keepers.warehouse.fixed_tables import LOADED

UNUSED_FOR = timedelta(days=90)
"""after so long without use a key is reported"""
UNCOMPACTED_FOR = timedelta(days=2)
"""after so long without a compaction an erasure is reported"""
LIBRARIES = ("duckdb", "ibis-framework", "sqlalchemy", "litestar", "msgspec", "uvicorn", "psycopg")


class ExamineInstallation(Struct, frozen=True, kw_only=True):
    """No parameters."""


class Diagnosis(Struct, frozen=True, kw_only=True):
    """Versions, stores, watermarks, lag, disk; what is wrong, if anything is."""

    keepers: str
    python: str
    libraries: dict[str, str]
    store: str
    warehouse: str
    warehouse_bytes: int
    free_bytes: int
    inbox: Annotated[int, Meta(description="Accepted requests that wait to be identified.")]
    inbox_lag_s: Annotated[float, Meta(description="How long the oldest of them has waited.")]
    log_seq: Annotated[int, Meta(description="The last event in the log.")]
    loaded_seq: Annotated[int, Meta(description="The last of them that is in the warehouse.")]
    dirty: Annotated[int, Meta(description="Answers that the next tick brings up to date.")]
    due: Annotated[int, Meta(description="Answers that change by the clock and are due.")]
    last_tick: datetime | None
    profiles: int
    events: int
    compacted_at: Annotated[datetime | None, Meta(description="When the files were last rewritten.")]
    retention: Annotated[
        dict[str, Any] | None, Meta(description="When retention last ran (`at`), and how much of what it removed.")
    ]
    erased_dropped: Annotated[int, Meta(description="Events dropped because they named somebody who was erased.")]
    server: Annotated[str | None, Meta(description="The address of the server that has the workspace open.")]
    sending: Annotated[dict[str, Any], Meta(description="Channels, kill switch, circuit breakers and queued messages.")]
    findings: Annotated[list[str], Meta(description="What is wrong, each with what to do.")]


@use_case("GET /doctor", permission="read", tag="health")
def doctor(workspace: Workspace, actor: Actor, request: ExamineInstallation) -> Diagnosis:
    """Check the installation

    Versions, stores, watermarks, lag, disk; findings say what to do.
    """
    now = workspace.clock()
    warehouse = workspace.warehouse
    warehouse.require_readable()
    cursor = warehouse.cursor()
    with workspace.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with workspace.store.read() as connection:
        logged = log.last_seq(connection)
        all_keys, recorded_since = keys.read_all(connection), keys.uses_recorded_since(connection)
        crowded = identities.most_unproven(connection, MOST_UNPROVEN)
        waiting_erasures = erasures.waiting(connection)
        dropped = sum(row.number for row in removed_counts.read(connection, "dropped"))
    ticked = last_tick(warehouse)
    lag_s = (now - oldest).total_seconds() if oldest else 0.0
    events = _number(cursor, "SELECT count(*) FROM tracks")
    free = shutil.disk_usage(workspace.folder).free
    sending, wrong = sending_status(workspace, now, actor.locale)
    found = upkeep_findings(ticked, free_bytes=free, waiting=waiting, lag_s=lag_s, events=events)
    found += clock_findings(workspace)
    found += disk_findings(workspace)
    found += damage_findings(workspace)
    found += key_findings(now, all_keys, recorded_since)
    found += file_findings(workspace.folder)
    found += identity_findings(crowded)
    found += name_findings(warehouse)
    found += failure_findings(workspace)
    found += erasure_findings(now, waiting_erasures)
    return Diagnosis(
        keepers=__version__,
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
        store=workspace.store.place,
        warehouse=str(warehouse.path),
        warehouse_bytes=warehouse.path.stat().st_size if warehouse.path and warehouse.path.exists() else 0,
        free_bytes=free,
        inbox=waiting,
        inbox_lag_s=lag_s,
        log_seq=logged,
        loaded_seq=warehouse.watermark(LOADED),
        dirty=_number(cursor, "SELECT count(*) FROM dirty"),
        due=_number(cursor, f"SELECT count(*) FROM states WHERE changes_at <= TIMESTAMP '{now}'"),
        last_tick=ticked,
        profiles=_number(cursor, "SELECT count(*) FROM profiles"),
        events=events,
        compacted_at=compacted_at(workspace),
        retention=last_retention(workspace),
        erased_dropped=dropped,
        server=server.address if (server := workspace.server()) is not None else None,
        sending=sending,
        findings=[problem_text(one, actor.locale) for one in found] + [f"{one[:1].upper()}{one[1:]}" for one in wrong],
    )


def upkeep_findings(
    ticked: datetime | None, *, free_bytes: int, waiting: int, lag_s: float, events: int
) -> list[Problem]:
    notice = clock_notice()
    found = [notice] if notice else []
    if free_bytes < 1 << 30:
        found.append(problem("Less than 1 GB of disk is free. Make room: events are refused when the disk is full."))
    if waiting and lag_s > 60:
        found.append(problem("Events have waited over a minute. Start `keepers serve`, or run `keepers tick`."))
    if ticked is None and events:
        found.append(problem("There are events, and nothing was evaluated yet. Run `keepers tick`."))
    return found


def damage_findings(workspace: Workspace) -> list[Problem]:
    """What the stores have lost, or cannot read any more."""
    found = []
    store, warehouse = workspace.store, workspace.warehouse
    if broken := store.damage():
        found.append(
            problem(
                "The store is damaged: {reason}. Stop the server, keep a copy of the files, and restore a backup.",
                reason=broken,
            )
        )
    if lost := import_counts.missing(store, warehouse):
        found.append(
            problem(
                "{number} imported rows are missing in the warehouse, which was damaged, or replaced by another file. "
                "Import the same files again: what is there already is skipped.",
                number=lost,
            )
        )
    if aside := set_aside(warehouse.path) if warehouse.path is not None else []:
        found.append(
            problem(
                "A damaged write-ahead log of the warehouse was set aside as {file}; what it held is loaded again from "
                "the log of events. The next `keepers compact`, which a server does daily when something was removed, "
                "deletes the file.",
                file=aside[-1].name,
            )
        )
    with store.read() as connection:
        logged = log.last_seq(connection)
    if warehouse.watermark(LOADED) > logged:
        found.append(
            problem(
                "The warehouse holds events up to {loaded}, the store's log only up to {logged}: they do not belong "
                "together. Restore both from one backup.",
                loaded=warehouse.watermark(LOADED),
                logged=logged,
            )
        )
    return found


def failure_findings(workspace: Workspace) -> list[Problem]:
    """Upkeep that failed, or has yielded for long, and has not run since."""
    failure, since = last_failure(workspace), put_off_since(workspace)
    found = []
    if failure is not None:
        found.append(
            problem(
                "The daily upkeep failed at {at}: {reason} Until it succeeds, nothing is removed that was kept long "
                "enough, and files hold deleted bytes. Remove the cause; `keepers serve` tries again every ten "
                "minutes, and its log says more.",
                at=failure.at,
                reason=failure.reason if failure.reason.endswith(".") else f"{failure.reason}.",
            )
        )
    if since is not None:
        found.append(
            problem(
                "The daily upkeep has been put off since {at}, because a backup or queries use the files each time it "
                "is tried, every ten minutes. Until then files hold deleted bytes. Choose another hour for upkeep.at "
                "or for backups, or run `keepers compact` when nothing else runs.",
                at=format_instant(since),
            )
        )
    return found


def disk_findings(workspace: Workspace) -> list[Problem]:
    """Folders of the workspace's data that cannot be written to."""
    folders = {(workspace.folder / workspace.settings.warehouse.path).parent}
    if workspace.store.folder is not None:
        folders.add(workspace.store.folder)
    return [trouble for one in sorted(folders) if (trouble := DiskProbe(one).why_not_writable()) is not None]


def clock_findings(workspace: Workspace) -> list[Problem]:
    """Why a tick would be refused now."""
    try:
        workspace.believed_now()
    except ConflictError as error:
        return [error.problem] if isinstance(error.problem, Problem) else [problem_as_written(error.message)]
    return []


def file_findings(folder: Path) -> list[Problem]:
    """Files that other users of the machine may read or change."""
    shared = shared_files(folder)
    if not shared:
        return []
    return [
        problem(
            "Other users of this machine can use {number} files of the workspace, such as {path}. Start "
            "`keepers serve` again, which makes them private.",
            number=len(shared),
            path=shared[0].relative_to(folder),
        )
    ]


def identity_findings(crowded: Sequence[int]) -> list[Problem]:
    """Profiles, by number, whose oldest devices make room for those that anybody says are theirs."""
    if not crowded:
        return []
    return [
        problem(
            "{number} customers, such as #{profile}, have {most} identifiers that nobody proved to be theirs; the "
            "oldest make room for new ones. Sign user ids on your site, or send both ids from your server.",
            number=len(crowded),
            profile=crowded[0],
            most=MOST_UNPROVEN,
        )
    ]


def name_findings(warehouse: Warehouse) -> list[Problem]:
    """Names that came by write keys alone, more of them than are listed."""
    found = []
    if warehouse.registry.has_more_events:
        found.append(
            problem(
                "Write keys sent events of more than {listed} names that no server key, import or playbook knows. "
                "{number} events of further names count as other: conditions read them, lists do not show them. "
                "Look whose keys they are with `keepers keys list`, and revoke one that was misused.",
                listed=MAX_PUBLIC_EVENTS,
                number=unlisted_rows(warehouse),
            )
        )
    if warehouse.registry.has_more_traits:
        found.append(
            problem(
                "Write keys sent traits of more than {listed} names that no server key or import knows. Further names "
                "count as other: conditions read them, lists do not show them.",
                listed=MAX_PUBLIC_TRAITS,
            )
        )
    return found


def erasure_findings(now: datetime, waiting: WaitingErasures) -> list[Problem]:
    """Erasures that are not done, and those of which files have held the bytes for too long."""
    found = []
    if waiting.unfinished:
        found.append(
            problem("{number} erasures are not finished. The next tick carries them on.", number=waiting.unfinished)
        )
    if waiting.oldest is not None and now - waiting.oldest > UNCOMPACTED_FOR:
        found.append(
            problem(
                "Files still hold deleted bytes of {number} who were erased, the first {days} days ago. Run "
                "`keepers compact`, or leave `keepers serve` running at the hour of upkeep.at.",
                number=waiting.to_compact,
                days=(now - waiting.oldest).days,
            )
        )
    return found


def key_findings(now: datetime, all_keys: Sequence[Key], recorded_since: datetime | None) -> list[Problem]:
    """Keys that still let somebody in and that nobody has used for long."""
    found = []
    for key in all_keys:
        since = max(key.last_used_at or key.created_at, recorded_since or now)
        if not key.has_ended(now) and now - since > UNUSED_FOR:
            found.append(
                problem(
                    "The key “{name}” ({key}) has not been used for {days} days. If nothing needs it any more: "
                    "`keepers keys revoke {key}`.",
                    name=key.name,
                    key=key.id,
                    days=(now - since).days,
                )
            )
    return found


def _number(cursor: Any, query: str) -> int:
    return int(cursor.execute(query).fetchone()[0])
