"""`keepers dkim`: makes a key to sign mail with and shows the DNS record for it."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, show


@app.command()
def dkim(
    domain: Annotated[str, typer.Option(help="The domain to sign for; else that of the sender.")] = "",
    selector: Annotated[
        str, typer.Option(help="The record's name before ._domainkey; else that of the settings.")
    ] = "",
    kind: Annotated[str, typer.Option(help="Of a new key: rsa (2,048 bits) or ed25519.")] = "rsa",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make the key that mail is signed with, unless there is one, and show the DNS record receivers look it up by."""
    from keepers.app.messaging.signing_keys import MakeDkimKey, make_dkim_key
    from keepers.cli.present.messages import dkim_key

    request = MakeDkimKey(domain=domain, selector=selector, kind=kind)
    show(call(workspace, make_dkim_key, request), as_json, dkim_key)
