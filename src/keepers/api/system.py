"""How the workspace is doing, over HTTP: watermarks, lag, the last tick."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Controller, get
from msgspec import Meta, Struct

from keepers.api import examples
from keepers.api.desk import Desk
from keepers.api.parameters import AtDesk, Instant, shown
from keepers.api.problems import answers
from keepers.store import inbox, log
from keepers.warehouse.load import WATERMARK


class Health(Struct, frozen=True):
    """Where each stage of the pipeline stands."""

    status: Annotated[Literal["ok", "behind", "failing"], Meta(description="`failing` when ticks do not succeed.")]
    trouble: Annotated[str, Meta(description="What keeps ticks from succeeding; empty when nothing does.")]
    is_ticking: Annotated[bool, Meta(description="False when the server was started without ticks.")]
    last_tick: Annotated[Instant | None, Meta(description="The moment up to which everything was answered.")]
    tick_seconds: Annotated[float | None, Meta(description="How long the last tick that did something took.")]
    inbox_requests: Annotated[int, Meta(ge=0, description="Accepted requests that wait to be identified.")]
    lag_seconds: Annotated[float, Meta(ge=0, description="How long the oldest of them has waited.")]
    log_seq: Annotated[int, Meta(ge=0, description="The last event in the log.")]
    loaded_seq: Annotated[int, Meta(ge=0, description="The last of them that is in the warehouse.")]
    profiles: Annotated[int, Meta(ge=0)]
    events: Annotated[int, Meta(ge=0)]


class System(Controller):
    path = "/health"
    tags = ["health"]

    @get(summary="Watermarks and lag", responses=answers(Health, examples.HEALTH, 400), sync_to_thread=True)
    def health(self, desk: AtDesk) -> Health:
        return health_of(desk)


def health_of(desk: Desk) -> Health:
    """Where each stage of the pipeline stands. Blocks."""
    pulse = desk.pulse()
    with desk.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with desk.store.read() as connection:
        logged = log.last_seq(connection)
    cursor = desk.answerer.warehouse.cursor()
    row = cursor.execute(
        """
        SELECT (SELECT count(*) FROM profiles) - (SELECT count(*) FROM canon), (SELECT count(*) FROM tracks)
        """
    ).fetchone()
    profiles, events = row or (0, 0)
    lag = max((desk.clock() - oldest).total_seconds(), 0.0) if oldest is not None else 0.0
    status: Literal["ok", "behind", "failing"] = "failing" if pulse.trouble else "behind" if lag > 60 else "ok"
    return Health(
        status,
        pulse.trouble,
        pulse.is_ticking,
        shown(desk.last_tick()),
        pulse.took_s,
        waiting,
        lag,
        logged,
        desk.answerer.warehouse.watermark(WATERMARK),
        max(int(profiles), 0),
        int(events),
    )
