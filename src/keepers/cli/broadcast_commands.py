"""Commands about broadcasts: what there is, who would get one, starting, stopping, going on, sending again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keepers.audience.wording import describe
from keepers.cli.answers import Progress, shown
from keepers.model.definitions import text_in
from keepers.model.errors import NotFoundError, nearest
from keepers.model.moments import format_instant
from keepers.pipeline import broadcast_control as control
from keepers.pipeline.broadcast_control import Status
from keepers.wire import Workspace, clock


def broadcasts(workspace: Workspace, progress: Progress, locale: str = "en") -> Any:
    """Every broadcast in force, and how its last sending stands."""
    live = workspace.in_force()
    last = control.newest(workspace.store)
    found = []
    for broadcast in live.playbook.broadcasts.values():
        send = last.get(broadcast.id)
        found.append(
            {
                "id": broadcast.id,
                "name": text_in(broadcast.name, locale),
                "message": broadcast.message,
                "says": describe(broadcast.who, locale),
                "version": live.versions[f"broadcast/{broadcast.id}"],
                "status": send.status if send is not None else "draft",
                "started_at": format_instant(send.started_at) if send is not None else None,
                "finished_at": format_instant(send.finished_at) if send and send.finished_at else None,
            }
        )
    return found


def preview(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Who would get a broadcast that was started now, who would not, and why. Nothing is sent."""
    at = workspace.now()
    found = control.preview(
        workspace.store, workspace.answerer, workspace.in_force(), workspace.standing(at), name, workspace.addresses,
        workspace.secret, at, progress,
    )  # fmt: skip
    return shown(found)


def start(workspace: Workspace, progress: Progress, name: str, again: bool = False) -> Any:
    """Starts a broadcast, or sets it for its time."""
    control.start(workspace.store, workspace.in_force(), name, clock(), again=again)
    return _newest(workspace, name)


def stop(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Stops a sending at once."""
    stopped = control.stop(workspace.store, name, clock())
    return {**_newest(workspace, name), "stopped": stopped}


def resume(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Goes on with a sending that was stopped."""
    queued = control.resume(workspace.store, workspace.in_force(), name, clock())
    return {**_newest(workspace, name), "queued_again": queued}


def resend(workspace: Workspace, progress: Progress, name: str, message: str = "") -> Any:
    """Sends again to those who did not open."""
    control.resend(workspace.store, workspace.in_force(), name, clock(), message)
    return _newest(workspace, name)


def status(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Every sending of a broadcast, newest first, with what became of its messages."""
    known = workspace.in_force().playbook.broadcasts
    found = control.statuses(workspace.store, name)
    if not found and name not in known:
        raise NotFoundError(f"There is no broadcast “{name}” in force.{nearest(name, known)}", name=name)
    return [_told(one) for one in found]


def _newest(workspace: Workspace, name: str) -> dict[str, Any]:
    return _told(control.statuses(workspace.store, name)[0])


def _told(status: Status) -> dict[str, Any]:
    told: dict[str, Any] = shown(status)
    return told


COMMANDS: dict[str, Callable[..., Any]] = {
    "broadcasts": broadcasts,
    "broadcast-preview": preview,
    "broadcast-start": start,
    "broadcast-stop": stop,
    "broadcast-resume": resume,
    "broadcast-resend": resend,
    "broadcast-status": status,
}
