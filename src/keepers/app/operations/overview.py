"""Figures of the status page."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from keepers.app.operations.health import Health, health_of
from keepers.app.workspace.common_fields import shown_instant
from keepers.app.workspace.desk import WorkspaceApi
from keepers.conditions.definitions import Lifecycle
from keepers.model.texts import text_in
from keepers.reports import moves as measure_moves
from keepers.reports import stages as measure_stages

MOVES_SHOWN = 12


MOVES_WITHIN = timedelta(days=7)


POINTS = 78


_LONGEST = timedelta(weeks=78)


class Named(Struct, frozen=True):
    id: str
    name: str


class StageNow(Struct, frozen=True):
    id: str
    name: str
    profiles: int


class Point(Struct, frozen=True):
    at: str
    profiles: tuple[int, ...]


class Latest(Struct, frozen=True):
    profile: str
    source: int
    target: int
    at: str


class StageMove(Struct, frozen=True):
    source: int
    target: int
    profiles: int


class Shown(Struct, frozen=True):
    """One lifecycle as the page draws it. Stages are named by their place in `stages`, from 0; -1 is none."""

    id: str
    name: str
    of: str
    stages: tuple[StageNow, ...]
    history: tuple[Point, ...]
    moves: tuple[StageMove, ...]
    latest: tuple[Latest, ...]
    moves_since: str


class Overview(Struct, frozen=True):
    workspace: str
    as_of: str
    health: Health
    lifecycles: tuple[Named, ...]
    shown: Shown | None


def status_of(desk: WorkspaceApi, name: str | None, locale: str) -> Overview:
    """What the page shows. Blocks. Raises NotFoundError for a lifecycle that is not in force."""
    standing = desk.standing()
    known = sorted(standing.definitions.lifecycles.values(), key=lambda x: (x.phases_of is not None, x.id))
    lifecycle: Lifecycle | None = None
    if name is not None:
        lifecycle = measure_stages.find_lifecycle(standing, name)
    elif known:
        lifecycle = known[0]
    now = desk.now()
    drawn = _drawn(desk, lifecycle, now, locale) if lifecycle is not None else None
    listed = tuple(Named(x.id, text_in(x.name, locale) or x.id) for x in known)
    return Overview(desk.name, shown_instant(now) or "", health_of(desk), listed, drawn)


def _drawn(desk: WorkspaceApi, lifecycle: Lifecycle, now: datetime, locale: str) -> Shown:
    answerer, standing = desk.answerer, desk.standing()
    names = [text_in(s.name, locale) or s.id for s in lifecycle.stages]
    counts = measure_stages.current(answerer, standing, lifecycle)
    places = {s.id: n for n, s in enumerate(lifecycle.stages)} | {"": -1}
    since = now - MOVES_WITHIN
    recorded = measure_moves.recorded(answerer, standing, lifecycle, since, now, MOVES_SHOWN)
    return Shown(
        lifecycle.id,
        text_in(lifecycle.name, locale) or lifecycle.id,
        lifecycle.of,
        tuple(StageNow(c.stage, name, c.profiles) for c, name in zip(counts, names, strict=True)),
        _history(desk, lifecycle, now),
        tuple(StageMove(places[m.source], places[m.target], m.profiles) for m in recorded.counts),
        tuple(
            Latest(m.profile, places[m.source], places[m.target], shown_instant(m.at) or "") for m in recorded.latest
        ),
        shown_instant(since) or "",
    )


def _history(desk: WorkspaceApi, lifecycle: Lifecycle, now: datetime) -> tuple[Point, ...]:
    """At most `POINTS` points since the first move, a year and a half back at the most."""
    first = measure_stages.first_change(desk.answerer, desk.standing(), lifecycle)
    if first is None or first >= now:
        return ()
    begin = max(first, now - _LONGEST)
    step = max((now - begin) / POINTS, timedelta(minutes=1))
    found = measure_stages.history(
        desk.answerer, desk.standing(), lifecycle, begin, now, f"{int(step.total_seconds())} seconds"
    )
    return tuple(Point(shown_instant(p.at) or "", p.profiles) for p in found)
