"""Journey runs: one customer's way through one version of a journey."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select, update

from keepers.model.errors import ConflictError, NotFoundError, problem
from keepers.store.bulk import insert_new, select_in, update_rows
from keepers.store.journeys import run_history
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.privacy import removed_counts
from keepers.store.schema.journeys import journey_runs, journey_states

MERGED = "merged"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_JSON = ("visits", "vars", "trigger", "state")


class RunRow(Struct, frozen=True):
    """A run as it is stored. `id` and `revision` are the store's; the latter goes up with every save."""

    journey: str
    version: int
    profile_id: int
    entry_key: str
    entered_at: datetime
    since: datetime
    step: str | None
    wake_at: datetime | None
    status: Literal["active", "ended"] = "active"
    reason: str = ""
    visits: dict[str, int] = {}
    vars: dict[str, Any] = {}
    trigger: dict[str, Any] = {}
    state: dict[str, Any] = {}
    zone: str = "UTC"
    seen_seq: int = 0
    ended_at: datetime | None = None
    hops: int = 0
    revision: int = 0
    id: int = 0


_FIELDS = RunRow.__struct_fields__
_FIRST_JSON = _FIELDS.index(_JSON[0])
_PAST_JSON = _FIRST_JSON + len(_JSON)
_PLAIN_NEW = tuple(name for name in _FIELDS if name not in _JSON and name != "id")
_NEW = (*_PLAIN_NEW, *_JSON)
_new = attrgetter(*_PLAIN_NEW)
_PLAIN_SAVED = ("version", "status", "reason", "step", "zone", "since", "wake_at", "seen_seq", "ended_at", "hops")
_SAVED = (*_PLAIN_SAVED, "visits", "vars", "state", "revision")
_saved = attrgetter(*_PLAIN_SAVED)
_columns = select(*(journey_runs.c[name] for name in _FIELDS))
_locking = select(journey_runs.c.id).order_by(journey_runs.c.id).with_for_update()


def enter(connection: Connection, runs: Sequence[RunRow]) -> list[RunRow]:
    """Adds runs, except those whose journey, profile and entry key are there already. Returns those added."""
    rows = [
        (*_new(run), _written(run.visits), _written(run.vars), _written(run.trigger), _written(run.state))
        for run in runs
    ]
    returning = ("id", "journey", "profile_id", "entry_key")
    ids = {tuple(key): id for id, *key in insert_new(connection, journey_runs, _NEW, rows, returning)}
    begun = []
    for run in runs:
        # Popped: of two equal keys in one call only the first is a run.
        id = ids.pop((run.journey, run.profile_id, run.entry_key), None)
        if id is not None:
            begun.append(msgspec.structs.replace(run, id=id))
    return begun


def due(
    connection: Connection, now: datetime, limit: int, after: Collection[int] = (), seen: int | None = None
) -> list[RunRow]:
    """Up to `limit` active runs that are due, the earliest first, without those of paused journeys.

    Runs in `after` are left out and, with `seen`, runs that appended events to the log past that seq. Nothing is
    locked: the caller holds the sequencer's lock, and `save` refuses runs that another writer has changed.
    """
    paused = select(journey_states.c.journey).where(journey_states.c.is_paused)
    query = (
        _columns.where(
            journey_runs.c.status == "active",
            journey_runs.c.wake_at <= now,
            journey_runs.c.journey.not_in(paused),
        )
        .order_by(journey_runs.c.wake_at, journey_runs.c.id)
        .limit(limit)
    )
    if after:
        query = query.where(journey_runs.c.id.not_in(list(after)))
    if seen is not None:
        query = query.where(journey_runs.c.seen_seq <= seen)
    return [_run(row) for row in connection.execute(query).all()]


