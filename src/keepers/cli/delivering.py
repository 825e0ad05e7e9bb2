"""`keepers deliver`, and what stops sending: `stop-sending`, `start-sending`, `brakes`."""

from __future__ import annotations

import os
import signal
import socket
from threading import Event
from typing import Annotated

import msgspec
import typer

from keepers.cli import present, present_messages
from keepers.cli.asking import errors
from keepers.cli.main import Folder, Json, app, chosen_folder, give, run
from keepers.model.errors import UserError
from keepers.pipeline.deliver import Delivered
from keepers.running.sending import Sending
from keepers.wire import Workspace, clock

_EVERY_S = 1.0


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
    stopping = Event()
    try:
        done = work(opened, worker or f"{socket.gethostname()}-{os.getpid()}", once=once, stopping=stopping)
    finally:
        opened.close()
    give(msgspec.to_builtins(done), as_json, present_messages.delivered)


def work(workspace: Workspace, worker: str, *, once: bool, stopping: Event) -> Delivered:
    """Delivers until told to stop, or once; what became of the messages.

    Customers are as they were when their messages were decided on: the warehouse belongs to another process. Raises
    ConflictError when, on SQLite, a server or another worker delivers already.
    """
    sending = Sending(workspace, clock, is_apart=True)
    deliverer = sending.deliverer(worker, clock)
    total = Delivered()

    def stop(number: int, frame: object) -> None:
        stopping.set()
        deliverer.stop()

    with deliverer:
        deliverer.open(clock())
        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            if not once:
                errors.print(f"Delivering as “{worker}”. Ctrl-C stops it.", markup=False, soft_wrap=True)
            while not stopping.is_set():
                sending.refresh()
                done = deliverer.run_once(clock())
                for name in total.__struct_fields__:
                    setattr(total, name, getattr(total, name) + getattr(done, name))
                if once and not done.sent:
                    break
                if not done.sent:
                    stopping.wait(_EVERY_S)
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    return total


@app.command("stop-sending")
def stop_sending(
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it stopped.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The kill switch: from now on nothing goes out on any channel, of any worker; what is queued waits."""
    give(run(workspace, "set-sending", on=False, reason=reason), as_json, present.done)


@app.command("start-sending")
def start_sending(workspace: Folder = None, as_json: Json = False) -> None:
    """Let sending go on; what has expired meanwhile is dropped."""
    give(run(workspace, "set-sending", on=True), as_json, present.done)


@app.command()
def brakes(
    action: Annotated[str | None, typer.Argument(help="`release`, or nothing to look.")] = None,
    stream: Annotated[str | None, typer.Argument(help="Whose brake, such as email.marketing.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """What has stopped by itself for too many complaints or bounces, and letting it go on."""
    if action is None:
        give(run(workspace, "brakes"), as_json, present_messages.brakes)
    elif action == "release" and stream:
        give(run(workspace, "release-brake", stream=stream), as_json, present.done)
    else:
        raise UserError("Write `keepers brakes`, or `keepers brakes release STREAM`.", code="invalid")
