"""What a restored database holds that is not of Keepers: removed before it runs, or refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from keepers.backups.chunks import DamagedBackupError
from keepers.backups.foreign_objects import remove_from_store, remove_from_warehouse
from keepers.warehouse.database import Warehouse


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    Warehouse.open(path).close()
    return path


def run(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_warehouse_of_keepers_has_none(file: Path) -> None:
    assert remove_from_warehouse(file) == []
    Warehouse.open(file).close()


def test_views_macros_and_triggers_are_removed_whatever_they_are_called(file: Path) -> None:
    run(
        file,
        "CREATE TABLE mine (n INTEGER)",
        'CREATE TRIGGER "t ""q" AFTER INSERT ON tracks INSERT INTO mine VALUES (1)',
        "CREATE SCHEMA other",
        'CREATE VIEW other."a ""b" AS SELECT * FROM read_csv(\'/etc/passwd\')',
        "CREATE VIEW of_it AS SELECT 1",
        "CREATE MACRO twice(n) AS 2 * n, (n, m) AS n * m",
        "CREATE MACRO rows_of(f) AS TABLE SELECT * FROM read_text(f)",
    )
    assert sorted(remove_from_warehouse(file)) == [
        "macro table rows_of", "macro twice", 'trigger t "q', 'view a "b', "view of_it",
    ]  # fmt: skip
    assert remove_from_warehouse(file) == []
    with duckdb.connect(str(file)) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchall() == [(0,)]


@pytest.mark.parametrize("table", ["tracks", "event_names"])
def test_a_view_in_the_place_of_a_table_is_refused(file: Path, table: str) -> None:
    run(file, f"DROP TABLE {table}", f"CREATE VIEW {table} AS SELECT * FROM read_text('/etc/passwd')")
    with pytest.raises(DamagedBackupError, match=f"a view in the place of the table “{table}”"):
        remove_from_warehouse(file)


def test_a_view_in_the_place_of_an_event_is_refused(file: Path) -> None:
    run(file, "INSERT INTO event_names VALUES ('Order', 'orders', true)", "CREATE VIEW orders AS SELECT 1")
    with pytest.raises(DamagedBackupError, match="“orders”"):
        remove_from_warehouse(file)


def test_a_view_in_the_place_of_a_list_of_an_event_is_refused(file: Path) -> None:
    run(
        file,
        "INSERT INTO event_columns VALUES ('Order', '', 'items', 'list', 'orders__items', true)",
        "INSERT INTO event_columns VALUES ('Order', '', 'total', 'number', 'total', true)",
        "CREATE VIEW total AS SELECT 1",
    )
    assert remove_from_warehouse(file) == ["view total"]
    run(file, "CREATE VIEW orders__items AS SELECT * FROM read_text('/etc/passwd')")
    with pytest.raises(DamagedBackupError, match="a view in the place of the table “orders__items”"):
        remove_from_warehouse(file)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    for remove in (remove_from_warehouse, lambda path: remove_from_store(path, [])):
        with pytest.raises(DamagedBackupError, match=r"x.db of the backup cannot be used: .* Restore another one"):
            remove(tmp_path / "x.db")


def test_of_sqlite_views_and_triggers_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "keepers.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE keys (id INTEGER)")
        connection.execute('CREATE TRIGGER "a ""b" AFTER INSERT ON keys BEGIN DELETE FROM keys; END')
        connection.execute("CREATE VIEW recent AS SELECT * FROM keys")
        connection.commit()
    assert remove_from_store(file, ["keys"]) == ['trigger a "b', "view recent"]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO keys VALUES (1)")
        assert connection.execute("SELECT count(*) FROM keys").fetchall() == [(1,)]
        connection.execute("CREATE VIEW messages AS SELECT * FROM keys")
        connection.commit()
    with pytest.raises(DamagedBackupError, match="“messages”"):
        remove_from_store(file, ["keys", "messages"])
