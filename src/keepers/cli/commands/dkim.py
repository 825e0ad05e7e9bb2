"""`keepers dkim`: makes a key to sign mail with and shows the DNS record for it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from keepers.cli.common import Folder, Json, app, give, run


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
    """Make the key mail is signed with, unless there is one, and show the DNS record receivers look it up by."""
    give(run(workspace, "dkim", domain=domain, selector=selector, kind=kind), as_json, _show)


def _show(answer: dict[str, Any]) -> None:
    record = answer["record"]
    print(f"{'Made' if answer['is_new'] else 'Read'} the key in {answer['key_file']}. Keep it secret.")
    print(f"Add this record to the DNS:\n\n{record['name']}. TXT\n{record['value']}\n")
    print("Values of over 255 letters go into several quoted strings, which most DNS pages do by themselves.")
    if answer["settings"]:
        print(f"When the record can be looked up, let keepers.toml sign with it:\n\n{answer['settings']}")
