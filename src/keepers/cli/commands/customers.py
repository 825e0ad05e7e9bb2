"""`keepers erase`: what is kept of a customer's messages, journeys and consent goes for good."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, Now, app, call, give, run, show
from keepers.cli.present import customers, operations
from keepers.model.errors import UserError


@app.command("erase")
def erase_command(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it: there is no way back.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Erase a customer's messages, journeys, consent and inbox, and never write to their addresses again.

    The events and traits that arrived of them are not erased by this.
    """
    if not yes:
        raise UserError(f"Erasing what is kept of “{id}” cannot be taken back. Say so with --yes.", code="yes")
    give(run(workspace, "erase", name=id), as_json, operations.done)


@app.command()
def count(
    target: Annotated[
        str, typer.Argument(metavar="FILE_OR_SEGMENT", help="A YAML file with one condition, or a segment.")
    ],
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """How many a condition or a segment holds for."""
    path = Path(target)
    target = str(path.absolute()) if os.path.exists(path) else target
    give(run(workspace, "count", target=target, now=now), as_json, lambda a: print(f"{a['count']:,}"))


@app.command()
def stages(
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """How many are in each stage, in order."""
    answer = run(workspace, "stages", lifecycle=lifecycle, now=now)
    if as_json:
        answer = [{"stage": s["stage"], "profiles": s["profiles"]} for s in answer["stages"]]
    give(answer, as_json, customers.stages)


@app.command()
def moves(
    since: Annotated[str, typer.Option(metavar="D", help="A moment in ISO 8601, or how far back: 7d.")],
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Who moved since then, from where to where."""
    give(run(workspace, "moves", since=since, lifecycle=lifecycle, now=now), as_json, customers.moves)


@app.command()
def profile(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    now: Now = None,
    locale: Annotated[str, typer.Option(help="Language of the explanations: en, ru, pl, zh, it.")] = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """All about one profile: traits, stages and since when, last events, and why."""
    from keepers.app.customers.profiles import ReadProfile, read_profile

    show(call(workspace, read_profile, ReadProfile(id=id, now=now, locale=locale)), as_json, customers.profile)
