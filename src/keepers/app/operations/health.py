"""Health: watermarks, lag and ticker of each stage of the pipeline."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from keepers.app.operations.upkeep import last_failure, put_off_since
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.files.disk_probe import DiskProbe
from keepers.app.workspace.steady_clock import CODE as CLOCK
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.evaluate import last_tick
from keepers.i18n.problems import error_text
from keepers.ingest.imports import import_counts
from keepers.model.errors import problem
from keepers.model.moments import format_instant
from keepers.store.events import inbox
from keepers.store.events import log as event_log
from keepers.warehouse.files import set_aside
from keepers.warehouse.fixed_tables import LOADED


class ReadHealth(Struct, frozen=True, kw_only=True):
    """No parameters."""


class Health(Struct, frozen=True):
    """How far each stage of the pipeline is."""

    status: Annotated[Literal["ok", "behind", "failing"], Meta(description="`failing` when ticks do not succeed.")]
    trouble: Annotated[str, Meta(description="Why ticks fail; empty when they succeed.")]
    is_ticking: Annotated[bool, Meta(description="False when the server was started without ticks.")]
    last_tick: Annotated[datetime | None, Meta(description="The moment up to which everything was answered.")]
    tick_seconds: Annotated[float | None, Meta(description="How long the last tick that did something took.")]
    inbox_requests: Annotated[int, Meta(ge=0, description="Accepted requests that wait to be identified.")]
    lag_seconds: Annotated[float, Meta(ge=0, description="How long the oldest of them has waited.")]
    log_seq: Annotated[int, Meta(ge=0, description="The last event in the log.")]
    loaded_seq: Annotated[int, Meta(ge=0, description="The last of them that is in the warehouse.")]
    profiles: Annotated[int, Meta(ge=0)]
    events: Annotated[int, Meta(ge=0)]


@use_case("GET /health", permission="read")
def read_health(workspace: Workspace, actor: Actor, request: ReadHealth) -> Health:
    """Watermarks and lag"""
    return health_of(workspace, actor.locale)


def health_of(workspace: Workspace, locale: str = "en") -> Health:
    """How far each stage of the pipeline is. Blocks."""
    ticker = workspace.ticker_status()
    with workspace.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with workspace.store.read() as connection:
        logged = event_log.last_seq(connection)
    cursor = workspace.warehouse.cursor()
    row = cursor.execute(
        """
        SELECT (SELECT count(*) FROM profiles) - (SELECT count(*) FROM canon), (SELECT count(*) FROM tracks)
        """
    ).fetchone()
    profiles, events = row or (0, 0)
    lag = max((workspace.clock() - oldest).total_seconds(), 0.0) if oldest is not None else 0.0
    status: Literal["ok", "behind", "failing"] = "failing" if ticker.trouble else "behind" if lag > 60 else "ok"
    return Health(
        status,
        error_text(ticker.trouble, locale).splitlines()[0] if ticker.trouble else "",
        ticker.is_ticking,
        last_tick(workspace.warehouse),
        ticker.took_s,
        waiting,
        lag,
        logged,
        workspace.warehouse.watermark(LOADED),
        max(int(profiles), 0),
        int(events),
    )


def readiness_notes(workspace: Workspace) -> dict[str, str]:
    """Warnings that the readiness probe reports although the server is ready."""
    notes = {}
    failing = workspace.ticker_status().trouble
    if failing is not None:
        # What is wrong with the clock names nothing of the workspace, and nobody is asked who they are here.
        notes = {"clock": failing.message} if failing.code == CLOCK else {"tick": "failing: see /api/v1/health"}
    with workspace.warehouse_gate.inside():
        lost = import_counts.missing(workspace.store, workspace.warehouse)
    if lost:
        notes["warehouse"] = f"{lost} imported rows are missing: see keepers doctor"
    elif workspace.warehouse.path is not None and set_aside(workspace.warehouse.path):
        notes["warehouse"] = "a damaged write-ahead log was set aside: see keepers doctor"
    failure = last_failure(workspace)
    if failure is not None:
        notes["upkeep"] = f"the daily upkeep failed at {failure.at}: see keepers doctor"
    elif (since := put_off_since(workspace)) is not None:
        notes["upkeep"] = f"the daily upkeep has been put off since {format_instant(since)}: see keepers doctor"
    trouble = workspace.part(warehouse_disk).why_not_writable()
    if trouble is not None:
        notes["disk"] = str(trouble)
    return notes


def warehouse_disk(workspace: Workspace) -> DiskProbe:
    """Probes where the warehouse is."""
    folder = (workspace.folder / workspace.settings.warehouse.path).parent
    return DiskProbe(folder, problem("The disk of the warehouse"))
