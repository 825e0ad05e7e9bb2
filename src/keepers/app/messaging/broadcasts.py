"""Commands about broadcasts: what there is, who would get one, starting, stopping, going on, sending again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, shown
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.broadcasts import control
from keepers.broadcasts.control import SendingStatus
from keepers.conditions.wording import describe
from keepers.model.errors import NotFoundError, nearest
from keepers.model.moments import format_instant
from keepers.model.texts import text_in


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


def _told(status: SendingStatus) -> dict[str, Any]:
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


Numbers = dict[str, int]


class BroadcastSummary(Struct, frozen=True):
    """A broadcast in force."""

    id: str
    name: str
    message: str
    says: Annotated[str, Meta(description="Its audience as a sentence.")]
    version: int
    status: Annotated[str, Meta(description="Of its last sending; `draft` when there was none.")]
    started_at: Instant | None
    finished_at: Instant | None


class BroadcastList(Struct, frozen=True):
    items: list[BroadcastSummary]


class BroadcastPreview(Struct, frozen=True):
    """Who would get a broadcast that was started now, and who would not."""

    broadcast: str
    as_of: Instant
    audience: int
    would_get: int
    skipped: Annotated[Numbers, Meta(description="Reason → customers.")]
    held: Annotated[int, Meta(description="Of `would_get`, put off by quiet hours.")]
    tested: Annotated[Numbers, Meta(description="Variant → customers of the test's sample.")]
    first: Instant | None
    last: Instant | None
    warnings: list[str]


class BroadcastStatus(Struct, frozen=True):
    variant: str
    status: str
    reason: str
    number: int


class BroadcastSending(Struct, frozen=True):
    """One sending of a broadcast, and how far it has come."""

    id: int
    broadcast: str
    version: int
    status: Annotated[
        str,
        Meta(description="scheduled, queueing, testing, releasing, sending, finished, stopping or stopped."),
    ]
    started_at: Instant
    finished_at: Instant | None
    begins: Annotated[Instant, Meta(description="When its audience is taken down.")]
    audience: int
    taken: Annotated[int, Meta(description="Of the audience, decided on so far.")]
    queued: int
    sent: int
    waiting: int
    skipped: Numbers
    messages: list[BroadcastStatus]
    winner: str
    winner_by: str
    variants: dict[str, Numbers]
    test_until: Instant | None
    of: Annotated[int | None, Meta(description="The sending it repeats for those who did not open.")]
    trouble: Annotated[str, Meta(description="What keeps it from going on; empty when nothing does.")]


class SendingList(Struct, frozen=True):
    items: Annotated[list[BroadcastSending], Meta(description="Newest first.")]


class StartBody(Struct, frozen=True, forbid_unknown_fields=True):
    again: Annotated[bool, Meta(description="Though it was sent before, to everybody anew.")] = False


class ResendBody(Struct, frozen=True, forbid_unknown_fields=True):
    message: Annotated[str, Meta(max_length=64, description="Another message than the one not opened.")] = ""
