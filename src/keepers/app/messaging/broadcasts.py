"""Broadcasts: list, preview, start, stop, resume, resend."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import RequestedLocale
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.broadcasts import control
from keepers.broadcasts.progress import AudiencePreview, SendingStatus
from keepers.conditions.wording import describe
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.model.fields import text_in
from keepers.model.message import SendStatus

S = TypeVar("S", bound=SendingStatus)
BroadcastAudience: TypeAlias = AudiencePreview
BroadcastSending: TypeAlias = SendingStatus
BroadcastId = Annotated[str, Meta(description="The broadcast's id.", examples=["spring"])]


class ListBroadcasts(Struct, frozen=True, kw_only=True):
    locale: RequestedLocale = "en"


class PreviewBroadcast(Struct, frozen=True, kw_only=True):
    id: BroadcastId


class ListSendings(Struct, frozen=True, kw_only=True):
    id: BroadcastId


class StartBroadcast(Struct, frozen=True, kw_only=True):
    """How."""

    id: BroadcastId
    again: Annotated[bool, Meta(description="Send to everybody again although it was sent before.")] = False


class StopBroadcast(Struct, frozen=True, kw_only=True):
    id: BroadcastId


class ResumeBroadcast(Struct, frozen=True, kw_only=True):
    id: BroadcastId


class ResendBroadcast(Struct, frozen=True, kw_only=True):
    """With what."""

    id: BroadcastId
    message: Annotated[str, Meta(max_length=64, description="Another message than the one not opened.")] = ""


class BroadcastSummary(Struct, frozen=True):
    """A broadcast in force."""

    id: str
    name: str
    message: str
    says: Annotated[str, Meta(description="Its audience as a sentence.")]
    version: int
    status: Annotated[SendStatus | Literal["draft"], Meta(description="Of its last sending; `draft` without one.")]
    started_at: datetime | None
    finished_at: datetime | None


class BroadcastList(Struct, frozen=True):
    items: list[BroadcastSummary]


class SendingList(Struct, frozen=True):
    items: Annotated[list[SendingStatus], Meta(description="Newest first.")]


class StoppedSending(SendingStatus, frozen=True, kw_only=True):
    """A sending that was stopped."""

    stopped: Annotated[int, Meta(ge=0, description="Messages that were not handed over yet and will not be.")]


class ResumedSending(SendingStatus, frozen=True, kw_only=True):
    """A sending that goes on."""

    queued_again: Annotated[int, Meta(ge=0, description="Messages that are queued again.")]


@use_case("GET /broadcasts", permission="read")
def list_broadcasts(workspace: Workspace, actor: Actor, request: ListBroadcasts) -> BroadcastList:
    """List broadcasts

    Every one in force, with the status of its last sending.
    """
    live = workspace.active_playbook()
    last = control.newest(workspace.store)
    found = []
    for broadcast in live.playbook.broadcasts.values():
        send = last.get(broadcast.id)
        found.append(
            BroadcastSummary(
                broadcast.id,
                text_in(broadcast.name, request.locale),
                broadcast.message,
                describe(broadcast.who, request.locale),
                live.versions[f"broadcast/{broadcast.id}"],
                send.status if send is not None else "draft",
                send.started_at if send is not None else None,
                send.finished_at if send is not None else None,
            )
        )
    return BroadcastList(found)


@use_case("GET /broadcasts/{id}/preview", permission="read", problems=(404, 422), is_long=True)
def preview_broadcast(
    workspace: Workspace, actor: Actor, request: PreviewBroadcast, progress: Progress
) -> AudiencePreview:
    """Its audience: who would get it, who would not, and why

    As a start now would decide. Nothing is sent and nothing is kept.
    """
    at = workspace.now()
    return control.preview(
        workspace.store, workspace.evaluator, workspace.active_playbook(), workspace.active_queries(at), request.id,
        workspace.addresses, workspace.secret, at, progress, actor.locale,
    )  # fmt: skip


@use_case("GET /broadcasts/{id}/sendings", permission="read", problems=(404,))
def list_sendings(workspace: Workspace, actor: Actor, request: ListSendings) -> SendingList:
    """Its sendings, and the status of their messages"""
    known = workspace.active_playbook().playbook.broadcasts
    found = control.statuses(workspace.store, request.id, actor.locale)
    if not found and request.id not in known:
        raise NotFoundError(
            problem("There is no broadcast “{name}” in force.", near=nearest(request.id, known), name=request.id)
        )
    return SendingList(found)


@use_case(
    "POST /broadcasts/{id}/start", permission="send", lock="locked", problems=(404, 409, 422), audit={"id": "target"}
)
def start_broadcast(workspace: Workspace, actor: Actor, request: StartBroadcast) -> SendingStatus:
    """Start it, or schedule it for its time"""
    control.start(workspace.store, workspace.active_playbook(), request.id, workspace.clock(), again=request.again)
    return _newest(workspace, actor, request.id)


@use_case("POST /broadcasts/{id}/stop", permission="send", lock="locked", problems=(404,), audit={"id": "target"})
def stop_broadcast(workspace: Workspace, actor: Actor, request: StopBroadcast) -> StoppedSending:
    """Stop it at once

    What is not handed over yet is skipped as `stopped`.
    """
    stopped = control.stop(workspace.store, request.id, workspace.clock())
    return _with(StoppedSending, _newest(workspace, actor, request.id), stopped=stopped)


@use_case(
    "POST /broadcasts/{id}/resume", permission="send", lock="locked", problems=(404, 409, 422), audit={"id": "target"}
)
def resume_broadcast(workspace: Workspace, actor: Actor, request: ResumeBroadcast) -> ResumedSending:
    """Resume it from where it was stopped"""
    queued = control.resume(workspace.store, workspace.active_playbook(), request.id, workspace.clock())
    return _with(ResumedSending, _newest(workspace, actor, request.id), queued_again=queued)


@use_case(
    "POST /broadcasts/{id}/resend",
    permission="send",
    lock="locked",
    problems=(404, 409, 422),
    audit={"id": "target", "message": "plain"},
)
def resend_broadcast(workspace: Workspace, actor: Actor, request: ResendBroadcast) -> SendingStatus:
    """Send again to those who did not open it"""
    control.resend(workspace.store, workspace.active_playbook(), request.id, workspace.clock(), request.message)
    return _newest(workspace, actor, request.id)


def _newest(workspace: Workspace, actor: Actor, name: str) -> SendingStatus:
    return control.statuses(workspace.store, name, actor.locale)[0]


def _with(kind: type[S], status: SendingStatus, **more: Any) -> S:
    """A status as the kind that says more."""
    return kind(**msgspec.structs.asdict(status), **more)
