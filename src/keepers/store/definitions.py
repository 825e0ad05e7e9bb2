"""Definitions that were applied: every version is kept, at most one of each is active."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from keepers.store.schema.core import definitions


class AppliedVersion(NamedTuple):
    """`body` is the definition as JSON text."""

    kind: str
    id: str
    version: int
    body: str
    applied_at: datetime
    active: bool


def active(connection: Connection, kind: str | None = None) -> list[AppliedVersion]:
    """The active versions, by kind and id."""
    query = select(definitions).where(definitions.c.active)
    if kind is not None:
        query = query.where(definitions.c.kind == kind)
    return [AppliedVersion(*row) for row in connection.execute(query.order_by(definitions.c.kind, definitions.c.id))]


def versions(connection: Connection, kind: str, id: str) -> list[AppliedVersion]:
    """Every version of one definition, oldest first."""
    query = select(definitions).where(definitions.c.kind == kind, definitions.c.id == id)
    return [AppliedVersion(*row) for row in connection.execute(query.order_by(definitions.c.version))]


def apply(connection: Connection, kind: str, id: str, body: str, now: datetime) -> int:
    """Makes `body` the active version and returns its number; an unchanged body keeps the version it has."""
    current = connection.execute(
        select(definitions.c.version, definitions.c.body).where(
            definitions.c.kind == kind, definitions.c.id == id, definitions.c.active
        )
    ).one_or_none()
    if current is not None and current.body == body:
        return int(current.version)
    retire(connection, kind, id)
    newest = connection.execute(
        select(func.max(definitions.c.version)).where(definitions.c.kind == kind, definitions.c.id == id)
    ).scalar_one()
    version = int(newest or 0) + 1
    connection.execute(
        insert(definitions).values(kind=kind, id=id, version=version, body=body, applied_at=now, active=True)
    )
    return version


def retire(connection: Connection, kind: str, id: str) -> bool:
    """Takes a definition out of use, keeping its versions. Returns whether one was active."""
    done = connection.execute(
        update(definitions)
        .where(definitions.c.kind == kind, definitions.c.id == id, definitions.c.active)
        .values(active=False)
    )
    return done.rowcount > 0


def newest_version(connection: Connection) -> int:
    """A number that grows with every applied version and every retired one, for noticing changes cheaply."""
    retired = func.count().filter(~definitions.c.active)
    return int(connection.execute(select(func.count() + retired).select_from(definitions)).scalar_one())
