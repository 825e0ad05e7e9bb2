"""Single facts about the workspace, such as the moment of the last tick."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from keepers.store.tables import meta


def get(connection: Connection, name: str) -> str | None:
    """The value, or None."""
    return connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()


def put(connection: Connection, name: str, value: str) -> None:
    """Sets the value."""
    connection.execute(delete(meta).where(meta.c.name == name))
    connection.execute(insert(meta).values(name=name, value=value))


def everything(connection: Connection) -> dict[str, str]:
    """All facts by name."""
    return {row.name: row.value for row in connection.execute(select(meta))}
