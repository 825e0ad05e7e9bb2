"""Init, check, plan, apply, templates, rhythm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, Locale, Now, app, call, chosen_folder, named_folder, show


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
    from keepers.app.operations.create import create_workspace
    from keepers.cli.present.operations import created

    chosen = _listed([*(lifecycle or ()), *(templates or ())]) or ["value"]
    show(create_workspace(directory, chosen, _listed(journeys or []), name, zone), as_json, created)


@app.command()
def check(
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Check the playbook: mistakes, unknown names, unreachable stages."""
    from keepers.app.operations.playbook import CheckPlaybook, check_playbook
    from keepers.cli.present.playbook import findings

    answer = call(workspace, check_playbook, CheckPlaybook(locale=locale))
    show(answer, as_json, findings)
    if answer.errors:
        raise typer.Exit(2)


@app.command()
def plan(now: Now = None, locale: Locale = "en", workspace: Folder = None, as_json: Json = False) -> None:
    """Show what applying the playbook would change, with the numbers."""
    from keepers.app.operations.playbook import PlanPlaybook, plan_playbook
    from keepers.cli.present.playbook import planned

    show(call(workspace, plan_playbook, PlanPlaybook(now=now, locale=locale)), as_json, planned)


@app.command()
def apply(
    running: Annotated[
        str,
        typer.Option(
            help="What happens to customers in older versions of changed journeys: finish on theirs, move to the new "
            "one step for step, or exit."
        ),
    ] = "finish",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Apply the playbook."""
    from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
    from keepers.cli.present.playbook import applied

    show(call(workspace, apply_playbook, ApplyPlaybook(running=running)), as_json, applied)


@app.command("templates")
def templates_command(
    journeys: Annotated[bool, typer.Option("--journeys", help="Only starter journeys.")] = False,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The lifecycle models that ship, what each needs to see, and the starter journeys."""
    from keepers.app.operations.templates import ListTemplates, list_templates, shipped_starters, shipped_templates
    from keepers.cli.present.playbook import starters, templates

    if journeys:
        show(shipped_starters(locale), as_json, starters)
        return
    if named_folder(workspace) or (chosen_folder() / "keepers.toml").is_file():
        answer = call(workspace, list_templates, ListTemplates(locale=locale))
    else:
        answer = shipped_templates(locale)
    show(answer, as_json, templates)
    if not as_json:
        starters(shipped_starters(locale))


@app.command()
def rhythm(workspace: Folder = None, as_json: Json = False) -> None:
    """The rhythm: the shop's own cycle of purchases: typical gap between purchases, and where the figure comes from."""
    from keepers.app.customers.scores import ReadRhythm, read_rhythm
    from keepers.cli.present.customers import rhythm

    show(call(workspace, read_rhythm, ReadRhythm()), as_json, rhythm)


def _listed(options: list[str]) -> list[str]:
    """Names that were given one by one, or several with commas between them."""
    return [one for names in options for one in names.split(",") if one]
