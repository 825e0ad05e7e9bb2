"""The audit log: who changed what, when, and what came of it. It holds no personal content; see `audit_fields`."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, delete, insert, select, update

from keepers.store.schema.core import audit_log

BEGUN, DONE, REFUSED = "begun", "done", "refused"
"""outcomes; of one that failed it is `failed: ` and the code of the error"""


class AuditRow(NamedTuple):
    """One call. `request` is JSON, `profile_id` the customer it was about, until they are erased."""

    at: datetime
    actor_kind: str
    actor: str
    actor_id: str
    use_case: str
    target: str
    profile_id: int | None
    outcome: str
    request: str


def add(connection: Connection, row: AuditRow) -> int:
    """Adds a row; its number."""
    added = connection.execute(insert(audit_log).values(**row._asdict()))
    assert added.inserted_primary_key is not None
    return int(added.inserted_primary_key[0])


def remove(connection: Connection, before: datetime, limit: int) -> int:
    """Removes rows from before an instant, up to `limit`; how many."""
    old = select(audit_log.c.id).where(audit_log.c.at < before).order_by(audit_log.c.at).limit(limit)
    return connection.execute(delete(audit_log).where(audit_log.c.id.in_(old))).rowcount


def end(connection: Connection, number: int, outcome: str) -> None:
    """Says what came of a call that was begun."""
    connection.execute(update(audit_log).where(audit_log.c.id == number).values(outcome=outcome))


def rows(
    *, actor: str | None, use_case: str | None, since: datetime | None, until: datetime | None, before: int | None
) -> Select[tuple[object, ...]]:
    """The rows that fit, latest first; only those numbered below `before`. `until` itself is left out."""
    columns = audit_log.c
    query = select(audit_log).order_by(columns.id.desc())
    if actor is not None:
        query = query.where((columns.actor == actor) | (columns.actor_id == actor))
    if use_case is not None:
        query = query.where(columns.use_case == use_case)
    if since is not None:
        query = query.where(columns.at >= since)
    if until is not None:
        query = query.where(columns.at < until)
    return query if before is None else query.where(columns.id < before)
