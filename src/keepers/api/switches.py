"""What stops sending, over HTTP: the kill switch and the brakes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from msgspec import Meta, Struct

from keepers.api import examples_sending as examples
from keepers.api.bodies import body, read
from keepers.api.parameters import AtDesk, Instant, json_body_guard
from keepers.api.problems import answers


class Brake(Struct, frozen=True):
    """A stream's brake (or warning): on for too many complaints or hard bounces."""

    stream: Annotated[str, Meta(description="Such as `email.marketing`.")]
    holds: bool
    reason: str
    at: Instant


class SendingState(Struct, frozen=True):
    is_sending: bool
    reason: str
    since: Instant | None
    brakes: list[Brake]
    warnings: list[Brake]


class Switched(Struct, frozen=True):
    is_sending: bool
    reason: str


class Released(Struct, frozen=True):
    released: str


class StopBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=500, description="Why, for whoever finds it stopped.")] = ""


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
