"""Tick, backfill, doctor, rewind, rebuild, compact, unmerge, backup, backups, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, show

Backups = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the backups.")]


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


@app.command("compact")
def compact_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Rewrite the files without what was deleted. A server does it each day when something was erased."""
    from keepers.app.operations.upkeep import CompactFiles, compact
    from keepers.cli.present.operations import compacted

    show(call(workspace, compact, CompactFiles(), "Compacting"), as_json, compacted)


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


@app.command("backup")
def backup_command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder for the backups of this workspace, best on another disk.")
    ],
    keep_newest: Annotated[
        int | None, typer.Option("--keep", min=1, metavar="N", help="Remove all but the newest N backups.")
    ] = None,
    expire_after: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, metavar="DAYS", help="Remove backups older than this, never the newest."),
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Back up the workspace while everything goes on; only what changed since earlier backups is written."""
    from keepers.app.operations.backups import BackUp, back_up
    from keepers.cli.present.backups import backed_up

    request = BackUp(
        folder=str(directory.expanduser().absolute()), keep_newest=keep_newest, expire_after_days=expire_after
    )
    show(call(workspace, back_up, request, "Backing up"), as_json, backed_up)


@app.command("backups")
def backups_command(
    directory: Backups,
    check: Annotated[bool, typer.Option("--check", help="Read all that is kept, and say what is damaged.")] = False,
    as_json: Json = False,
) -> None:
    """List the backups in a folder, oldest first."""
    from keepers.app.operations.backups import list_backups
    from keepers.cli.present.backups import listed
    from keepers.cli.progress import reporting

    with reporting("Checking") as report:
        found = list_backups(directory.expanduser().absolute(), is_checked=check, progress=report)
    show(found, as_json, listed)
    if any(one.damage for one in found.items):
        raise typer.Exit(1)


@app.command("restore")
def restore_command(
    directory: Backups,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The new workspace; nothing may be there yet.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="ID", help="Which backup, as `backups` lists it; else the newest.")
    ] = None,
    erasures: Annotated[
        Path | None,
        typer.Option(
            metavar="WORKSPACE_OR_FILE",
            help="Where later erasures are known too: the old workspace, or another folder of backups.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An empty PostgreSQL database, for a backup of one; else that of KEEPERS_STORE_URL."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a workspace from a backup. Nothing is sent from it until `start-sending`."""
    from keepers.app.operations.restore import restore_workspace
    from keepers.cli.present.backups import restored
    from keepers.cli.progress import reporting

    with reporting("Restoring") as report:
        done = restore_workspace(directory, to, at, erasures, store, report)
    show(done, as_json, restored)
