"""`keepers keys`: make, list and revoke keys; `keepers audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from keepers.cli.common import Folder, Json, app, call, show

keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("list")
def list_command(workspace: Folder = None, as_json: Json = False) -> None:
    """Every key, without its token, and when it was last used."""
    from keepers.app.access.keys import ListKeys, list_keys
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
    from keepers.app.access.keys import CreateKey, create_key
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
    from keepers.app.access.keys import RevokeKey, revoke_key
    from keepers.cli.present.operations import revoked_key

    show(call(workspace, revoke_key, RevokeKey(id=id)), as_json, revoked_key)


@app.command("audit")
def audit_command(
    actor: Annotated[str | None, typer.Option(help="Only what this key did, by its id or name.")] = None,
    use_case: Annotated[str | None, typer.Option("--use-case", help="Only this, such as create_key.")] = None,
    since: Annotated[str | None, typer.Option(metavar="ISO", help="Not before this moment.")] = None,
    until: Annotated[str | None, typer.Option(metavar="ISO", help="Before this moment.")] = None,
    limit: Annotated[int, typer.Option(help="Most entries.", min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Who changed what: calls of keys and commands, latest first."""
    from keepers.app.access.audit import ReadAudit, read_audit
    from keepers.cli.present.operations import audit

    wanted = ReadAudit(actor=actor, use_case=use_case, since=since, until=until, limit=limit, cursor=cursor)
    show(call(workspace, read_audit, wanted), as_json, audit)
