"""`keepers replay`: a journey over recorded history, performing nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, Now, app, give, run
from keepers.cli.present.replay import show


@app.command("replay")
def replay_command(
    journey: Annotated[str, typer.Argument(help="A journey's id.")],
    since: Annotated[str, typer.Option(metavar="SPAN", help="How far back, such as 90d.")] = "90d",
    sample: Annotated[
        str, typer.Option(metavar="SHARE", help="A stable share of the customers, such as 10%.")
    ] = "100%",
    live: Annotated[bool, typer.Option("--live", help="As it is in force, not as the files have it.")] = False,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Run a journey over recorded history, sending nothing: who would have entered, and what they would have got."""
    answer = run(workspace, "replay", journey=journey, since=since, sample=sample, is_live=live, now=now)
    give(answer, as_json, show)
