"""Daily upkeep: what was kept long enough is removed, and files are rewritten without what was deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Connection

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.bounces.set_aside import FOLDER as SET_ASIDE
from keepers.ingest.imports.rejects import FOLDER as REJECTS
from keepers.model.moments import format_instant, parse_instant
from keepers.store import audit_log, meta
from keepers.store.privacy import compaction as store_compaction
from keepers.store.privacy import erasures, retention
from keepers.store.schema.core import EPOCH
from keepers.warehouse.fixed_tables import LOADED
from keepers.warehouse.privacy import compaction as warehouse_compaction
from keepers.warehouse.privacy import retention as warehouse_retention

COMPACTED, RAN, RETAINED, FAILED = "compacted_at", "upkeep_at", "retention", "upkeep_failed"
TO_COMPACT, PUT_OFF = "to_compact", "upkeep_put_off"
"""names in `meta`; the last two are moments: since when files hold what retention removed, and upkeep yields"""
_PATIENT_FOR = timedelta(days=1)
"""so long upkeep may yield before somebody is to know"""
_AT_ONCE = 200
"""rows that one transaction of retention removes"""
_PATIENCE_S = 10.0
"""how long the warehouse's readers are waited for; new ones wait meanwhile"""


class CompactFiles(Struct, frozen=True, kw_only=True):
    """No parameters."""


class Compacted(Struct, frozen=True):
    """What was rewritten."""

    store: Annotated[bool, Meta(description="False on PostgreSQL, whose files are its operator's.")]
    warehouse: bool
    bytes_before: int
    bytes_after: int
    erasures: Annotated[int, Meta(description="Erasures of which nothing is left in these files now.")]


@use_case("POST /compact", permission="manage", lock="sequenced", tag="maintenance", problems=(409,), is_long=True)
def compact(workspace: Workspace, actor: Actor, request: CompactFiles, progress: Progress) -> Compacted:
    """Rewrite the files without what was deleted

    SQLite's and DuckDB's files keep the bytes of deleted rows; this writes them anew. A server does it each day when
    something was erased. Events are taken in meanwhile; ticks wait. It needs room for a second copy of each file.
    """
    return run_compaction(workspace, workspace.clock(), progress)


def run_compaction(workspace: Workspace, now: datetime, progress: Progress) -> Compacted:
    """The same for who holds the sequence of events already. Raises ConflictError while files are in use."""
    before = _size(workspace)
    with workspace.store.read() as connection:
        waiting = erasures.waiting(connection).to_compact
    progress(0, 2)
    # The warehouse first: what is written into the store on the way is compacted with it.
    warehouse = warehouse_compaction.compact(workspace.warehouse, workspace.warehouse_gate.alone(_PATIENCE_S))
    progress(1, 2)
    store = store_compaction.compact(workspace.store, lambda: progress(1, 2))
    with workspace.store.begin() as connection:
        erasures.mark_compacted(connection, now)
        meta.put(connection, COMPACTED, format_instant(now))
        meta.remove(connection, TO_COMPACT)
    progress(2, 2)
    return Compacted(store, warehouse, before, _size(workspace), waiting)


def run_retention(workspace: Workspace, now: datetime, progress: Progress) -> dict[str, int]:
    """Removes what was kept long enough by the settings; how much of what. The caller holds the sequence of events.

    What is removed is counted, and noted for the next compaction, by the transaction that removes it. An attempt that
    goes on with an upkeep that did not end adds to what was removed before.
    """
    kept = workspace.settings.retention
    loaded = workspace.warehouse.watermark(LOADED)
    steps: dict[str, tuple[int, Callable[[Connection, datetime, int], int]]] = {
        "recipients": (kept.recipients_days, retention.forget_recipients),
        "messages": (kept.messages_days, retention.remove_messages),
        "run_history": (kept.run_history_days, retention.remove_run_history),
        "audit": (workspace.settings.audit.keep_days, audit_log.remove),
        "events": (kept.events_days, lambda c, before, limit: retention.remove_events(c, before, loaded, limit)),
    }
    removed = dict.fromkeys((*steps, "rejects"), 0) | _removed_before(workspace)
    for name, (days, remove) in steps.items():
        gone = _AT_ONCE
        while days and gone == _AT_ONCE:
            progress(0, 1)
            with workspace.store.begin() as connection:
                gone = remove(connection, now - timedelta(days=days), _AT_ONCE)
                removed[name] += gone
                if gone:
                    _note_to_compact(connection, now)
                    _put_removed(connection, now, removed)
    if kept.events_days:
        before = now - timedelta(days=kept.events_days)
        if warehouse_retention.holds_raw(workspace.warehouse, before):
            with workspace.store.begin() as connection:
                _note_to_compact(connection, now)
            removed["events"] = max(removed["events"], warehouse_retention.forget_raw(workspace.warehouse, before))
    removed["rejects"] += _remove_files(workspace, now, kept.rejects_days)
    with workspace.store.begin() as connection:
        _put_removed(connection, now, removed)
    return removed


def _removed_before(workspace: Workspace) -> dict[str, int]:
    """What earlier attempts of an upkeep removed that has not ended yet."""
    found, ended = last_retention(workspace), last_run(workspace)
    if found is None or ended is None or parse_instant(found.pop("at")) <= ended:
        return {}
    return found


def _note_to_compact(connection: Connection, now: datetime) -> None:
    if meta.get(connection, TO_COMPACT) is None:
        meta.put(connection, TO_COMPACT, format_instant(now))


