"""What stops sending: the kill switch for everything, and the circuit breakers of streams."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.contact.breakers import stream_of
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.store.messages import sending_switches
from keepers.store.messages.sending_switches import RELEASED, Switch

_BREAKER, _WARNING = "brake:", "warning:"


class ReadSending(Struct, frozen=True, kw_only=True):
    """No parameters."""


class StopSending(Struct, frozen=True, kw_only=True):
    """Why."""

    reason: Annotated[str, Meta(max_length=500, description="The reason, shown while it is stopped.")] = ""


class StartSending(Struct, frozen=True, kw_only=True):
    """No parameters."""


class ReleaseBreaker(Struct, frozen=True, kw_only=True):
    stream: Annotated[str, Meta(description="The stream, as listed.", examples=["email.marketing"])]


class Breaker(Struct, frozen=True):
    """A stream's circuit breaker (or warning): on for too many complaints or hard bounces."""

    stream: Annotated[str, Meta(description="Such as `email.marketing`.")]
    holds: bool
    reason: str
    at: datetime


class SendingState(Struct, frozen=True):
    """The kill switch, and every stream's circuit breaker and warning."""

    is_sending: bool
    reason: str
    since: datetime | None
    breakers: list[Breaker] = field(name="brakes")
    warnings: list[Breaker]


class Switched(Struct, frozen=True):
    is_sending: bool
    reason: str


class Released(Struct, frozen=True):
    released: str


@use_case("GET /sending", permission="read", tag="messages")
def read_sending(workspace: Workspace, actor: Actor, request: ReadSending) -> SendingState:
    """Whether anything is stopped"""
    with workspace.store.read() as connection:
        known = sending_switches.everything(connection)
    sending = known.get(sending_switches.SENDING)
    return SendingState(
        sending_switches.is_sending(known),
        sending.reason if sending is not None else "",
        sending.at if sending is not None else None,
        [_breaker(s, _BREAKER) for name, s in sorted(known.items()) if name.startswith(_BREAKER)],
        [_breaker(s, _WARNING) for name, s in sorted(known.items()) if name.startswith(_WARNING) and s.on],
    )


@use_case("POST /sending/stop", permission="send", lock="locked", tag="messages", audit={"reason": "plain"})
def stop_sending(workspace: Workspace, actor: Actor, request: StopSending) -> Switched:
    """The kill switch: stop all sending

    At once, on every channel and by every worker. What is queued waits.
    """
    return _switch(workspace, False, request.reason)


@use_case("POST /sending/start", permission="send", lock="locked", tag="messages")
def start_sending(workspace: Workspace, actor: Actor, request: StartSending) -> Switched:
    """Resume sending

    What has expired meanwhile is dropped.
    """
    return _switch(workspace, True, "")


@use_case(
    "POST /sending/brakes/{stream}/release",
    permission="send",
    lock="locked",
    tag="messages",
    problems=(404,),
    audit={"stream": "target"},
)
def release_breaker(workspace: Workspace, actor: Actor, request: ReleaseBreaker) -> Released:
    """Release a stream's circuit breaker or warning

    What was sent before is no longer counted. A stream that went out slowly goes out as before.
    """
    stream = request.stream
    with workspace.store.begin() as connection:
        known = sending_switches.everything(connection)
        stopped_or_warned = sending_switches.open_breakers(known) | {
            stream_of(channel, kind) for channel, kind in sending_switches.warned_streams(known)
        }
        if stream not in stopped_or_warned:
            raise NotFoundError(
                problem(
                    "No circuit breaker has stopped “{stream}”, and there is no warning about it.",
                    near=nearest(stream, stopped_or_warned),
                    stream=stream,
                )
            )
        now = workspace.clock()
        sending_switches.set_breaker(connection, stream, False, RELEASED, now)
        sending_switches.set_warning(connection, stream, False, RELEASED, now)
    return Released(stream)


def _switch(workspace: Workspace, is_on: bool, reason: str) -> Switched:
    with workspace.store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, is_on, reason, workspace.clock())
    return Switched(is_on, reason)


def _breaker(switch: Switch, prefix: str) -> Breaker:
    return Breaker(switch.name.removeprefix(prefix), switch.on, switch.reason, switch.at)
