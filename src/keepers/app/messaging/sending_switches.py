"""Kill switch and breakers."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, shown
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import NotFoundError, nearest
from keepers.store.messages import sending_switches
from keepers.store.messages.sending_switches import Switch


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


_BRAKE, _WARNING = "brake:", "warning:"


def set_sending(workspace: Workspace, progress: Progress, on: bool, reason: str = "") -> Any:
    """The kill switch: nothing that is not handed over yet goes out, or everything goes on."""
    with workspace.store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, on, reason, clock())
    return {"is_sending": on, "reason": reason}


def brakes(workspace: Workspace, progress: Progress) -> Any:
    """The kill switch, and every stream's brake and warning."""
    with workspace.store.read() as connection:
        known = sending_switches.everything(connection)
    sending = known.get(sending_switches.SENDING)
    return {
        "is_sending": sending_switches.is_sending(known),
        "reason": sending.reason if sending is not None else "",
        "since": shown(sending.at) if sending is not None else None,
        "brakes": [_brake(s, _BRAKE) for name, s in sorted(known.items()) if name.startswith(_BRAKE)],
        "warnings": [_brake(s, _WARNING) for name, s in sorted(known.items()) if name.startswith(_WARNING) and s.on],
    }


def release_brake(workspace: Workspace, progress: Progress, stream: str) -> Any:
    """Lets a stream go on; what was sent before counts no more."""
    with workspace.store.begin() as connection:
        known = sending_switches.everything(connection)
        if stream not in sending_switches.braked(known):
            raise NotFoundError(f"No brake holds “{stream}”.{nearest(stream, sending_switches.braked(known))}")
        now = clock()
        sending_switches.set_brake(connection, stream, False, "released by hand", now)
        sending_switches.set_warning(connection, stream, False, "released by hand", now)
    return {"released": stream}


def _brake(switch: Switch, prefix: str) -> dict[str, Any]:
    stream = switch.name.removeprefix(prefix)
    return {"stream": stream, "holds": switch.on, "reason": switch.reason, "at": shown(switch.at)}