def _put_removed(connection: Connection, now: datetime, removed: dict[str, int]) -> None:
    meta.put(connection, RETAINED, msgspec.json.encode({"at": format_instant(now), **removed}).decode())


def last_retention(workspace: Workspace) -> dict[str, Any] | None:
    """When retention last ran (`at`), and how much of what it removed."""
    with workspace.store.read() as connection:
        found = meta.get(connection, RETAINED)
    return None if found is None else msgspec.json.decode(found)


def _remove_files(workspace: Workspace, now: datetime, days: int) -> int:
    """Removes rejects files and set-aside mails that were last written so long ago; how many."""
    if not days:
        return 0
    warehouse = workspace.warehouse.path
    folders = [workspace.data_folder / SET_ASIDE, *([warehouse.parent / REJECTS] if warehouse is not None else ())]
    until = (now - EPOCH - timedelta(days=days)).total_seconds()
    old = [one for folder in folders for one in folder.glob("*.*") if one.stat().st_mtime < until]
    for file in old:
        file.unlink()
    return len(old)


def compacted_at(workspace: Workspace) -> datetime | None:
    """When the files were last rewritten."""
    with workspace.store.read() as connection:
        found = meta.get(connection, COMPACTED)
    return parse_instant(found) if found is not None else None


def to_compact_since(workspace: Workspace) -> datetime | None:
    """Since when files hold what retention removed; None when they do not."""
    with workspace.store.read() as connection:
        found = meta.get(connection, TO_COMPACT)
    return None if found is None else parse_instant(found)


def run_upkeep(workspace: Workspace, now: datetime, progress: Progress) -> None:
    """A day's upkeep. The caller holds the sequence of events. May be interrupted and repeated.

    Raises ConflictError where the files cannot be rewritten yet: it has not ended, and the next attempt rewrites them.
    """
    run_retention(workspace, now, progress)
    with workspace.store.read() as connection:
        waits = erasures.waiting(connection).to_compact
    if waits or to_compact_since(workspace) is not None:
        run_compaction(workspace, now, progress)
    note_run(workspace, now)


def note_run(workspace: Workspace, now: datetime) -> None:
    """Records that upkeep ran, or is to run when its hour comes next."""
    with workspace.store.begin() as connection:
        meta.put(connection, RAN, format_instant(now))


class UpkeepFailure(Struct, frozen=True):
    """When upkeep last failed, and why, in English."""

    at: str
    reason: str


def note_failure(workspace: Workspace, reason: str) -> None:
    """Records that upkeep failed, for /ready and `keepers doctor`, until `clear_trouble`."""
    failure = UpkeepFailure(format_instant(workspace.clock()), reason)
    with workspace.store.begin() as connection:
        meta.put(connection, FAILED, msgspec.json.encode(failure).decode())


def note_put_off(workspace: Workspace) -> None:
    """Records that upkeep yields to a backup or to queries, and since when, until `clear_trouble`."""
    now = workspace.clock()
    with workspace.store.begin() as connection:
        if meta.get(connection, PUT_OFF) is None:
            meta.put(connection, PUT_OFF, format_instant(now))


def put_off_since(workspace: Workspace) -> datetime | None:
    """Since when upkeep has yielded, where that is for over a day."""
    with workspace.store.read() as connection:
        found = meta.get(connection, PUT_OFF)
    since = None if found is None else parse_instant(found)
    return since if since is not None and workspace.clock() - since > _PATIENT_FOR else None


def clear_trouble(workspace: Workspace) -> None:
    """Records that upkeep ran, or is not due, after it had failed or yielded."""
    with workspace.store.read() as connection:
        found = [name for name in (FAILED, PUT_OFF) if meta.get(connection, name) is not None]
    if found:
        with workspace.store.begin() as connection:
            for name in found:
                meta.remove(connection, name)


def last_failure(workspace: Workspace) -> UpkeepFailure | None:
    """What upkeep failed by, as long as it has not run since."""
    with workspace.store.read() as connection:
        found = meta.get(connection, FAILED)
    return None if found is None else msgspec.json.decode(found, type=UpkeepFailure)


def last_run(workspace: Workspace) -> datetime | None:
    """When upkeep last ran; None before the first time."""
    with workspace.store.read() as connection:
        found = meta.get(connection, RAN)
    return None if found is None else parse_instant(found)


def is_due(last: datetime, now: datetime, hour: time, zone: ZoneInfo) -> bool:
    """Whether the day's hour has passed since upkeep last ran, or that was at a time that has not come yet."""
    return not last_hour(now, hour, zone) <= last <= now


def last_hour(now: datetime, hour: time, zone: ZoneInfo) -> datetime:
    """The last instant, up to `now`, at which the clock of the zone showed the hour."""
    local = now.replace(tzinfo=UTC).astimezone(zone)
    shown = datetime.combine(local.date(), hour, zone).astimezone(UTC).replace(tzinfo=None)
    if shown > now:
        before = local.date() - timedelta(days=1)
        shown = datetime.combine(before, hour, zone).astimezone(UTC).replace(tzinfo=None)
    return shown


def _size(workspace: Workspace) -> int:
    store = workspace.store.folder
    files = [workspace.warehouse.path, *(store.glob("*.db*") if store is not None else ())]
    return sum(file.stat().st_size for file in files if file is not None and file.exists())
