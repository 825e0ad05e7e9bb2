"""Control of the runs of a journey: a new version, a pause, an enrolment by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from keepers.journeys import version_change
from keepers.journeys.definition import Journey
from keepers.journeys.run import Run
from keepers.journeys.version_change import How
from keepers.model.errors import ConflictError, NotFoundError, nearest, problem
from keepers.model.reasons import Reason
from keepers.orchestration.effects import request_entries
from keepers.orchestration.journey_index import stored_journey
from keepers.orchestration.run_mapping import row_of, run_of
from keepers.orchestration.work_queue import Enrolment
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store.database import Store
from keepers.store.journeys import journey_states, run_history, runs
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import messages

CHUNK = 500
REMOVED = str(Reason("journey_removed"))
BY_HAND = str(Reason("removed_by_hand"))
_MOST_TRIES = 5


def publish(store: Store, live: ActivePlaybook, zone: ZoneInfo, name: str, how: How, now: datetime) -> int:
    """Handles the runs on older versions of a journey that was applied again; how many were changed.

    `finish` leaves them on theirs, `move` maps them by the step's id, `exit` ends them. The runs of a journey that was
    removed from the playbook end.
    """
    journey = live.playbook.journeys.get(name)
    version = live.versions.get(f"journey/{name}", 0)
    if journey is not None and how == "finish":
        return 0
    new = msgspec.structs.replace(journey, version=version) if journey is not None else None
    known: dict[int, Journey] = {}

    def change(connection: Connection, row: RunRow) -> RunRow:
        if new is None:
            return _row_if_changed(row, version_change.ended(run_of(row), REMOVED), now)
        if row.version not in known:
            known[row.version] = stored_journey(connection, name, row.version, zone)
        return _row_if_changed(row, version_change.move(run_of(row), known[row.version], new, now, how), now)

    return _each(store, name, change, now)


def pause(store: Store, live: ActivePlaybook, name: str, now: datetime, reason: str = "") -> None:
    """Pauses a journey: its runs stay at their steps, and new runs stand before the first."""
    _require(live, name)
    with store.begin() as connection:
        if name in journey_states.paused(connection):
            raise ConflictError(problem("The journey “{name}” is paused already.", name=name))
        journey_states.put(connection, name, True, now, reason)


def resume(store: Store, live: ActivePlaybook, name: str, now: datetime) -> int:
    """Resumes a journey: the pause counts for no delay, and nothing that arrived meanwhile is lost."""
    _require(live, name)
    with store.read() as connection:
        state = journey_states.everything(connection).get(name)
    if state is None or not state.is_paused:
        raise ConflictError(problem("The journey “{name}” is not paused.", name=name))
    done = _each(
        store, name, lambda _, row: _row_if_changed(row, version_change.resume(run_of(row), state.at, now), now), now
    )
    with store.begin() as connection:
        journey_states.put(connection, name, False, now)
    return done


def enrol(
    store: Store,
    live: ActivePlaybook,
    name: str,
    profile_ids: Sequence[int],
    now: datetime,
    data: dict[str, object] | None = None,
    cause: str = "api",
) -> int:
    """Requests entries of customers into a journey, decided at the next tick; its entry rules hold for them too."""
    _require(live, name)
    enrolment = Enrolment(name, data or {}, cause)
    for start in range(0, len(profile_ids), CHUNK * 10):
        chunk = profile_ids[start : start + CHUNK * 10]
        with store.begin() as connection:
            request_entries(connection, [(who, now, enrolment, 0, "own") for who in chunk], now)
    return len(profile_ids)


def leave(store: Store, run_id: int, now: datetime, reason: str = BY_HAND) -> None:
    """Ends one run. Raises NotFoundError, ConflictError when it has ended."""
    with store.begin() as connection:
        row = runs.get(connection, run_id)
        if row.status != "active":
            raise ConflictError(
                problem("The run {run_id} has ended already: {reason}.", run_id=run_id, reason=row.reason)
            )
        _write(connection, [(row, _row_if_changed(row, version_change.ended(run_of(row), reason), now))], now)


def _require(live: ActivePlaybook, name: str) -> None:
    if name not in live.playbook.journeys:
        known = live.playbook.journeys
        raise NotFoundError(
            problem("There is no journey “{name}” in force.", near=nearest(name, known), name=name), name=name
        )


def _each(store: Store, name: str, change: Callable[[Connection, RunRow], RunRow], now: datetime) -> int:
    return sum(_change(store, [row.id for row in chunk], change, now) for chunk in _chunks(store, name))


def _change(store: Store, ids: Sequence[int], change: Callable[[Connection, RunRow], RunRow], now: datetime) -> int:
    """Changes a chunk of runs; those that another writer changed meanwhile are read and changed again."""
    for left in reversed(range(_MOST_TRIES)):
        try:
            with store.begin() as connection:
                runs.lock(connection, ids)
                fresh = runs.get_many(connection, ids)
                pairs = [(row, change(connection, row)) for row in fresh.values() if row.status == "active"]
                changed = [(old, new) for old, new in pairs if new is not old]
                _write(connection, changed, now)
            return len(changed)
        except ConflictError as error:
            if error.code != "stale" or not left:
                raise
    raise AssertionError("every try returns or raises")


def _chunks(store: Store, name: str) -> Iterator[list[RunRow]]:
    after = 0
    while True:
        with store.read() as connection:
            found = runs.of_journey(connection, name, after=after, limit=CHUNK)
        if not found:
            return
        yield found
        after = found[-1].id


def _write(connection: Connection, changed: Sequence[tuple[RunRow, RunRow]], now: datetime) -> None:
    runs.save(connection, [new for _, new in changed])
    ended = [new for _, new in changed if new.status == "ended"]
    run_history.append(
        connection,
        [RunHistoryRow(r.id, now, r.step or "", r.visits.get(r.step or "", 0), "ended", r.reason) for r in ended],
    )
    messages.skip_unfinished(connection, "exited", now, run_ids=[run.id for run in ended])


def _row_if_changed(row: RunRow, run: Run, now: datetime) -> RunRow:
    """The run as it is stored; the same row where nothing changed."""
    fresh = msgspec.structs.replace(row_of(run, row, now, 0), version=run.version)
    return row if fresh == row else fresh
