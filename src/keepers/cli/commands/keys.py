"""`keepers keys`: make, list and revoke keys."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, give, run
from keepers.cli.present import operations

keys = typer.Typer(help="Keys that let programs in.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("list")
def list_keys(workspace: Folder = None, as_json: Json = False) -> None:
    """Every key, without its token."""
    give(run(workspace, "keys"), as_json, operations.keys)


@keys.command("create")
def create_key(
    kind: Annotated[str, typer.Argument(help="write (browsers), server (trusted to write) or secret (management).")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    token: Annotated[str | None, typer.Option(help="Bring a token of your own instead of a random one.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make a key; its token is shown this once."""
    give(run(workspace, "create-key", kind=kind, name=name or kind, token=token), as_json, operations.key)


@keys.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make a key useless from now on."""
    give(run(workspace, "revoke-key", id=id), as_json, operations.done)
