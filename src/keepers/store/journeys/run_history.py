"""What happened in runs, step by step, and why. Rows are only added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, distinct, func, select

from keepers.store.bulk import insert_rows, select_in
from keepers.store.privacy import removed_counts
from keepers.store.schema.journeys import journey_runs, run_history

_encode = msgspec.json.Encoder().encode


class RunHistoryRow(NamedTuple):
    """One thing that happened in a run; `what` and `reason` as in `journeys.run`."""

    run_id: int
    at: datetime
    step: str
    visit: int
    what: str
    reason: str = ""
    data: dict[str, Any] = {}


class Passed(NamedTuple):
    """How often something happened at a step: `runs` counts each run once."""

    step: str
    what: str
    reason: str
    times: int
    runs: int


def append(connection: Connection, rows: Sequence[RunHistoryRow]) -> None:
    """Adds rows, in the transaction that moves the runs."""
    stored = [(*row[:6], _encode(row.data).decode() if row.data else "{}") for row in rows]
    insert_rows(connection, run_history, RunHistoryRow._fields, stored)


def of_runs(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[RunHistoryRow]]:
    """All that happened in each run, in order."""
    query = select(run_history)
    found: dict[int, list[RunHistoryRow]] = {}
    for row in sorted(select_in(connection, query, run_history.c.run_id, run_ids), key=lambda row: row.id):
        happened = RunHistoryRow(
            row.run_id, row.at, row.step, row.visit, row.what, row.reason, msgspec.json.decode(row.data)
        )
        found.setdefault(row.run_id, []).append(happened)
    return found


def counts(connection: Connection, journey: str, version: int | None = None) -> list[Passed]:
    """What happened at the steps of a journey and how often, by step."""
    query = (
        select(
            run_history.c.step,
            run_history.c.what,
            run_history.c.reason,
            func.count(),
            func.count(distinct(journey_runs.c.id)),
        )
        .join(journey_runs, journey_runs.c.id == run_history.c.run_id)
        .where(journey_runs.c.journey == journey)
        .group_by(run_history.c.step, run_history.c.what, run_history.c.reason)
    )
    if version is not None:
        query = query.where(journey_runs.c.version == version)
    found = {(row[0], row[1], row[2]): Passed(*row) for row in connection.execute(query)}
    for what in ("happened", "happened_runs"):
        for row in removed_counts.read(connection, what, journey=journey, version=version):
            key = (row.step, row.status, row.reason)
            passed = found.get(key, Passed(*key, 0, 0))
            times, runs = (row.number, 0) if what == "happened" else (0, row.number)
            found[key] = passed._replace(times=passed.times + times, runs=passed.runs + runs)
    return [found[key] for key in sorted(found)]


def visits(connection: Connection, journey: str, version: int | None = None) -> dict[str, int]:
    """Step → how often runs of a journey came to it."""
    each = (
        select(run_history.c.step, run_history.c.run_id, run_history.c.visit)
        .join(journey_runs, journey_runs.c.id == run_history.c.run_id)
        .where(journey_runs.c.journey == journey, run_history.c.step != "")
        .distinct()
    )
    if version is not None:
        each = each.where(journey_runs.c.version == version)
    found = each.subquery()
    query = select(found.c.step, func.count()).group_by(found.c.step)
    counted = {row[0]: row[1] for row in connection.execute(query)}
    for row in removed_counts.read(connection, "visit", journey=journey, version=version):
        counted[row.step] = counted.get(row.step, 0) + row.number
    return counted
