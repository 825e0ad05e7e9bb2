"""Tick, backfill, doctor, rewind, rebuild, unmerge."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, show


@app.command("tick")
def tick_command(
    now: Annotated[str | None, typer.Option("--now", metavar="ISO", help="Tick up to this moment.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Repeat until nothing is left.")] = False,
    allow_jump: Annotated[
        bool, typer.Option("--allow-jump", help="The clock, or --now, is right although it is far ahead.")
    ] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Run a tick: process what has arrived and what is due."""
    from keepers.app.operations.maintenance import RunTick, tick
    from keepers.cli.present.operations import ticked

    request = RunTick(now=now, until_idle=until_idle, allow_jump=allow_jump)
    show(call(workspace, tick, request, "Ticking"), as_json, ticked)


@app.command("backfill")
def backfill_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Backfill history: who was in which stage when, since the first event."""
    from keepers.app.operations.maintenance import RunBackfill, backfill
    from keepers.cli.present.operations import ticked

    show(call(workspace, backfill, RunBackfill(), "Working history out"), as_json, ticked)


@app.command("doctor")
def doctor_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Versions, stores, watermarks, lag, disk."""
    from keepers.app.operations.doctor import ExamineInstallation, doctor
    from keepers.cli.present.operations import diagnosis

    show(call(workspace, doctor, ExamineInstallation()), as_json, diagnosis)


@app.command("rewind")
def rewind_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Take back what ticks did ahead of the present, after a clock that was ahead."""
    from keepers.app.operations.maintenance import RunRewind, rewind
    from keepers.cli.present.operations import rewound

    show(call(workspace, rewind, RunRewind(), "Taking back"), as_json, rewound)


@app.command("rebuild")
def rebuild_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Rebuild the typed tables from the record, sorted for fast reads."""
    from keepers.app.operations.maintenance import RunRebuild, rebuild
    from keepers.cli.present.operations import rebuilt

    show(call(workspace, rebuild, RunRebuild(), "Rebuilding"), as_json, rebuilt)


@app.command("unmerge")
def unmerge_command(
    id: Annotated[str, typer.Argument(help="The profile that was merged into another, as #number.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Undo a merge of two profiles."""
    from keepers.app.operations.maintenance import UnmergeProfile, unmerge
    from keepers.cli.present.operations import unmerged

    show(call(workspace, unmerge, UnmergeProfile(id=id)), as_json, unmerged)
