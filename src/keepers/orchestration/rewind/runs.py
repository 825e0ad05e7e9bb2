"""Runs as they were at a moment, from their histories."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from keepers.journeys.definition import Journey
from keepers.journeys.run import GOAL, PASSED
from keepers.model.moments import parse_instant
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.run_mapping import first_line
from keepers.store.bulk import chunks, select_in
from keepers.store.journeys import run_history, runs
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import MERGED, RunRow
from keepers.store.schema.journeys import entry_rejections, journey_runs
from keepers.store.schema.journeys import run_history as history_table
from keepers.store.schema.messages import messages

UNSENT = ("queued", "held", "skipped")
"""statuses of messages of which nothing has left yet"""
CHUNK = 1_000


def lock_runs(connection: Connection, to: datetime) -> list[int]:
    """Locks the runs that moved after `to` and returns their ids. First of its transaction (see `lock_order`)."""
    entered = select(journey_runs.c.id).where(journey_runs.c.entered_at > to)
    moved = select(history_table.c.run_id).where(history_table.c.at > to)
    ids = sorted(connection.execute(entered.union(moved)).scalars())
    runs.lock(connection, ids)
    return ids


def rewind_runs(connection: Connection, index: JourneyIndex, to: datetime, moved: Sequence[int]) -> None:
    """Puts `moved` runs back to where they were at `to`. They and their messages are locked.

    One that was entered later is removed, to be entered when its time comes. If a message of it has left, it stays,
    as one that is entered at `to`: the keys of its messages keep any from being sent a second time.
    """
    for some in chunks(moved, CHUNK):
        held = runs.get_many(connection, some)
        histories = run_history.of_runs(connection, some)
        have_sent = _with_messages_out(connection, some)
        later = [run for run in held.values() if run.entered_at > to]
        restarted = [_restarted(run, to) for run in later if run.id in have_sent]
        restored = [
            restored
            for run in held.values()
            if run.entered_at <= to
            and (restored := _restored(connection, index, run, histories.get(run.id, []), to)) is not None
        ]
        runs.save(connection, [*restarted, *restored])
        _remove(connection, [run.id for run in later if run.id not in have_sent])
        back = [run.id for run in (*restarted, *restored)]
        connection.execute(delete(history_table).where(history_table.c.run_id.in_(back), history_table.c.at > to))
        connection.execute(
            update(journey_runs)
            .where(journey_runs.c.id.in_(back), journey_runs.c.entered_at > to)
            .values(entered_at=to)
        )
        run_history.append(connection, [first_line(run) for run in restarted])
    connection.execute(delete(entry_rejections).where(entry_rejections.c.at > to))


def _with_messages_out(connection: Connection, ids: Sequence[int]) -> frozenset[int]:
    query = select(messages.c.run_id).where(messages.c.status.not_in(UNSENT)).distinct()
    return frozenset(row.run_id for row in select_in(connection, query, messages.c.run_id, ids))


def _remove(connection: Connection, ids: Collection[int]) -> None:
    connection.execute(delete(history_table).where(history_table.c.run_id.in_(ids)))
    connection.execute(delete(journey_runs).where(journey_runs.c.id.in_(ids)))


def _restarted(run: RunRow, to: datetime) -> RunRow:
    return msgspec.structs.replace(
        run, entered_at=to, since=to, wake_at=to, step=None, visits={}, state={}, status="active", reason="",
        ended_at=None, vars=_without_later_goal(run.vars, to),
    )  # fmt: skip


def _restored(
    connection: Connection, index: JourneyIndex, run: RunRow, history: Sequence[RunHistoryRow], to: datetime
) -> RunRow | None:
    """The run as it was at `to`, due then; None where it is left as it is: merged away, or its step is gone."""
    if any(line.what == "ended" and line.reason == MERGED for line in history):
        return None
    place = _place_at(index.journey(connection, run.journey, run.version), run, history, to)
    if place is None:
        return None
    step, since, visits, state = place
    has_moved = (run.step, run.visits) != (step, visits)
    return msgspec.structs.replace(
        run, step=step, since=since if has_moved else min(run.since, to), visits=visits,
        state=state if has_moved else run.state, wake_at=to, status="active", reason="", ended_at=None,
        vars=_without_later_goal(run.vars, to),
    )  # fmt: skip


def _place_at(
    journey: Journey, run: RunRow, history: Sequence[RunHistoryRow], to: datetime
) -> tuple[str | None, datetime, dict[str, int], dict[str, Any]] | None:
    """Step, since when, visits and state of the step after the lines up to `to`; None when the step is gone."""
    step: str | None = None
    since, visits, state = run.entered_at, dict[str, int](), dict[str, Any]()
    for line in history:
        if line.at > to:
            break
        match line.what:
            case "waits" if (line.step, line.visit) != (step, visits.get(line.step)) or PASSED in state:
                step, since, state = line.step, line.at, {}
                visits[line.step] = line.visit
            case "passed":
                visits[line.step] = line.visit
                target = journey.routes.get(line.step, {}).get(line.data.get("port", ""))
                if target is None:
                    return None
                visits[target] = visits.get(target, 0) + 1
                step, since, state = target, line.at, {PASSED: []}
            case _:
                pass
    return (step, since, visits, state) if step is None or step in journey.steps else None


def _without_later_goal(variables: Mapping[str, Any], to: datetime) -> dict[str, Any]:
    """Answers of webhooks and arms stay: the calls were made, and an arm follows from the customer."""
    is_later = GOAL in variables and parse_instant(variables[GOAL]) > to
    return {name: value for name, value in variables.items() if not (is_later and name == GOAL)}
