"""The warehouse copied as of one moment, while others write and read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from keepers.backups.warehouse_snapshot import snapshot
from keepers.model.errors import ConflictError, KeepersError
from keepers.warehouse.database import Warehouse
from processes import Working

ROWS = 200_000


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    opened = Warehouse.open(tmp_path / "w.duckdb", threads=1)
    opened.cursor().execute(f"CREATE TABLE held AS SELECT range AS n, md5(range::VARCHAR) AS text FROM range({ROWS})")
    yield opened
    opened.close()


def _write(warehouse: Warehouse) -> None:
    """Changes, removes, adds: more than would be checkpointed by itself."""
    cursor = warehouse.cursor()
    cursor.execute("UPDATE held SET text = 'changed' WHERE n % 3 = 0")
    cursor.execute("DELETE FROM held WHERE n % 5 = 0")
    cursor.execute("INSERT INTO held SELECT range, sha256(range::VARCHAR) FROM range(400000)")
    cursor.execute("CREATE TABLE more AS SELECT * FROM held")


def _held_in(path: Path) -> list[tuple[int, int, int]]:
    with duckdb.connect(str(path)) as found:
        query = "SELECT count(*), sum(n)::BIGINT, count(*) FILTER (text = md5(n::VARCHAR)) FROM held"
        return found.execute(query).fetchall()


def test_a_copy_is_of_its_moment_whatever_is_written_meanwhile(warehouse: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    with snapshot(warehouse, lambda: "beside") as taken:
        assert (taken.same_moment, taken.log) == ("beside", b"")
        parts = taken.pieces()
        with copy.open("wb") as stream:
            stream.write(next(parts))
            _write(warehouse)
            for part in parts:
                stream.write(part)
    assert _held_in(copy) == [(ROWS, ROWS * (ROWS - 1) // 2, ROWS)]
    assert warehouse.cursor().execute("SELECT current_setting('wal_autocheckpoint')").fetchall() == [("16.0 MiB",)]


def test_where_a_reader_keeps_the_checkpoint_from_being_made_the_log_is_copied(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.cursor().execute("CHECKPOINT")
    reader = ThreadPoolExecutor(1)  # each thread has a cursor of its own
    assert reader.submit(lambda: warehouse.cursor().execute("SELECT * FROM held").fetchone()).result()
    _write(warehouse)
    expected = warehouse.cursor().execute("SELECT count(*), sum(n)::BIGINT FROM held").fetchall()
    copy = tmp_path / "copy.duckdb"
    with snapshot(warehouse, lambda: None) as taken:
        assert taken.log
        warehouse.cursor().execute("DELETE FROM held")
        warehouse.cursor().execute("CREATE TABLE yet_more AS SELECT range FROM range(1000000)")
        copy.write_bytes(b"".join(taken.pieces()))
        copy.with_name("copy.duckdb.wal").write_bytes(taken.log)
    reader.shutdown()
    assert [row[:2] for row in _held_in(copy)] == expected


def test_the_file_stays_locked_for_others(warehouse: Warehouse, tmp_path: Path) -> None:
    """The operating system frees all of a process's locks on a file with the first descriptor that it closes."""
    with snapshot(warehouse, lambda: None) as taken:
        assert sum(map(len, taken.pieces())) == taken.size
    other = Working(_lock, [str(tmp_path / "w.duckdb")], tmp_path / "log")
    assert other.wait(30) == 0
    assert (tmp_path / "log").read_text().strip() == "locked"


def _lock(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("locked")


def test_a_checkpoint_by_somebody_else_is_noticed(warehouse: Warehouse) -> None:
    with snapshot(warehouse, lambda: None) as taken:
        parts = taken.pieces()
        next(parts)
        _write(warehouse)
        warehouse.cursor().execute("CHECKPOINT")
        with pytest.raises(KeepersError, match="was changed while it was copied"):
            list(parts)


def test_the_file_is_kept_by_one_at_a_time_and_waited_for_within_a_bound(warehouse: Warehouse) -> None:
    waits: list[None] = []
    for patience in (0.0, 0.3):
        with (
            warehouse.keeping_file(),
            pytest.raises(ConflictError, match="being copied by a backup"),
            warehouse.keeping_file(patience, lambda: waits.append(None)),
        ):
            raise AssertionError
        assert bool(waits) == bool(patience)
    with warehouse.keeping_file(), warehouse.writers_blocked():
        pass


def test_whoever_waits_for_the_file_may_give_up(warehouse: Warehouse) -> None:
    class GivenUpError(Exception):
        pass

    def give_up() -> None:
        raise GivenUpError

    with warehouse.keeping_file(), pytest.raises(GivenUpError), warehouse.keeping_file(60, give_up):
        raise AssertionError
