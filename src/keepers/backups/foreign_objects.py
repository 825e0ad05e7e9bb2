"""What a restored database holds that Keepers never makes and that runs with queries: views, macros, triggers.

Whoever can write to a folder of backups can put them there, and a view may read files of the machine. They are removed
before the database is used. They may also be somebody's own, for queries of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from keepers.backups.chunks import DamagedBackupError
from keepers.model.errors import problem
from keepers.warehouse.fixed_tables import FIXED
from keepers.warehouse.names import quoted

_MACROS = "SELECT DISTINCT schema_name, function_name FROM duckdb_functions() WHERE NOT internal AND function_type = "
_OF_DUCKDB = {
    "VIEW": "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal",
    "MACRO": f"{_MACROS} 'macro'",
    "MACRO TABLE": f"{_MACROS} 'table_macro'",
}
"""kind, as DROP names it → (schema, name)"""
_TRIGGERS = "SELECT schema_name, trigger_name, table_name FROM duckdb_triggers()"
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
_TYPED = {
    "event_names": "SELECT physical FROM event_names",
    "event_columns": """SELECT "column" FROM event_columns WHERE kind = 'list'""",
}
"""table of the registry → the typed tables that it names: of events, and of lists in them"""
_OF_SQLITE = "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY type, name"


def remove_from_warehouse(file: Path) -> list[str]:
    """Removes them from a DuckDB file; what was there, such as `view recent`.

    Raises DamagedBackupError where it cannot be opened, or a view stands in the place of a table of Keepers'.
    """
    try:
        # Whatever it is made of, no other file is opened on its behalf.
        with closing(duckdb.connect(str(file), config={"enable_external_access": "false"})) as connection:
            run = connection.execute
            removed = [f"{kind.lower()} {name}" for kind, name in _dropped(connection)]
            views = [one.removeprefix("view ") for one in removed if one.startswith("view ")]
            known, typed = run(_TABLES).fetchall(), set[tuple[str]]()
            for table, query in _TYPED.items():
                if (table,) in known:
                    typed.update(run(query).fetchall())
            _require_no_stand_in(file, views, FIXED.keys() | {name for (name,) in typed})
            return removed
    except duckdb.Error as error:
        raise _unusable(file, error) from None


def remove_from_store(file: Path, tables: Iterable[str]) -> list[str]:
    """The same of a SQLite file, of which Keepers' tables are given."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            found = connection.execute(_OF_SQLITE).fetchall()
            for kind, name in found:
                connection.execute(f"DROP {kind} IF EXISTS {quoted(name)}")
            connection.commit()
            _require_no_stand_in(file, [name for kind, name in found if kind == "view"], set(tables))
            return [f"{kind} {name}" for kind, name in found]
    except sqlite3.Error as error:
        raise _unusable(file, error) from None


def _dropped(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    for schema, name, table in connection.execute(_TRIGGERS).fetchall():
        connection.execute(f"DROP TRIGGER {quoted(name)} ON {quoted(schema)}.{quoted(table)}")
        yield "trigger", name
    for kind, query in _OF_DUCKDB.items():
        for schema, name in connection.execute(query).fetchall():
            connection.execute(f"DROP {kind} IF EXISTS {quoted(schema)}.{quoted(name)} CASCADE")
            yield kind, name


def _require_no_stand_in(file: Path, views: Iterable[str], tables: Collection[str]) -> None:
    for view in views:
        if view in tables:
            raise DamagedBackupError(
                problem(
                    "{file} has a view in the place of the table “{table}”, which Keepers never makes. Somebody has "
                    "changed the backup: restore another one with --at, or from another copy.",
                    file=file.name,
                    table=view,
                )
            )


def _unusable(file: Path, error: Exception) -> DamagedBackupError:
    return DamagedBackupError(
        problem(
            "{file} of the backup cannot be used: {reason}. Restore another one with --at, or from another copy.",
            file=file.name,
            reason=str(error).splitlines()[0] if str(error) else type(error).__name__,
        )
    )
