"""`keepers erase`: what is kept of a customer's messages, journeys and consent goes for good."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli import present
from keepers.cli.main import Folder, Json, app, give, run
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
    give(run(workspace, "erase", name=id), as_json, present.done)
