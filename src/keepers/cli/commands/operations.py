"""Tick, backfill, doctor, rebuild, unmerge."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, give, run
from keepers.cli.present import operations


@app.command()
def tick(
    now: Annotated[str | None, typer.Option("--now", metavar="ISO", help="Tick up to this moment.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Repeat until nothing is left.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Work off what has arrived and what is due."""
    give(run(workspace, "tick", doing="Ticking", now=now, idle=until_idle), as_json, operations.ticked)


@app.command()
def backfill(workspace: Folder = None, as_json: Json = False) -> None:
    """Work out history: who was in which stage when, since the first event."""
    give(run(workspace, "backfill", doing="Working history out"), as_json, operations.ticked)


@app.command()
def doctor(workspace: Folder = None, as_json: Json = False) -> None:
    """Versions, stores, watermarks, lag, disk."""
    give(run(workspace, "doctor"), as_json, operations.doctor)


@app.command()
def rebuild(workspace: Folder = None, as_json: Json = False) -> None:
    """Make the typed tables anew from the record, sorted for fast reads."""
    give(run(workspace, "rebuild", doing="Rebuilding"), as_json, operations.done)


@app.command()
def unmerge(
    id: Annotated[str, typer.Argument(help="The profile that was merged into another, as #number.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take a merge of two profiles back."""
    give(run(workspace, "unmerge", name=id), as_json, operations.done)
