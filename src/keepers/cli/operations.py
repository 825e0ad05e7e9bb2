"""Commands for whoever runs a workspace: apply, keys, un-merge, rebuild, doctor."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any

import msgspec

from keepers import __version__
from keepers.journeys.moving import How
from keepers.model.definitions import text_in
from keepers.model.moments import format_instant
from keepers.pipeline.evaluate import last_tick
from keepers.pipeline.identify import unmerge as run_unmerge
from keepers.pipeline.publishing import publish
from keepers.playbook import catalog
from keepers.playbook.apply import apply_playbook
from keepers.playbook.load import Playbook, PlaybookErrors, load
from keepers.playbook.plan import proposed_fit
from keepers.playbook.starters import starters as shipped_starters
from keepers.running.sending_status import sending_status
from keepers.scores.rhythm import frozen
from keepers.store import inbox, keys, log, runs
from keepers.warehouse.load import WATERMARK
from keepers.warehouse.rebuild import rebuild as run_rebuild
from keepers.wire import Workspace, clock, clock_notice

Progress = Callable[[int, int], None]
LIBRARIES = ("duckdb", "ibis-framework", "sqlalchemy", "litestar", "msgspec", "uvicorn", "psycopg")


def apply(workspace: Workspace, playbook: Playbook, running: How = "finish") -> dict[str, Any]:
    """Applies a checked playbook, with the rhythm's figures revised when a month has gone by.

    `running` says what becomes of runs on older versions of the journeys that changed.
    """
    now = clock()
    fit = proposed_fit(workspace.in_force(), playbook, workspace.answerer, workspace.now())
    with workspace.sequencing("keepers apply"):
        done = apply_playbook(workspace.store, playbook, now, fit, workspace.zone)
        live = workspace.in_force()
        journeys = [c.key.removeprefix("journey/") for c in done if c.key.startswith("journey/") and c.action != "add"]
        moved = {name: publish(workspace.store, live, workspace.zone, name, running, now) for name in journeys}
    return {
        "applied": [{"key": c.key, "action": c.action} for c in done],
        "fit": msgspec.to_builtins(fit) if fit is not None else None,
        "runs": {name: number for name, number in moved.items() if number},
    }


def active_runs(workspace: Workspace, journeys: list[str]) -> dict[str, int]:
    """How many customers are in each of some journeys: whom an edit touches."""
    with workspace.store.read() as connection:
        counted = {name: runs.counts(connection, name).active for name in journeys}
    return {name: number for name, number in counted.items() if number}


def doctor(workspace: Workspace, progress: Progress) -> Any:
    """Versions, stores, watermarks, lag, disk; what is wrong, if anything is."""
    now = clock()
    warehouse = workspace.warehouse
    cursor = warehouse.cursor()
    with workspace.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with workspace.store.read() as connection:
        logged = log.last_seq(connection)
    ticked = last_tick(warehouse)
    usage = shutil.disk_usage(workspace.folder)
    figures = {
        "keepers": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "store": workspace.store.place,
        "warehouse": str(warehouse.path),
        "warehouse_bytes": warehouse.path.stat().st_size if warehouse.path and warehouse.path.exists() else 0,
        "free_bytes": usage.free,
        "inbox": waiting,
        "inbox_lag_s": (now - oldest).total_seconds() if oldest else 0,
        "log_seq": logged,
        "loaded_seq": warehouse.watermark(WATERMARK),
        "dirty": _number(cursor, "SELECT count(*) FROM dirty"),
        "due": _number(cursor, f"SELECT count(*) FROM states WHERE changes_at <= TIMESTAMP '{now}'"),
        "last_tick": format_instant(ticked) if ticked else None,
        "profiles": _number(cursor, "SELECT count(*) FROM profiles"),
        "events": _number(cursor, "SELECT count(*) FROM tracks"),
        "server": (workspace.server() or {}).get("address"),
    }
    sending, wrong = sending_status(workspace, now)
    return figures | {"sending": sending, "findings": _findings(figures, now, ticked) + wrong}


def _findings(figures: dict[str, Any], now: datetime, ticked: datetime | None) -> list[str]:
    notice = clock_notice()
    found = [notice] if notice else []
    if figures["free_bytes"] < 1 << 30:
        found.append("Less than 1 GB of disk is free. Make room: events are refused when the disk is full.")
    if figures["inbox"] and figures["inbox_lag_s"] > 60:
        found.append("Events have waited over a minute. Start `keepers serve`, or run `keepers tick`.")
    if ticked is not None and ticked > now:
        found.append("The last tick lies in the future: ticks with the real time are refused until then.")
    if ticked is None and figures["events"]:
        found.append("There are events but nothing was answered yet. Run `keepers tick`.")
    return found


def _number(cursor: Any, query: str) -> int:
    return int(cursor.execute(query).fetchone()[0])


def rhythm(workspace: Workspace, progress: Progress) -> Any:
    """The shop's own cycle: the figures in force, and where they come from."""
    live = workspace.in_force()
    settled = frozen(live.playbook.rhythm, live.fit)
    return {
        "event": live.playbook.rhythm.event,
        "typical_gap_s": settled.typical_gap.total_seconds(),
        "longest_gap_s": settled.longest_gap.total_seconds(),
        "repeaters": settled.repeaters,
        "months_of_history": round(settled.months, 1),
        "is_provisional": settled.is_provisional,
        "method": settled.method,
        "fitted_at": format_instant(live.fitted_at) if live.fitted_at else None,
    }


