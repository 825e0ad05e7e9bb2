"""Runs as rows: how a run is stored, the first line of its history, and its events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from keepers.journeys.run import Run, trust_of_run
from keepers.store.events.log import SystemEvent
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import RunRow
from keepers.warehouse.profile_lookup import ProfileSnapshot


def run_of(row: RunRow, profile: ProfileSnapshot | None = None) -> Run:
    """A stored run as journeys know it, with its customer's present zone where the customer is given."""
    bucket_key, zone = (profile.bucket_key, profile.zone) if profile is not None else ("", row.zone)
    return Run(
        row.id, row.journey, row.version, row.profile_id, bucket_key, zone, row.entered_at, row.step,
        row.since, row.visits, row.vars, row.trigger, row.state, row.wake_at, row.status, row.reason, row.hops,
    )  # fmt: skip


def row_of(run: Run, before: RunRow, at: datetime, seen_seq: int) -> RunRow:
    """The row of a run that moved at an instant. `seen_seq` is that of the last event it appended itself, or 0."""
    return msgspec.structs.replace(
        before,
        step=run.step,
        since=run.since,
        visits=run.visits,
        vars=run.vars,
        state=run.state,
        wake_at=run.wake_at,
        status=run.status,
        reason=run.reason,
        zone=run.zone,
        seen_seq=max(seen_seq, before.seen_seq),
        ended_at=at if run.status == "ended" else None,
    )


def first_line(run: RunRow) -> RunHistoryRow:
    """The first line of a run's history."""
    data: dict[str, Any] = {name: run.trigger[name] for name in ("event", "seq") if name in run.trigger}
    return RunHistoryRow(run.id, run.entered_at, run.step or "", 1, "entered", "", data)


def entered(run: RunRow) -> SystemEvent:
    """A run's beginning as an event."""
    about = {"journey": run.journey, "version": run.version}
    trust = trust_of_run(run.vars)
    return SystemEvent(run.profile_id, "Journey Entered", run.entered_at, about, hops=run.hops, trust=trust)


def end_events(run: Run, what: str, reason: str, at: datetime) -> list[SystemEvent]:
    """The events of a goal or an end. A goal that ends the run is both."""
    about = {"journey": run.journey, "version": run.version}
    hops, trust = run.hops + 1, run.trust
    found = []
    if what == "goal" or reason == "goal":
        found.append(SystemEvent(run.profile_id, "Journey Goal Reached", at, about, hops=hops, trust=trust))
    if what == "ended":
        found.append(
            SystemEvent(run.profile_id, "Journey Exited", at, {**about, "reason": reason}, hops=hops, trust=trust)
        )
    return found
