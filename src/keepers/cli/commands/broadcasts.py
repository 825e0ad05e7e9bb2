"""`keepers broadcast`: list, preview, start, stop, resume and send again."""

from __future__ import annotations

from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, show

broadcast = typer.Typer(help="Broadcasts: one message to an audience.", no_args_is_help=True)
app.add_typer(broadcast, name="broadcast")
Name = Annotated[str, typer.Argument(help="The broadcast's id.")]


@broadcast.command("list")
def list_broadcasts(workspace: Folder = None, as_json: Json = False) -> None:
    """Every broadcast, with the status of its last sending."""
    from keepers.app.messaging.broadcasts import ListBroadcasts, list_broadcasts
    from keepers.cli.present.broadcasts import broadcasts

    show(call(workspace, list_broadcasts, ListBroadcasts()), as_json, broadcasts)


@broadcast.command("preview")
def preview_broadcast(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Who would get it, who would not, and why. Nothing is sent."""
    from keepers.app.messaging.broadcasts import PreviewBroadcast, preview_broadcast
    from keepers.cli.present.broadcasts import preview

    show(call(workspace, preview_broadcast, PreviewBroadcast(id=name), "Counting"), as_json, preview)


@broadcast.command("start")
def start_broadcast(
    name: Name,
    again: Annotated[
        bool, typer.Option("--again", help="Send to everybody again although it was sent before.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Without showing the count and asking for confirmation.")
    ] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Start it, or schedule it for its time, after showing who would get it."""
    from keepers.app.messaging.broadcasts import PreviewBroadcast, StartBroadcast, preview_broadcast, start_broadcast
    from keepers.cli.present.broadcasts import preview, sending

    if not yes and not as_json:
        found = call(workspace, preview_broadcast, PreviewBroadcast(id=name), "Counting")
        preview(found)
        typer.confirm(f"Send to {found.would_get:,} customers?", abort=True)
    show(call(workspace, start_broadcast, StartBroadcast(id=name, again=again)), as_json, sending)


@broadcast.command("stop")
def stop_broadcast(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Stop it at once: messages that are not handed over yet are not sent."""
    from keepers.app.messaging.broadcasts import StopBroadcast, stop_broadcast
    from keepers.cli.present.broadcasts import sending

    show(call(workspace, stop_broadcast, StopBroadcast(id=name)), as_json, sending)


@broadcast.command("resume")
def resume_broadcast(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Go on from where it was stopped."""
    from keepers.app.messaging.broadcasts import ResumeBroadcast, resume_broadcast
    from keepers.cli.present.broadcasts import sending

    show(call(workspace, resume_broadcast, ResumeBroadcast(id=name)), as_json, sending)


@broadcast.command("resend")
def resend_broadcast(
    name: Name,
    message: Annotated[str, typer.Option(help="Another message than the one they did not open.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Send again to those who did not open it."""
    from keepers.app.messaging.broadcasts import ResendBroadcast, resend_broadcast
    from keepers.cli.present.broadcasts import sending

    show(call(workspace, resend_broadcast, ResendBroadcast(id=name, message=message)), as_json, sending)


@broadcast.command("status")
def broadcast_status(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """How far each of its sendings has come, and what became of the messages."""
    from keepers.app.messaging.broadcasts import ListSendings, list_sendings
    from keepers.cli.present.broadcasts import sendings

    show(call(workspace, list_sendings, ListSendings(id=name)), as_json, sendings)
