"""Upkeep of a workspace: tick, backfill, rebuild, un-merge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.tick import until_idle
from keepers.app.ticked import Ticked
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.steady_clock import require_near
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.backfill import backfill as run_backfill
from keepers.evaluation.evaluate import Evaluated
from keepers.ingest.identify import unmerge as run_unmerge
from keepers.model.moments import parse_instant
from keepers.orchestration.rewind.rewind import rewind as run_rewind
from keepers.warehouse.rebuild import rebuild as run_rebuild


class RunTick(Struct, frozen=True, kw_only=True):
    now: (
        Annotated[str, Meta(description="Tick up to this moment; the present when left out.", max_length=64)] | None
    ) = None
    until_idle: Annotated[bool, Meta(description="Repeat until nothing is left to do.")] = False
    allow_jump: Annotated[
        bool, Meta(description="The moment is right although it is far after the last tick, or far ahead of the clock.")
    ] = False


class RunBackfill(Struct, frozen=True, kw_only=True):
    """No parameters."""


class RunRebuild(Struct, frozen=True, kw_only=True):
    """No parameters."""


class RunRewind(Struct, frozen=True, kw_only=True):
    """No parameters."""


class UnmergeProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName


class Rebuilt(Struct, frozen=True):
    rebuilt: bool


class TakenBack(Struct, frozen=True):
    runs: Annotated[int, Meta(description="Journeys' runs that were put back, or removed.")]
    messages: Annotated[int, Meta(description="Messages that had not left, and were removed.")]
    events: Annotated[int, Meta(description="Rows of the log that were dated back to the present, or removed.")]
    changes: Annotated[int, Meta(description="Changes of segment or stage that were undone.")]


class Unmerged(Struct, frozen=True):
    restored: Annotated[int, Meta(description="Keepers' number of the profile it had been merged into.")]


@use_case(
    "POST /tick",
    permission="manage",
    lock="sequenced",
    tag="maintenance",
    problems=(409, 422),
    is_long=True,
    audit={"now": "plain"},
)
def tick(workspace: Workspace, actor: Actor, request: RunTick, progress: Progress) -> Ticked:
    """Run a tick

    A server ticks by itself; this is for servers that were started without ticks, and for tests.
    """
    at = _moment(workspace, request)
    if request.until_idle:
        return until_idle(workspace.ticker, at, progress)
    return workspace.ticker.tick(at, progress)


def _moment(workspace: Workspace, request: RunTick) -> datetime:
    if request.now is None:
        return workspace.believed_now(is_jump_allowed=request.allow_jump)
    at = parse_instant(request.now, workspace.zone)
    if not request.allow_jump:
        require_near(at, workspace.clock(), timedelta(days=workspace.settings.server.longest_jump_days))
    return at


@use_case("POST /backfill", permission="manage", lock="sequenced", tag="maintenance", problems=(409,), is_long=True)
def backfill(workspace: Workspace, actor: Actor, request: RunBackfill, progress: Progress) -> Evaluated:
    """Backfill history

    Who was in which stage when, since the first event, for everything in force, up to the last tick.
    """
    workspace.ticker.tick(workspace.now(), progress)
    return run_backfill(workspace.evaluator, workspace.active_queries(), workspace.now(), progress)


@use_case("POST /rewind", permission="manage", lock="sequenced", tag="maintenance", problems=(409,), is_long=True)
def rewind(workspace: Workspace, actor: Actor, request: RunRewind, progress: Progress) -> TakenBack:
    """Take back what ticks did ahead of the present

    After a clock that was ahead, or a tick at a wrong moment. Stages, segments, journeys and messages are as they were
    at the present; events stay, dated back to it; messages that have left stay as they are.
    """
    now = workspace.machine_clock()
    workspace.advancer.refresh_index(workspace.active_playbook())
    assert workspace.advancer.index is not None
    done = run_rewind(workspace.store, workspace.warehouse, workspace.advancer.index, now, progress)
    workspace.forget_ticks()
    return TakenBack(done.runs, done.messages, done.events, done.changes)


@use_case("POST /rebuild", permission="manage", lock="sequenced", tag="maintenance", problems=(409,), is_long=True)
def rebuild(workspace: Workspace, actor: Actor, request: RunRebuild, progress: Progress) -> Rebuilt:
    """Rebuild every typed table from the record, sorted by profile"""
    workspace.ticker.load()
    run_rebuild(workspace.warehouse, progress)
    return Rebuilt(True)


@use_case(
    "POST /profiles/{id}/unmerge",
    permission="manage",
    lock="sequenced",
    tag="maintenance",
    problems=(404, 409),
    audit={"id": "profile"},
)
def unmerge(workspace: Workspace, actor: Actor, request: UnmergeProfile) -> Unmerged:
    """Undo a merge of two profiles

    The profile that was merged into another is a profile of its own again.
    """
    restored = run_unmerge(workspace.store, workspace.find_profile(request.id), workspace.clock())
    workspace.ticker.load()
    return Unmerged(restored)
