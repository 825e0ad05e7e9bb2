"""`keepers keys`: make, list and revoke keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from keepers.cli.common import Folder, Json, app, call, show

keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("list")
def list_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Every key, without its token, and when it was last used."""
    from keepers.app.operations.keys import ListKeys, list_keys
    from keepers.cli.present.operations import keys

    show(call(workspace, list_keys, ListKeys()), as_json, keys)


@keys.command("create")
def create_command(
    kind: Annotated[str, typer.Argument(help="write (browsers), server (trusted to write) or secret (management).")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    token: Annotated[str | None, typer.Option(help="Bring a token of your own instead of a random one.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When it ends: a duration such as 90d, or an ISO moment.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What a secret key may do: read, send, manage. Repeatable; all by default.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A site whose pages may use a write key: https://shop.example, https://*.shop.example. Repeatable; "
            "any by default.",
        ),
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make a key; its token is shown this once."""
    from keepers.app.operations.keys import CreateKey, create_key
    from keepers.cli.present.operations import created_key

    scopes: list[Any] = scope or []  # checked with the request
    wanted = CreateKey(kind=kind, name=name, token=token, expires=expires, scopes=scopes, origins=origin or [])
    show(call(workspace, create_key, wanted), as_json, created_key)


@keys.command("revoke")
def revoke_command(
    id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Revoke a key."""
    from keepers.app.operations.keys import RevokeKey, revoke_key
    from keepers.cli.present.operations import revoked_key

    show(call(workspace, revoke_key, RevokeKey(id=id)), as_json, revoked_key)