def list_keys(workspace: Workspace, progress: Progress) -> Any:
    """Every key, without its token."""
    with workspace.store.read() as connection:
        found = keys.read_all(connection)
    return [
        {
            "id": k.id,
            "name": k.name,
            "kind": k.kind,
            "created_at": format_instant(k.created_at),
            "revoked_at": format_instant(k.revoked_at) if k.revoked_at else None,
        }
        for k in found
    ]


def create_key(workspace: Workspace, progress: Progress, kind: str, name: str, token: str | None = None) -> Any:
    """Makes a key; its token is shown this once."""
    with workspace.store.begin() as connection:
        key, made = keys.create(connection, kind, name, clock(), token)  # type: ignore[arg-type]
    return {"id": key.id, "kind": key.kind, "name": key.name, "token": made}


def revoke_key(workspace: Workspace, progress: Progress, id: str) -> Any:
    """Makes a key useless from now on."""
    with workspace.store.begin() as connection:
        keys.revoke(connection, id, clock())
    return {"revoked": id}


def unmerge(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Takes a merge back: the profile that was merged into another stands for itself again."""
    with workspace.sequencing("keepers unmerge") as ticker:
        restored = run_unmerge(workspace.store, workspace.find_profile(name), clock())
        ticker.load()
    return {"restored": restored}


def rebuild(workspace: Workspace, progress: Progress) -> Any:
    """Makes every typed table anew from the record, sorted by profile."""
    with workspace.sequencing("keepers rebuild") as ticker:
        ticker.load()
        run_rebuild(workspace.warehouse, progress)
    return {"rebuilt": True}


def templates(workspace: Workspace | None, progress: Progress, locale: str = "en") -> Any:
    """Lifecycle templates: stages, and which words they use; in a workspace also what can't be seen yet."""
    schema = workspace.warehouse.schema(clock()) if workspace is not None else None
    playbook: Playbook | None = None
    if workspace is not None:
        try:
            playbook = load(workspace.playbook_folder, workspace.zone)
        except PlaybookErrors:
            playbook = None
    found = []
    for template in catalog.templates().values():
        blind = catalog.blind_words(template, schema, playbook) if schema is not None and schema.events else []
        found.append(
            {
                "id": template.id,
                "name": text_in(template.name, locale),
                "description": text_in(template.description, locale),
                "stages": [
                    {"id": s.id, "name": text_in(s.name, locale)}
                    for s in catalog.shipped().lifecycles[template.id].stages
                ],
                "words": msgspec.to_builtins(template.words),
                "cannot_see": [
                    {"word": b.word, "map_one_of": list(b.events), "stages": list(b.stages), "empty": list(b.empty)}
                    for b in blind
                ],
            }
        )
    return found


def starters(locale: str = "en") -> list[dict[str, Any]]:
    """Starter journeys: what each does, and the words and segments it asks about."""
    return [
        {
            "id": one.id,
            "name": text_in(one.name, locale),
            "description": text_in(one.description, locale),
            "needs": sorted(one.needs),
        }
        for one in shipped_starters().values()
    ]
