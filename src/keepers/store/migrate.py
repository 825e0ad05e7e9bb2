"""Brings a store's schema to this version's, from nothing or from any earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, text
from sqlalchemy.exc import DatabaseError

from keepers.model.errors import UserError
from keepers.store.database import Store
from keepers.store.schema import journeys, messages  # noqa: F401 - tables are declared by being imported
from keepers.store.schema.core import inbox_metadata, metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 0x4B65656D6967  # “Keemig”: two starting servers do not migrate one database at once


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
                f"The store at {where} cannot be read: {error.orig}. Check its address, that it runs and may be read, "
                "or restore it from a backup.",
                code="store",
            ) from error
        if revision == _head(part):
            continue
        _refuse_newer(engine, part, store.place)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
            config = _config(part)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def is_current(store: Store) -> bool:
    """Whether the schema is exactly this version's."""
    return all(_revision(engine_of(store, part), part) == _head(part) for part in PARTS)


def engine_of(store: Store, part: SchemaPart) -> Engine:
    """Where a part lives."""
    return store.inbox_engine if part.name == "inbox" else store.engine


def _config(part: SchemaPart) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(_MIGRATIONS / part.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["part"] = part
    return config


def _head(part: SchemaPart) -> str | None:
    return ScriptDirectory.from_config(_config(part)).get_current_head()


def _revision(engine: Engine, part: SchemaPart) -> str | None:
    with engine.connect().execution_options(is_reading=True) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": part.version_table})
        return context.get_current_revision()


def _refuse_newer(engine: Engine, part: SchemaPart, place: str) -> None:
    present = _revision(engine, part)
    known = {script.revision for script in ScriptDirectory.from_config(_config(part)).walk_revisions()}
    if present is not None and present not in known:
        raise UserError(
            f"The store at {place} was written by a newer Keepers (revision {present}). Upgrade this program.",
            code="store_newer",
        )
