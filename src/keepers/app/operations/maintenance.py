"""Commands for whoever runs a workspace: apply, keys, un-merge, rebuild, doctor."""

from __future__ import annotations

from typing import Any

import msgspec

from keepers.app.tick import Ticked, until_idle
from keepers.app.workspace.clock import clock
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.backfill import backfill as run_backfill
from keepers.ingest.identify import unmerge as run_unmerge
from keepers.journeys.version_change import How
from keepers.model.moments import format_instant, parse_instant
from keepers.orchestration.run_control import publish
from keepers.playbook.apply import apply_playbook
from keepers.playbook.load import Playbook
from keepers.playbook.plan import proposed_fit
from keepers.warehouse.rebuild import rebuild as run_rebuild


def apply_and_publish(workspace: Workspace, playbook: Playbook, running: How = "finish") -> dict[str, Any]:
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


def tick(workspace: Workspace, progress: Progress, now: str | None = None, idle: bool = False) -> Any:
    """Works off what is there, up to `now` (the present unless told)."""
    at = clock() if now is None else parse_instant(now, workspace.zone)
    with workspace.sequencing("keepers tick") as ticker:
        done: Ticked = until_idle(ticker, at, progress) if idle else ticker.tick(at, progress)
    return msgspec.to_builtins(done) | {"now": format_instant(done.now)}


def backfill(workspace: Workspace, progress: Progress) -> Any:
    """Works history out for everything in force, up to the last tick."""
    with workspace.sequencing("keepers backfill") as ticker:
        ticker.tick(workspace.now(), progress)
        done = run_backfill(workspace.answerer, workspace.standing(), workspace.now(), progress)
    return msgspec.to_builtins(done)
