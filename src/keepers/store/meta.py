"""Single facts about the workspace, such as the moment of the last tick."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from keepers.store.schema.core import meta


def get(connection: Connection, name: str, *, for_update: bool = False) -> str | None:
    """The value, or None. With `for_update` the name is locked until the transaction ends."""
    if for_update and connection.dialect.name == "postgresql":
        # A lock on the name: the row may not be there yet.
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"meta {name}", 0))))
    return connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()


def put(connection: Connection, name: str, value: str) -> None:
    """Sets the value."""
    connection.execute(delete(meta).where(meta.c.name == name))
    connection.execute(insert(meta).values(name=name, value=value))


def remove(connection: Connection, name: str) -> None:
    """Removes the fact, if it is there."""
    connection.execute(delete(meta).where(meta.c.name == name))


def starting_with(connection: Connection, prefix: str) -> dict[str, str]:
    """The facts whose names begin so."""
    query = select(meta.c.name, meta.c.value).where(meta.c.name.startswith(prefix, autoescape=True))
    return {row.name: row.value for row in connection.execute(query)}
