"""Runs the revisions that a store lacks, by Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from keepers.model.errors import UserError, problem

if TYPE_CHECKING:
    from keepers.store.migrate import SchemaPart

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 0x4B65656D6967  # “Keemig”: two starting servers do not migrate one database at once


def apply_missing(engine: Engine, part: SchemaPart, present: str | None, place: str) -> None:
    """Applies what comes after the revision `present`. Raises UserError where that is a newer Keepers'."""
    settings = config(part)
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if present is not None and present not in known:
        raise UserError(
            problem(
                "The store at {store} was written by a newer Keepers (revision {revision}). Upgrade this program.",
                store=place,
                revision=present,
            ),
            code="store_newer",
        )
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def config(part: SchemaPart) -> Config:
    """Alembic's settings for a part of the store."""
    made = Config()
    made.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    made.set_main_option("version_locations", str(_MIGRATIONS / part.folder).replace("%", "%%"))
    made.set_main_option("path_separator", "newline")
    made.attributes["part"] = part
    return made
