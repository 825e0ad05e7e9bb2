"""What stops sending, over HTTP: the kill switch and the brakes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from keepers.app.messaging.sending_switches import Released, SendingState, StopBody, Switched
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import AtDesk, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples

Stream = Annotated[
    str, PathParameter(description="Whose brake, as listed.", examples=[Example(value="email.marketing")])
]


class Switches(Controller):
    path = "/sending"
    tags = ["messages"]

    @get(
        summary="Whether anything is stopped",
        responses=answers(SendingState, examples.SENDING_STATE, 400),
        sync_to_thread=True,
    )
    def state(self, desk: AtDesk) -> SendingState:
        return msgspec.convert(desk.look("brakes", {}), SendingState)

    @post(
        "/stop",
        summary="The kill switch: stop all sending",
        description="At once, on every channel and of every worker. What is queued waits.",
        responses=answers(Switched, {"is_sending": False, "reason": "a wrong price"}, 400, 413, 415),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def stop(self, desk: AtDesk, data: Annotated[Any, body(StopBody, "Why.", {"reason": "a wrong price"})]) -> Switched:
        return msgspec.convert(desk.run("set-sending", {"on": False, "reason": read(data, StopBody).reason}), Switched)

    @post(
        "/start",
        summary="Let sending go on",
        responses=answers(Switched, {"is_sending": True, "reason": ""}, 400),
        status_code=200,
        sync_to_thread=True,
    )
    def start(self, desk: AtDesk) -> Switched:
        return msgspec.convert(desk.run("set-sending", {"on": True}), Switched)

    @post(
        "/brakes/{stream:str}/release",
        summary="Let a stream go on",
        description="What was sent before counts no more.",
        responses=answers(Released, {"released": "email.marketing"}, 400, 404),
        status_code=200,
        sync_to_thread=True,
    )
    def release(self, desk: AtDesk, stream: Stream) -> Released:
        return msgspec.convert(desk.run("release-brake", {"stream": stream}), Released)
