"""Broadcasts over HTTP: what there is, who would get one, starting, stopping, going on, sending again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from keepers.app.messaging.broadcasts import (
    BroadcastList,
    BroadcastPreview,
    BroadcastSending,
    ResendBody,
    SendingList,
    StartBody,
)
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import AtDesk, LocaleParameter, json_body_guard
from keepers.http.common.problems import answers

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
        responses=answers(BroadcastSending, _SENDING, 400, 404, 409, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def start(
        self, desk: AtDesk, id: BroadcastId, data: Annotated[Any, body(StartBody, "How.", {"again": False})]
    ) -> BroadcastSending:
        again = read(data, StartBody).again
        return msgspec.convert(desk.run("broadcast-start", {"name": id, "again": again}), BroadcastSending)

    @post(
        "/{id:str}/stop",
        summary="Stop it at once",
        description="What is not handed over yet is skipped as `stopped`.",
        responses=answers(BroadcastSending, _SENDING, 400, 404),
        status_code=200,
        sync_to_thread=True,
    )
    def stop(self, desk: AtDesk, id: BroadcastId) -> BroadcastSending:
        return msgspec.convert(desk.run("broadcast-stop", {"name": id}), BroadcastSending)

    @post(
        "/{id:str}/resume",
        summary="Go on from where it was stopped",
        responses=answers(BroadcastSending, _SENDING, 400, 404, 409),
        status_code=200,
        sync_to_thread=True,
    )
    def resume(self, desk: AtDesk, id: BroadcastId) -> BroadcastSending:
        return msgspec.convert(desk.run("broadcast-resume", {"name": id}), BroadcastSending)

    @post(
        "/{id:str}/resend",
        summary="Send again to those who did not open it",
        responses=answers(BroadcastSending, _SENDING, 400, 404, 409, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def resend(
        self, desk: AtDesk, id: BroadcastId, data: Annotated[Any, body(ResendBody, "With what.", {"message": ""})]
    ) -> BroadcastSending:
        message = read(data, ResendBody).message
        return msgspec.convert(desk.run("broadcast-resend", {"name": id, "message": message}), BroadcastSending)
