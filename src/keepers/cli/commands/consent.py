"""`keepers consent` and `suppress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from keepers.cli.common import Folder, Json, app, call, show
from keepers.model.consent import ConsentState
from keepers.model.errors import UserError, nearest

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="A user id, anonymous id or group id, or #number.")]
Channel = Annotated[str, typer.Argument(help="email, sms, chat, push, in_app or webhook.")]
Out = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")]
consent = typer.Typer(help="What customers agreed to: every statement is kept.", no_args_is_help=True)
suppress = typer.Typer(help="Addresses that nothing is sent to again, kept as hashes.", no_args_is_help=True)
for group, name in ((consent, "consent"), (suppress, "suppress")):
    app.add_typer(group, name=name)


@consent.command("show")
def show_consent(id: Profile, workspace: Folder = None, as_json: Json = False) -> None:
    """A customer's consent: what counts now, and every statement with its time and source."""
    from keepers.app.customers.consents import ReadConsents, read_consents
    from keepers.cli.present.consent import consents

    show(call(workspace, read_consents, ReadConsents(id=id)), as_json, consents)


@consent.command("set")
def set_consent(
    id: Profile,
    channel: Channel,
    topic: Annotated[str, typer.Argument(help="A topic of the playbook, or * for all of the channel.")],
    state: Annotated[str, typer.Argument(help="subscribed, pending or unsubscribed.")],
    source: Annotated[str, typer.Option(help="The source of the statement, such as a form or a call.")] = "by hand",
    wording: Annotated[str, typer.Option(help="The wording agreed to.")] = "",
    at: Annotated[str | None, typer.Option(metavar="ISO", help="When the statement was made; else now.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Record what a customer said; nothing that was said before is changed."""
    from keepers.app.customers.consents import RecordConsent, record_consent
    from keepers.cli.present.tables import fields

    states = get_args(ConsentState)
    if state not in states:
        raise UserError(f"“{state}” is no state of consent.{nearest(state, states)}", field="state")
    request = RecordConsent(
        id=id,
        channel=channel,
        topic=topic,
        state=cast(ConsentState, state),
        source=source,
        wording=wording,
        at=at or "",
    )
    show(call(workspace, record_consent, request), as_json, fields)


@consent.command("import")
def import_consent(
    file: Annotated[
        Path, typer.Argument(help="CSV with profile, channel, topic, state; at, source, wording if known.")
    ],
    source: Annotated[str, typer.Option(help="The source of rows without one.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Import consent recorded elsewhere; it starts no journey."""
    from keepers.app.customers.consents import ImportConsents, import_consents
    from keepers.cli.present.consent import imported

    request = ImportConsents(path=str(file.absolute()), source=source)
    show(call(workspace, import_consents, request, "Importing"), as_json, imported)


@consent.command("export")
def export_consent(file: Out, workspace: Folder = None, as_json: Json = False) -> None:
    """Write every statement into a CSV file."""
    from keepers.app.customers.consents import ExportConsents, export_consents
    from keepers.cli.present.tables import fields

    request = ExportConsents(path=str(file.absolute()))
    show(call(workspace, export_consents, request, "Exporting"), as_json, fields)


@suppress.command("add")
def add_suppression(
    channel: Channel,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="E-mail addresses, phone numbers …")],
    detail: Annotated[str, typer.Option(help="The reason, kept with the change.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Suppress addresses: nothing is sent to them, not even transactional messages."""
    from keepers.app.customers.suppressions import AddSuppressions, add_suppressions
    from keepers.cli.present.tables import fields

    request = AddSuppressions(channel=channel, addresses=addresses, detail=detail)
    show(call(workspace, add_suppressions, request), as_json, fields)


@suppress.command("lift")
def lift_suppression(
    channel: Channel,
    address: Annotated[str, typer.Argument(help="The address, or its hash.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Lift the suppression of an address; consent still applies."""
    from keepers.app.customers.suppressions import LiftSuppression, lift_suppression
    from keepers.cli.present.tables import fields

    request = LiftSuppression(channel=channel, address=address)
    show(call(workspace, lift_suppression, request), as_json, fields)


@suppress.command("list")
def list_suppressions(
    channel: Annotated[str | None, typer.Option(help="Only on this channel.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Show whether this address is on the list; needs --channel.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most addresses of one answer.")] = 50,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Suppressed addresses, as hashes, with the reason and since when."""
    from keepers.app.customers.suppressions import (
        FindSuppression,
        ListSuppressions,
        find_suppression,
        list_suppressions,
    )
    from keepers.cli.present.consent import suppressions

    if address is None:
        found = call(workspace, list_suppressions, ListSuppressions(channel=channel, limit=limit))
    elif channel is None:
        raise UserError("Say on which channel the address is.", field="channel")
    else:
        found = call(workspace, find_suppression, FindSuppression(channel=channel, address=address))
    show(found, as_json, suppressions)


@suppress.command("import")
def import_suppressions(
    file: Annotated[Path, typer.Argument(help="CSV with address (or hash); channel, reason, at if known.")],
    channel: Annotated[str, typer.Option(help="The channel of rows without one.")] = "email",
    source: Annotated[str, typer.Option(help="Where the list is from.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Import a suppression list; addresses are hashed at once."""
    from keepers.app.customers.suppressions import ImportSuppressions, import_suppressions
    from keepers.cli.present.consent import imported

    request = ImportSuppressions(path=str(file.absolute()), channel=channel, source=source)
    show(call(workspace, import_suppressions, request, "Importing"), as_json, imported)


@suppress.command("export")
def export_suppressions(file: Out, workspace: Folder = None, as_json: Json = False) -> None:
    """Write the list into a CSV file: hashes, for addresses are not kept."""
    from keepers.app.customers.suppressions import ExportSuppressions, export_suppressions
    from keepers.cli.present.tables import fields

    request = ExportSuppressions(path=str(file.absolute()))
    show(call(workspace, export_suppressions, request, "Exporting"), as_json, fields)
