"""Removes messages, runs and their history, by erasure and when they were kept long enough; their counts stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, distinct, func, select, tuple_

from keepers.model.message import UNFINISHED
from keepers.store.journeys import runs as runs_
from keepers.store.messages import claims
from keepers.store.privacy import removed_counts
from keepers.store.privacy.removed_counts import RemovedCount
from keepers.store.schema.journeys import entry_rejections, journey_runs, run_history
from keepers.store.schema.messages import (
    engagement_requests,
    in_app,
    message_copies,
    message_history,
    messages,
)

_OF_MESSAGES = (message_copies, message_history, engagement_requests, in_app)


def remove_messages(connection: Connection, ids: Sequence[int], reason: str) -> dict[str, int]:
    """Removes messages with their copies, history and requests; how many rows of each table are gone.

    Those not sent yet are counted as skipped for `reason`, those on their way as uncertain.
    """
    claims.lock_messages(connection, ids)
    removed_counts.add(connection, [*_message_counts(connection, ids, reason), *_result_counts(connection, ids)])
    gone = {"messages": connection.execute(delete(messages).where(messages.c.id.in_(ids))).rowcount}
    for table in _OF_MESSAGES:
        gone[str(table.name)] = connection.execute(delete(table).where(table.c.message_id.in_(ids))).rowcount
    return gone


def remove_history(connection: Connection, run_ids: Sequence[int]) -> int:
    """Removes what happened in runs; how many rows are gone. The runs stay."""
    removed_counts.add(connection, _history_counts(connection, run_ids))
    return connection.execute(delete(run_history).where(run_history.c.run_id.in_(run_ids))).rowcount


def remove_runs(connection: Connection, ids: Sequence[int], reason: str) -> dict[str, int]:
    """Removes runs with their history; how many rows of each table are gone.

    Active ones count as ended, for `reason`.
    """
    runs_.lock(connection, ids)
    run = journey_runs.c
    ended = run.status == "ended"
    query = select(run.journey, run.version, ended, run.reason, func.count()).where(run.id.in_(ids))
    counted: dict[tuple[str, int, str], int] = {}
    for journey, version, is_ended, why, number in connection.execute(
        query.group_by(run.journey, run.version, ended, run.reason)
    ):
        key = (journey, version, why if is_ended else reason)
        counted[key] = counted.get(key, 0) + number
    removed_counts.add(
        connection,
        [
            RemovedCount("run", number, j, version=v, status="ended", reason=why)
            for (j, v, why), number in counted.items()
        ],
    )
    history = remove_history(connection, ids)
    runs = connection.execute(delete(journey_runs).where(run.id.in_(ids))).rowcount
    return {"journey_runs": runs, "run_history": history}


def count_rejections(connection: Connection, keys: Sequence[Any]) -> None:
    """Counts entry rejections, given as (journey, profile), that are about to be removed."""
    table = entry_rejections.c
    query = select(table.journey, table.reason, func.count()).where(tuple_(table.journey, table.profile_id).in_(keys))
    removed_counts.add(
        connection,
        [
            RemovedCount("rejection", number, journey, reason=reason)
            for journey, reason, number in connection.execute(query.group_by(table.journey, table.reason))
        ],
    )


def _message_counts(connection: Connection, ids: Sequence[int], reason: str) -> list[RemovedCount]:
    of = messages.c
    names = (of.journey, of.broadcast, of.visit, of.version, of.step, of.message, of.channel, of.status, of.reason)
    counted: dict[tuple[Any, ...], int] = {}
    query = select(*names, func.count()).where(of.id.in_(ids)).group_by(*names)
    for journey, broadcast, visit, version, step, message, channel, status, why, number in connection.execute(query):
        if status in UNFINISHED:
            status, why = "skipped", reason
        elif status == "handed_over":
            status, why = "uncertain", reason
        send_id = visit if broadcast is not None else 0
        key = (journey, broadcast or "", send_id, version, step, message, channel, status, why)
        counted[key] = counted.get(key, 0) + number
    return [RemovedCount("message", number, *key) for key, number in counted.items()]


def _result_counts(connection: Connection, ids: Sequence[int]) -> list[RemovedCount]:
    """What broadcasts' variants came to: see `broadcast_sends.results`."""
    of, request = messages.c, engagement_requests.c
    names = (of.broadcast, of.visit, of.step)
    mine = (of.id.in_(ids), of.broadcast.is_not(None), of.step != "")
    sent = select(*names, func.count()).where(*mine, of.sent_at.is_not(None)).group_by(*names)
    shown = (
        select(*names, func.count(distinct(of.id)))
        .join(engagement_requests, request.message_id == of.id)
        .where(*mine, request.is_machine.is_(False))
        .group_by(*names)
    )
    found = []
    for what, query in (("sent", sent), ("opened", shown), ("clicked", shown.where(request.url != ""))):
        for broadcast, send_id, step, number in connection.execute(query):
            found.append(RemovedCount(what, number, "", broadcast, send_id, 0, step))  # type: ignore[arg-type]
    return found


def _history_counts(connection: Connection, run_ids: Sequence[int]) -> list[RemovedCount]:
    run, row = journey_runs.c, run_history.c
    joined = run_history.join(journey_runs, run.id == row.run_id)
    names = (run.journey, run.version, row.step, row.what, row.reason)
    query = select(*names, func.count(), func.count(distinct(run.id))).select_from(joined)
    found = []
    for journey, version, step, what, reason, times, runs in connection.execute(
        query.where(run.id.in_(run_ids)).group_by(*names)
    ):
        same = {"journey": journey, "version": version, "step": step, "status": what, "reason": reason}
        found.append(RemovedCount("happened", times, **same))
        found.append(RemovedCount("happened_runs", runs, **same))
    each = (
        select(run.journey, run.version, row.step, row.run_id, row.visit)
        .select_from(joined)
        .where(run.id.in_(run_ids), row.step != "")
        .distinct()
        .subquery()
    )
    visited = select(each.c.journey, each.c.version, each.c.step, func.count())
    for journey, version, step, number in connection.execute(
        visited.group_by(each.c.journey, each.c.version, each.c.step)
    ):
        found.append(RemovedCount("visit", number, journey, version=version, step=step))
    return found
