"""`keepers deliver`, and what stops sending: `stop-sending`, `start-sending`, `brakes`."""

from __future__ import annotations

import os
import socket
from threading import Event
from typing import Annotated

import msgspec
import typer

from keepers.app.messaging.delivery import work
from keepers.app.workspace.workspace import Workspace
from keepers.cli.common import Folder, Json, app, chosen_folder, give, run
from keepers.cli.present import messages, operations
from keepers.cli.progress import errors
from keepers.model.errors import UserError


@app.command()
def deliver(
    once: Annotated[bool, typer.Option("--once", help="Send what is due now, then end.")] = False,
    worker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The worker's name, the same after a restart; else host and process."),
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Send what is queued, apart from `keepers serve`: as many as are needed on PostgreSQL, one at a time on SQLite."""
    opened = Workspace.open(chosen_folder(workspace))
    name = worker or f"{socket.gethostname()}-{os.getpid()}"

    def started() -> None:
        errors.print(f"Delivering as “{name}”. Ctrl-C stops it.", markup=False, soft_wrap=True)

    try:
        done = work(opened, name, once=once, stopping=Event(), on_started=started)
    finally:
        opened.close()
    give(msgspec.to_builtins(done), as_json, messages.delivered)


@app.command("stop-sending")
def stop_sending(
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it stopped.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The kill switch: from now on nothing goes out on any channel, of any worker; what is queued waits."""
    give(run(workspace, "set-sending", on=False, reason=reason), as_json, operations.done)


@app.command("start-sending")
def start_sending(workspace: Folder = None, as_json: Json = False) -> None:
    """Let sending go on; what has expired meanwhile is dropped."""
    give(run(workspace, "set-sending", on=True), as_json, operations.done)


@app.command()
def brakes(
    action: Annotated[str | None, typer.Argument(help="`release`, or nothing to look.")] = None,
    stream: Annotated[str | None, typer.Argument(help="Whose brake, such as email.marketing.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """What has stopped by itself for too many complaints or bounces, and letting it go on."""
    if action is None:
        give(run(workspace, "brakes"), as_json, messages.brakes)
    elif action == "release" and stream:
        give(run(workspace, "release-brake", stream=stream), as_json, operations.done)
    else:
        raise UserError("Write `keepers brakes`, or `keepers brakes release STREAM`.", code="invalid")
