"""Broadcasts over HTTP: what there is, who would get one, starting, stopping, going on, sending again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from msgspec import Meta, Struct

from keepers.api.bodies import body, read
from keepers.api.parameters import AtDesk, Instant, LocaleParameter, json_body_guard
from keepers.api.problems import answers

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


class Standing(Struct, frozen=True):
    variant: str
    status: str
    reason: str
    number: int


class Sending(Struct, frozen=True):
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
    messages: list[Standing]
    winner: str
    winner_by: str
    variants: dict[str, Numbers]
    test_until: Instant | None
    of: Annotated[int | None, Meta(description="The sending it repeats for those who did not open.")]
    trouble: Annotated[str, Meta(description="What keeps it from going on; empty when nothing does.")]


class SendingList(Struct, frozen=True):
    items: Annotated[list[Sending], Meta(description="Newest first.")]


class StartBody(Struct, frozen=True, forbid_unknown_fields=True):
    again: Annotated[bool, Meta(description="Though it was sent before, to everybody anew.")] = False


class ResendBody(Struct, frozen=True, forbid_unknown_fields=True):
    message: Annotated[str, Meta(max_length=64, description="Another message than the one not opened.")] = ""


_AT = "2026-03-02T10:00:00Z"
_SENDING: dict[str, Any] = {
    "id": 3,
    "broadcast": "spring",
    "version": 2,
    "status": "sending",
    "started_at": _AT,
    "finished_at": None,
    "begins": _AT,
    "audience": 1204,
    "taken": 1204,
    "queued": 1180,
    "sent": 400,
    "waiting": 780,
    "skipped": {"no_consent": 24},
    "messages": [{"variant": "", "status": "sent", "reason": "", "number": 400}],
    "winner": "",
    "winner_by": "",
    "variants": {},
    "test_until": None,
    "of": None,
    "trouble": "",
}
_PREVIEW: dict[str, Any] = {
    "broadcast": "spring",
    "as_of": _AT,
    "audience": 1204,
    "would_get": 1180,
    "skipped": {"no_consent": 24},
    "held": 0,
    "tested": {},
    "first": _AT,
    "last": _AT,
    "warnings": [],
}
_LIST: dict[str, Any] = {
    "items": [
        {
            "id": "spring",
            "name": "Spring news",
            "message": "spring",
            "says": "in segment vip",
            "version": 2,
            "status": "sending",
            "started_at": _AT,
            "finished_at": None,
        }
    ]
}
BroadcastId = Annotated[str, PathParameter(description="The broadcast's id.", examples=[Example(value="spring")])]


class Broadcasts(Controller):
    path = "/broadcasts"
    tags = ["broadcasts"]

    @get(summary="List broadcasts", responses=answers(BroadcastList, _LIST, 400), sync_to_thread=True)
    def list_broadcasts(self, desk: AtDesk, locale: LocaleParameter = "en") -> BroadcastList:
        return msgspec.convert({"items": desk.look("broadcasts", {"locale": locale})}, BroadcastList)

    @get(
        "/{id:str}/preview",
        summary="Who would get it, who not, and why",
        description="As a start now would decide. Nothing is sent and nothing is kept.",
        responses=answers(BroadcastPreview, _PREVIEW, 400, 404),
        sync_to_thread=True,
    )
    def preview(self, desk: AtDesk, id: BroadcastId) -> BroadcastPreview:
        return msgspec.convert(desk.look("broadcast-preview", {"name": id}), BroadcastPreview)

    @get(
        "/{id:str}/sendings",
        summary="Its sendings, and what became of the messages",
        responses=answers(SendingList, {"items": [_SENDING]}, 400, 404),
        sync_to_thread=True,
    )
    def sendings(self, desk: AtDesk, id: BroadcastId) -> SendingList:
        return msgspec.convert({"items": desk.look("broadcast-status", {"name": id})}, SendingList)

    @post(
        "/{id:str}/start",
        summary="Start it, or set it for its time",
        responses=answers(Sending, _SENDING, 400, 404, 409, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def start(
        self, desk: AtDesk, id: BroadcastId, data: Annotated[Any, body(StartBody, "How.", {"again": False})]
    ) -> Sending:
        again = read(data, StartBody).again
        return msgspec.convert(desk.run("broadcast-start", {"name": id, "again": again}), Sending)

    @post(
        "/{id:str}/stop",
        summary="Stop it at once",
        description="What is not handed over yet is skipped as `stopped`.",
        responses=answers(Sending, _SENDING, 400, 404),
        status_code=200,
        sync_to_thread=True,
    )
    def stop(self, desk: AtDesk, id: BroadcastId) -> Sending:
        return msgspec.convert(desk.run("broadcast-stop", {"name": id}), Sending)

    @post(
        "/{id:str}/resume",
        summary="Go on from where it was stopped",
        responses=answers(Sending, _SENDING, 400, 404, 409),
        status_code=200,
        sync_to_thread=True,
    )
    def resume(self, desk: AtDesk, id: BroadcastId) -> Sending:
        return msgspec.convert(desk.run("broadcast-resume", {"name": id}), Sending)

    @post(
        "/{id:str}/resend",
        summary="Send again to those who did not open it",
        responses=answers(Sending, _SENDING, 400, 404, 409, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def resend(
        self, desk: AtDesk, id: BroadcastId, data: Annotated[Any, body(ResendBody, "With what.", {"message": ""})]
    ) -> Sending:
        message = read(data, ResendBody).message
        return msgspec.convert(desk.run("broadcast-resend", {"name": id, "message": message}), Sending)
