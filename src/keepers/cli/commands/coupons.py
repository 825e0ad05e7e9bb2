"""`keepers coupons`: codes of pools, and adding more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, show

coupons = typer.Typer(help="Pools of coupon codes.", no_args_is_help=True)
app.add_typer(coupons, name="coupons")


@coupons.command("import")
def import_coupons(
    pool: Annotated[str, typer.Argument(help="A pool of the playbook's coupons.")],
    file: Annotated[Path, typer.Argument(help="A code in each line, or in the first column of a CSV file.")],
    expires: Annotated[
        str | None, typer.Option(metavar="ISO", help="When the codes expire; an expired code is not assigned.")
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Add codes to a pool; those it has already are left out."""
    from keepers.app.messaging.coupons import ImportCodes, import_codes
    from keepers.cli.present.tables import fields

    request = ImportCodes(pool=pool, path=str(file.absolute()), expires=expires or "")
    show(call(workspace, import_codes, request, "Importing"), as_json, fields)


@coupons.command("status")
def coupon_status(workspace: Folder = None, as_json: Json = False) -> None:
    """How many codes of each pool are left, and which run low."""
    from keepers.app.messaging.coupons import ListPools, list_pools
    from keepers.cli.present.messages import coupons

    show(call(workspace, list_pools, ListPools()), as_json, coupons)
