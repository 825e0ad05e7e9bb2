"""`keepers consent`, `suppress` and `coupons`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, give, run
from keepers.cli.present import messages, operations

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="A user id, anonymous id or group id, or #number.")]
Channel = Annotated[str, typer.Argument(help="email, sms, chat, push, in_app or webhook.")]
Out = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")]
consent = typer.Typer(help="What customers agreed to: every statement is kept.", no_args_is_help=True)
suppress = typer.Typer(help="Addresses never to be written to again, kept as hashes.", no_args_is_help=True)
coupons = typer.Typer(help="Pools of codes customers are given.", no_args_is_help=True)
for group, name in ((consent, "consent"), (suppress, "suppress"), (coupons, "coupons")):
    app.add_typer(group, name=name)


@consent.command("show")
def show_consent(id: Profile, workspace: Folder = None, as_json: Json = False) -> None:
    """What a customer agreed to: what counts now, and every statement with its time and source."""
    give(run(workspace, "consent", name=id), as_json, messages.consent)


@consent.command("set")
def set_consent(
    id: Profile,
    channel: Channel,
    topic: Annotated[str, typer.Argument(help="A topic of the playbook, or * for all of the channel.")],
    state: Annotated[str, typer.Argument(help="subscribed, pending or unsubscribed.")],
    source: Annotated[str, typer.Option(help="Where it was said.")] = "by hand",
    wording: Annotated[str, typer.Option(help="The words agreed to.")] = "",
    at: Annotated[str | None, typer.Option(metavar="ISO", help="When it was said; else now.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Record what a customer said; nothing that was said before is changed."""
    answer = run(
        workspace, "set-consent", name=id, channel=channel, topic=topic, state=state, source=source, wording=wording,
        at=at,
    )  # fmt: skip
    give(answer, as_json, operations.done)


@consent.command("import")
def import_consent(
    file: Annotated[
        Path, typer.Argument(help="CSV with profile, channel, topic, state; at, source, wording if known.")
    ],
    source: Annotated[str, typer.Option(help="Where it was said, for rows that do not tell.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take over what customers said elsewhere; history starts no journey."""
    answer = run(workspace, "import-consent", doing="Importing", path=str(file.absolute()), source=source)
    give(answer, as_json, messages.imported)


@consent.command("export")
def export_consent(file: Out, workspace: Folder = None, as_json: Json = False) -> None:
    """Write every statement into a CSV file."""
    answer = run(workspace, "export-consent", doing="Exporting", path=str(file.absolute()))
    give(answer, as_json, operations.done)


@suppress.command("add")
def add_suppression(
    channel: Channel,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="E-mail addresses, phone numbers …")],
    detail: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Never write to some addresses again, not even with transactional messages."""
    answer = run(workspace, "suppress", channel=channel, addresses=addresses, detail=detail)
    give(answer, as_json, operations.done)


@suppress.command("lift")
def lift_suppression(
    channel: Channel,
    address: Annotated[str, typer.Argument(help="The address, or its hash.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Let an address be written to again, where consent allows it."""
    give(run(workspace, "lift-suppression", channel=channel, address=address), as_json, operations.done)


@suppress.command("list")
def list_suppressions(
    channel: Annotated[str | None, typer.Option(help="On this channel alone.")] = None,
    address: Annotated[str | None, typer.Option(help="Whether this address is on the list; needs --channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most addresses of one answer.")] = 50,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Suppressed addresses, as hashes, with the reason and since when."""
    answer = run(workspace, "suppressions", channel=channel, address=address, limit=limit)
    give(answer, as_json, messages.suppressions)


@suppress.command("import")
def import_suppressions(
    file: Annotated[Path, typer.Argument(help="CSV with address (or hash); channel, reason, at if known.")],
    channel: Annotated[str, typer.Option(help="The channel of rows that do not tell.")] = "email",
    source: Annotated[str, typer.Option(help="Where the list is from.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take over a suppression list; addresses are hashed at once."""
    answer = run(
        workspace, "import-suppressions", doing="Importing", path=str(file.absolute()), channel=channel, source=source
    )
    give(answer, as_json, messages.imported)


@suppress.command("export")
def export_suppressions(file: Out, workspace: Folder = None, as_json: Json = False) -> None:
    """Write the list into a CSV file: hashes, for addresses are not kept."""
    answer = run(workspace, "export-suppressions", doing="Exporting", path=str(file.absolute()))
    give(answer, as_json, operations.done)


@coupons.command("import")
def import_coupons(
    pool: Annotated[str, typer.Argument(help="A pool of the playbook's coupons.")],
    file: Annotated[Path, typer.Argument(help="A code in each line, or in the first column of a CSV file.")],
    expires: Annotated[
        str | None, typer.Option(metavar="ISO", help="From when on the codes are given no more.")
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Add codes to a pool; those it has already are left out."""
    answer = run(workspace, "import-coupons", doing="Importing", pool=pool, path=str(file.absolute()), expires=expires)
    give(answer, as_json, operations.done)


@coupons.command("status")
def coupon_status(workspace: Folder = None, as_json: Json = False) -> None:
    """How many codes of each pool are left, and which run low."""
    give(run(workspace, "coupons"), as_json, messages.coupons)
