"""A workspace as text: how one of a released version is kept beside the tests, and made a workspace again.

At a release, make a workspace with that version's commands, end every process on it, and write it down:

    python tests/workspace_text.py FOLDER tests/store/workspace_of_VERSION

`keepers.sql` and `inbox.sql` hold both SQLite files; `warehouse/` holds the warehouse's tables: definitions in
`schema.sql`, rows as CSV where a table has any. What can be made again is left out: compiled queries, and the offsets
of time zones, which are tzdata's.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path

import duckdb

from keepers.warehouse import zone_offsets

SQLITE = ("keepers", "inbox")
NULL = "\\N"
REMADE = "zone_offsets"


def write_text(folder: Path, kept: Path) -> None:
    """Writes the workspace of a folder, which nobody may have open, to a new folder `kept`.

    Raises FileExistsError where `kept` exists: what a released version left is never written over.
    """
    kept.mkdir()
    shutil.copytree(folder / "playbook", kept / "playbook")
    shutil.copy(folder / "keepers.toml", kept / "keepers.toml")
    for name in SQLITE:
        connection = sqlite3.connect(f"file:{folder / 'data' / name}.db?mode=ro", uri=True)
        text = "\n".join(connection.iterdump()) + "\n"
        connection.close()
        (kept / f"{name}.sql").write_text(text, encoding="utf-8")
    (kept / "warehouse").mkdir()
    warehouse = duckdb.connect(folder / "data" / "warehouse.duckdb", read_only=True)
    tables = warehouse.execute("SELECT table_name, sql FROM duckdb_tables() ORDER BY table_name").fetchall()
    (kept / "warehouse" / "schema.sql").write_text("\n".join(sql for _, sql in tables) + "\n", encoding="utf-8")
    for name in (name for name, _ in tables if name != REMADE):
        if warehouse.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchall():
            file = kept / "warehouse" / f"{name}.csv"
            warehouse.execute(f"COPY (SELECT * FROM \"{name}\" ORDER BY ALL) TO '{file}' (HEADER, NULL '{NULL}')")
    warehouse.close()


def read_text(kept: Path, folder: Path) -> Path:
    """Makes `folder` the workspace that `kept` holds, as the older version left it; returns it."""
    shutil.copytree(kept / "playbook", folder / "playbook")
    shutil.copy(kept / "keepers.toml", folder / "keepers.toml")
    (folder / "data").mkdir()
    for name in SQLITE:
        connection = sqlite3.connect(folder / "data" / f"{name}.db")
        connection.executescript((kept / f"{name}.sql").read_text(encoding="utf-8"))
        connection.close()
    warehouse = duckdb.connect(folder / "data" / "warehouse.duckdb")
    warehouse.execute((kept / "warehouse" / "schema.sql").read_text(encoding="utf-8"))
    for file in sorted((kept / "warehouse").glob("*.csv")):
        warehouse.execute(f"COPY \"{file.stem}\" FROM '{file}' (HEADER, NULL '{NULL}')")
    warehouse.register("offsets", zone_offsets.offsets_table())
    warehouse.execute(f"INSERT INTO {REMADE} SELECT * FROM offsets")
    warehouse.close()
    return folder


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), Path(sys.argv[2]))
