"""Changes of runs from outside: a new version, a pause, an end."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from keepers.journeys.definition import Journey
from keepers.journeys.run import PASSED, PAUSED, RESUMED, Run
from keepers.model.reasons import Reason

How = Literal["finish", "move", "exit"]


def ended(run: Run, reason: str) -> Run:
    """The run, ended from outside."""
    return replace(run, status="ended", reason=reason, wake_at=None, state={})


def move(run: Run, old: Journey, new: Journey, now: datetime, how: How) -> Run:
    """A run after a new version is applied: it finishes on the old one, moves to the new, or ends.

    Runs are mapped by step id; the time they have waited counts, their visits stay. A run whose step is gone ends; one
    whose step is of another kind now starts that step, as a new visit.
    """
    if run.status != "active" or how == "finish" or run.version == new.version:
        return run
    if how == "exit":
        return ended(run, str(Reason("new_version")))
    if run.step is None:
        return replace(run, version=new.version, wake_at=now)
    there = new.steps.get(run.step)
    if there is None:
        return ended(replace(run, version=new.version), str(Reason("step_removed")))
    before = old.steps.get(run.step)
    if before is not None and before.head == there.head:
        return replace(run, version=new.version, wake_at=now)
    visits = {**run.visits, run.step: run.visits.get(run.step, 0) + 1}
    return replace(run, version=new.version, visits=visits, since=now, state={PASSED: []}, wake_at=now)


def resume(run: Run, paused_at: datetime, now: datetime) -> Run:
    """A run after a pause that began at `paused_at`: the pause counts for no delay, and nothing that arrived is lost.

    Events of the pause are read at the wake that follows at once. Of a pause that was counted before, only the time
    since is added: an interrupted resume is simply repeated.
    """
    if run.status != "active":
        return run
    counted = datetime.fromisoformat(run.state[RESUMED]) if RESUMED in run.state else run.since
    paused = (now - max(paused_at, run.since, counted)).total_seconds()
    state = {**run.state, PAUSED: run.state.get(PAUSED, 0.0) + max(paused, 0.0), RESUMED: now.isoformat()}
    return replace(run, state=state, wake_at=now)
