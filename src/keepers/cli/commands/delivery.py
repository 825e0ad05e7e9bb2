"""`keepers deliver`, and what stops sending: `stop-sending`, `start-sending`, `breakers`."""

from __future__ import annotations

import os
import socket
from threading import Event
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, chosen_folder, show
from keepers.model.errors import UserError


@app.command("deliver")
def deliver_command(
    once: Annotated[bool, typer.Option("--once", help="Send what is due now, then end.")] = False,
    worker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The worker's name, the same after a restart; else host and process."),
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Send what is queued, apart from `keepers serve`: as many as are needed on PostgreSQL, one at a time on SQLite."""
    from keepers.app.messaging.delivery import deliver
    from keepers.app.workspace.workspace import Workspace
    from keepers.cli.present.messages import delivered
    from keepers.cli.progress import errors

    opened = Workspace.open(chosen_folder(workspace))
    name = worker or f"{socket.gethostname()}-{os.getpid()}"

    def started() -> None:
        errors.print(f"Delivering as “{name}”. Ctrl-C stops it.", markup=False, soft_wrap=True)

    try:
        done = deliver(opened, name, once=once, stopping=Event(), on_started=started)
    finally:
        opened.close()
    show(done, as_json, delivered)


@app.command("stop-sending")
def stop_sending(
    reason: Annotated[str, typer.Option(help="The reason, shown while it is stopped.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The kill switch: stop sending on every channel and worker; queued messages wait."""
    from keepers.app.messaging.sending_switches import StopSending, stop_sending
    from keepers.cli.present.tables import fields

    show(call(workspace, stop_sending, StopSending(reason=reason)), as_json, fields)


@app.command("start-sending")
def start_sending(workspace: Folder = None, as_json: Json = False) -> None:
    """Resume sending; messages that have expired meanwhile are dropped."""
    from keepers.app.messaging.sending_switches import StartSending, start_sending
    from keepers.cli.present.tables import fields

    show(call(workspace, start_sending, StartSending()), as_json, fields)


@app.command()
def breakers(
    action: Annotated[str | None, typer.Argument(help="`release`; without it they are shown.")] = None,
    stream: Annotated[str | None, typer.Argument(help="A stream that is stopped, such as email.marketing.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Circuit breakers: streams stopped for too many complaints or bounces, and releasing them."""
    from keepers.app.messaging.sending_switches import ReadSending, ReleaseBreaker, read_sending, release_breaker
    from keepers.cli.present.messages import sending
    from keepers.cli.present.tables import fields

    if action is None:
        show(call(workspace, read_sending, ReadSending()), as_json, sending)
    elif action == "release" and stream:
        show(call(workspace, release_breaker, ReleaseBreaker(stream=stream)), as_json, fields)
    else:
        raise UserError("Write `keepers breakers`, or `keepers breakers release STREAM`.", code="invalid")