def get(connection: Connection, run_id: int) -> RunRow:
    """One run. Raises NotFoundError."""
    row = connection.execute(_columns.where(journey_runs.c.id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError(problem("There is no run {run_id}.", run_id=run_id), run_id=run_id)
    return _run(row)


def get_many(connection: Connection, ids: Sequence[int]) -> dict[int, RunRow]:
    """Runs by id; unknown ones are absent."""
    return {run.id: run for run in map(_run, select_in(connection, _columns, journey_runs.c.id, ids))}


def of_profiles(connection: Connection, ids: Sequence[int], *, only_active: bool = True) -> dict[int, list[RunRow]]:
    """The runs of each profile, by id; profiles without any are absent."""
    query = _columns.where(journey_runs.c.status == "active") if only_active else _columns
    found: dict[int, list[RunRow]] = {}
    for row in sorted(select_in(connection, query, journey_runs.c.profile_id, ids), key=lambda row: row.id):
        found.setdefault(row.profile_id, []).append(_run(row))
    return found


def entries_of(
    connection: Connection, journey: str, profile_ids: Sequence[int]
) -> dict[int, list[tuple[str, datetime, datetime | None]]]:
    """How each profile entered a journey before: (entry key, entered, ended or None), by time; absent when never."""
    query = select(
        journey_runs.c.profile_id, journey_runs.c.entry_key, journey_runs.c.entered_at, journey_runs.c.ended_at
    ).where(journey_runs.c.journey == journey)
    found: dict[int, list[tuple[str, datetime, datetime | None]]] = {}
    for profile_id, *entry in select_in(connection, query, journey_runs.c.profile_id, profile_ids):
        found.setdefault(profile_id, []).append((entry[0], entry[1], entry[2]))
    for listed in found.values():
        listed.sort(key=lambda entry: (entry[1], entry[0]))
    return found


def versions(connection: Connection) -> list[tuple[str, int]]:
    """The journeys and versions that active runs are pinned to."""
    pinned = journey_runs.c.journey, journey_runs.c.version
    query = select(*pinned).where(journey_runs.c.status == "active").distinct().order_by(*pinned)
    return [(journey, version) for journey, version in connection.execute(query)]


def of_journey(
    connection: Connection, journey: str, *, version: int | None = None, after: int = 0, limit: int = 1000
) -> list[RunRow]:
    """Active runs of a journey past the id `after`, for moving them to a new version chunk by chunk."""
    query = _columns.where(
        # `concat` keeps SQLite off the index on status: in the order of ids all chunks read the table once.
        journey_runs.c.journey == journey,
        journey_runs.c.status.concat("") == "active",
        journey_runs.c.id > after,
    )
    if version is not None:
        query = query.where(journey_runs.c.version == version)
    return [_run(row) for row in connection.execute(query.order_by(journey_runs.c.id).limit(limit))]


def save(connection: Connection, runs: Sequence[RunRow]) -> None:
    """Writes runs back. Call it with some hundreds at a time, so that other writers get their turn.

    Raises ConflictError (code `stale`) when one was changed since it was read: roll back, read and decide again.
    """
    rows = [
        (
            *_saved(run), _written(run.visits), _written(run.vars), _written(run.state), run.revision + 1,
            run.id, run.revision,
        )
        for run in runs
    ]  # fmt: skip
    changed = update_rows(connection, journey_runs, _SAVED, rows, key=("id", "revision"))
    if changed != len(rows):
        raise ConflictError(
            problem(
                "{number} of {of} runs were changed by another writer. Read them again.",
                number=len(rows) - changed,
                of=len(rows),
            ),
            code="stale",
        )


def lock(connection: Connection, ids: Sequence[int]) -> None:
    """Locks runs until the transaction ends (PostgreSQL).

    By id, and before anything else that the transaction locks (see `lock_order`).
    """
    if connection.dialect.name == "postgresql":
        select_in(connection, _locking, journey_runs.c.id, sorted(ids))


def wake(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """Makes active runs due at `at`, unless they are due earlier: what they watch may have changed."""
    lock(connection, ids)
    found = [run for run in _active(connection, ids) if run.wake_at is None or run.wake_at > at]
    update_rows(connection, journey_runs, ("wake_at", "revision"), [(at, run.revision + 1, run.id) for run in found])


def record_answers(connection: Connection, answers: Sequence[tuple[int, str, Any]], now: datetime) -> None:
    """Puts webhooks' answers into the vars of active runs, as (run, step, answer), and wakes them now.

    The caller has locked the runs.
    """
    ids = sorted({run_id for run_id, _, _ in answers})
    held = {run.id: run for run in _active(connection, ids)}
    returning = {id: dict(run.vars) for id, run in held.items()}
    for run_id, step, answer in answers:
        if run_id in returning:
            returning[run_id][step] = answer
    rows = [(_encode(known).decode(), now, held[id].revision + 1, id) for id, known in returning.items()]
    update_rows(connection, journey_runs, ("vars", "wake_at", "revision"), rows)


def merge(
    connection: Connection,
    pairs: Sequence[tuple[int, int, datetime]],
    several: Collection[str] = (),
    *,
    is_waking: bool = False,
) -> int:
    """Moves the runs of merged profiles, given as (gone, survivor, when), to the survivors; how many active ones ended.

    A run of a journey that the survivor is in already ends as `merged`, except in journeys of `several`, which have a
    run per entry key. Entries stay known under the survivor. With `is_waking` the survivor's active runs are due at the
    merge.
    """
    ended = 0
    merged = sorted({profile_id for gone, survivor, _ in pairs for profile_id in (gone, survivor)})
    found = of_profiles(connection, merged, only_active=False)
    # No run begins meanwhile: only the holder of the sequencer's lock adds runs, and it is the one that merges.
    lock(connection, [run.id for held in found.values() for run in held])
    for gone, survivor, now in pairs:
        held = of_profiles(connection, [gone, survivor], only_active=False)
        own = held.get(survivor, [])
        keys = {(run.journey, run.entry_key) for run in own}
        running = {run.journey for run in own if run.status == "active"} - set(several)
        for run in held.get(gone, []):
            is_known = (run.journey, run.entry_key) in keys
            values: dict[str, Any] = {} if is_known else {"profile_id": survivor}
            if run.status == "active" and (is_known or run.journey in running):
                values |= {"status": "ended", "reason": MERGED, "ended_at": now, "wake_at": None}
                ended += 1
                visit = run.visits.get(run.step or "", 0)
                run_history.append(connection, [RunHistoryRow(run.id, now, run.step or "", visit, "ended", MERGED)])
            if values:
                connection.execute(
                    update(journey_runs)
                    .where(journey_runs.c.id == run.id)
                    .values(**values, revision=journey_runs.c.revision + 1)
                )
        if is_waking:
            wake(connection, [run.id for run in of_profiles(connection, [survivor]).get(survivor, [])], now)
    return ended


def ended_as(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Those of these runs that have ended, with the reason."""
    query = select(journey_runs.c.id, journey_runs.c.status, journey_runs.c.reason)
    found = select_in(connection, query, journey_runs.c.id, ids)
    return {row.id: row.reason for row in found if row.status == "ended"}


class StepCounts(Struct, frozen=True):
    """Figures of a journey: runs entered and active, who waits at which step, and why runs ended."""

    entered: int
    active: int
    waiting: dict[str, int]
    ended: dict[str, int]


def counts(connection: Connection, journey: str, version: int | None = None) -> StepCounts:
    """How many runs a journey has had, where they wait and why they ended; for each step see `run_history.counts`."""
    query = (
        select(journey_runs.c.status, journey_runs.c.step, journey_runs.c.reason, func.count())
        .where(journey_runs.c.journey == journey)
        .group_by(journey_runs.c.status, journey_runs.c.step, journey_runs.c.reason)
    )
    if version is not None:
        query = query.where(journey_runs.c.version == version)
    waiting: dict[str, int] = {}
    ended: dict[str, int] = {}
    for status, step, reason, number in connection.execute(query):
        if status == "active":
            waiting[step or ""] = waiting.get(step or "", 0) + number
        else:
            ended[reason] = ended.get(reason, 0) + number
    for row in removed_counts.read(connection, "run", journey=journey, version=version):
        ended[row.reason] = ended.get(row.reason, 0) + row.number
    active = sum(waiting.values())
    return StepCounts(active + sum(ended.values()), active, waiting, ended)


def _active(connection: Connection, ids: Sequence[int]) -> list[RunRow]:
    """The active ones of these runs. Queried by id alone, for SQLite would choose the index on status."""
    found = map(_run, select_in(connection, _columns, journey_runs.c.id, ids))
    return [run for run in found if run.status == "active"]


def _written(value: dict[str, Any]) -> str:
    return _encode(value).decode() if value else "{}"


def _read(text: str) -> dict[str, Any]:
    return {} if text == "{}" else _decode(text)


def _run(row: Any) -> RunRow:
    # By position: a run is read and written at every move, and by name it costs twice as much.
    return RunRow(*row[:_FIRST_JSON], *map(_read, row[_FIRST_JSON:_PAST_JSON]), *row[_PAST_JSON:])
