"""Watermarks, lag, readiness, tickerstatus."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from msgspec import Meta, Struct

from keepers.app.workspace.common_fields import Instant, shown_instant
from keepers.app.workspace.desk import WorkspaceApi
from keepers.ingest.collect import Collector
from keepers.model.errors import KeepersError
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events import log as event_log
from keepers.store.migrate import is_current
from keepers.warehouse.load import WATERMARK

log = logging.getLogger("keepers")


def _problem(store: Store, collector: Collector) -> str:
    """Why events cannot be taken; empty when they can."""
    try:
        store.ping()
        if not is_current(store):
            return "The store's schema is not this version's. Start the server again, which upgrades it."
    except KeepersError as error:
        # Whoever asks here has shown no key, and the error names hosts and folders.
        log.warning("Not ready: %s", error.message)
        return "The store does not answer. The server's log says more."
    return "" if collector.is_running else "The collector has stopped. Start the server again."


def _depth(store: Store) -> int:
    with store.read_inbox() as connection:
        return inbox.depth(connection)


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


def health_of(desk: WorkspaceApi) -> Health:
    """Where each stage of the pipeline stands. Blocks."""
    pulse = desk.pulse()
    with desk.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with desk.store.read() as connection:
        logged = event_log.last_seq(connection)
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
        shown_instant(desk.last_tick()),
        pulse.took_s,
        waiting,
        lag,
        logged,
        desk.answerer.warehouse.watermark(WATERMARK),
        max(int(profiles), 0),
        int(events),
    )
