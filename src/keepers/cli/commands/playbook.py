"""Init, check, plan, apply, templates, rhythm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keepers.app.operations.playbook import starters
from keepers.app.operations.playbook import templates as list_templates
from keepers.app.workspace.create import create
from keepers.app.workspace.folder import PLAYBOOK, find_folder
from keepers.app.workspace.workspace import Workspace
from keepers.cli.commands_by_name import ask
from keepers.cli.common import Folder, Json, Now, _chosen, app, give, run
from keepers.cli.present import journeys as present_sending
from keepers.cli.present import operations, playbook
from keepers.model.moments import parse_zone
from keepers.playbook.shipped.journeys import install_journeys, require_starters


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Folder of the new workspace.")],
    templates: Annotated[list[str] | None, typer.Argument(help="Lifecycle templates, as with --lifecycle.")] = None,
    lifecycle: Annotated[list[str] | None, typer.Option(help="A lifecycle template; may be repeated.")] = None,
    journeys: Annotated[list[str] | None, typer.Option(help="A starter journey; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="The business's name.")] = None,
    zone: Annotated[str, typer.Option(help="IANA time zone of the business.")] = "UTC",
    as_json: Json = False,
) -> None:
    """Make a workspace: settings, a playbook from templates, keys."""
    parse_zone(zone)
    starting = [one for given in journeys or () for one in given.split(",") if one]
    require_starters(starting)
    chosen = [one for given in (*(lifecycle or ()), *(templates or ())) for one in given.split(",") if one]
    written = create(directory.expanduser().absolute(), chosen or ["value"], name, zone)
    written += install_journeys(directory.expanduser().absolute() / PLAYBOOK, starting)
    workspace = Workspace.open(find_folder(directory))
    try:
        tokens = {kind: workspace.ensure_key(kind, f"first {kind} key") for kind in ("write", "server", "secret")}
        workspace.close()
        applied = ask(directory, "apply")
    finally:
        workspace.close()
    files = [str(p.relative_to(directory.expanduser().absolute())) for p in written]
    give({"workspace": str(directory), "files": files, "keys": tokens, **applied}, as_json, operations.created)


@app.command()
def check(workspace: Folder = None, as_json: Json = False) -> None:
    """Look the playbook over: mistakes, dangling names, stages nobody can reach."""
    answer = run(workspace, "check")
    give(answer, as_json, playbook.findings)
    if answer["errors"]:
        raise typer.Exit(2)


@app.command()
def plan(now: Now = None, workspace: Folder = None, as_json: Json = False) -> None:
    """Show what applying the playbook would change, with the numbers."""
    give(run(workspace, "plan", now=now), as_json, playbook.plan)


@app.command()
def apply(
    running: Annotated[
        str,
        typer.Option(
            help="What becomes of customers in older versions of changed journeys: finish on theirs, move to the new "
            "one step for step, or exit."
        ),
    ] = "finish",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make the playbook the one in force."""
    give(run(workspace, "apply", running=running), as_json, playbook.applied)


@app.command()
def templates(
    journeys: Annotated[bool, typer.Option("--journeys", help="Starter journeys alone.")] = False,
    locale: Annotated[str, typer.Option(help="Language of the names: en, ru, pl, zh, it.")] = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The lifecycle models that ship, what each needs to see, and the starter journeys."""
    if journeys:
        give(starters(locale), as_json, present_sending.starters)
        return
    folder = find_folder(workspace or _chosen["folder"])
    named = workspace or _chosen["folder"]
    if named or (folder / "keepers.toml").is_file():
        answer = run(workspace, "templates", locale=locale)
    else:
        answer = list_templates(None, lambda done, total: None, locale)
    give(answer, as_json, playbook.templates)
    if not as_json:
        present_sending.starters(starters(locale))


@app.command()
def rhythm(workspace: Folder = None, as_json: Json = False) -> None:
    """The shop's own cycle: typical gap between purchases, and where the figure comes from."""
    give(run(workspace, "rhythm"), as_json, playbook.rhythm)
