"""`keepers replay`: a journey over recorded history, performing nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, Now, app, call, show


@app.command("replay")
def replay_command(
    journey: Annotated[str, typer.Argument(help="The journey's id.")],
    since: Annotated[str, typer.Option(metavar="SPAN", help="How far back, such as 90d.")] = "90d",
    sample: Annotated[
        str, typer.Option(metavar="SHARE", help="A stable share of the customers, such as 10%.")
    ] = "100%",
    live: Annotated[bool, typer.Option("--live", help="The active version instead of the playbook's files.")] = False,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Run a journey over recorded history, sending nothing: who would have entered, and what they would have got."""
    from keepers.app.messaging.replay import ReplayJourney, replay_journey
    from keepers.cli.present.replay import replayed

    request = ReplayJourney(id=journey, since=since, sample=sample, is_live=live, now=now)
    show(call(workspace, replay_journey, request), as_json, replayed)
