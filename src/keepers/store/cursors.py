"""The position of each stage that writes to this store."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from keepers.store.schema.core import cursors


def get(connection: Connection, name: str) -> int:
    """The position; 0 for a stage that has not begun."""
    found = connection.execute(select(cursors.c.position).where(cursors.c.name == name)).scalar_one_or_none()
    return int(found or 0)


def put(connection: Connection, name: str, position: int) -> None:
    """Sets the position, in the transaction that holds the stage's results."""
    connection.execute(delete(cursors).where(cursors.c.name == name))
    connection.execute(insert(cursors).values(name=name, position=position))
