"""Brings a store's schema to this version's, from nothing or from any earlier one."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import DatabaseError

from keepers.model.errors import UserError, problem
from keepers.store.database import Store
from keepers.store.schema import journeys, messages, privacy  # noqa: F401 - tables are declared by being imported
from keepers.store.schema.core import inbox_metadata, metadata

_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaPart(NamedTuple):
    """The inbox has revisions of its own, because on SQLite it is a file of its own."""

    name: str
    metadata: MetaData
    folder: str
    version_table: str


PARTS = (
    SchemaPart("main", metadata, "versions", "alembic_version"),
    SchemaPart("inbox", inbox_metadata, "inbox_versions", "alembic_version_inbox"),
)


def upgrade(store: Store) -> None:
    """Applies every revision that is missing. Safe to repeat, and while other processes start.

    Raises UserError when the store cannot be read, or was written by a newer Keepers.
    """
    for part in PARTS:
        engine = engine_of(store, part)
        try:
            revision = _revision(engine, part)
        except DatabaseError as error:
            where = engine.url.database if store.is_sqlite else store.place
            raise UserError(
                problem(
                    "The store at {store} cannot be read: {reason}. Check its address, that it runs and "
                    "may be read, or restore it from a backup.",
                    store=where,
                    reason=error.orig,
                ),
                code="store",
            ) from error
        if revision != head(part):
            from keepers.store.revisions import apply_missing  # with Alembic, which a current store does not need

            apply_missing(engine, part, revision, store.place)


def is_current(store: Store) -> bool:
    """Whether the schema is exactly this version's."""
    return all(_revision(engine_of(store, part), part) == head(part) for part in PARTS)


def engine_of(store: Store, part: SchemaPart) -> Engine:
    """The engine of a part."""
    return store.inbox_engine if part.name == "inbox" else store.engine


def head(part: SchemaPart) -> str:
    """The newest revision: the file of each is called after it, `main_0005_….py`."""
    newest = max(found.name for found in iter_modules([str(_MIGRATIONS / part.folder)]))
    return "_".join(newest.split("_")[:2])


def _revision(engine: Engine, part: SchemaPart) -> str | None:
    with engine.connect().execution_options(is_reading=True) as connection:
        if not inspect(connection).has_table(part.version_table):
            return None
        return connection.execute(text(f"SELECT version_num FROM {part.version_table}")).scalar_one_or_none()
