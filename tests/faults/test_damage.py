"""Damaged files of a workspace: set aside or named with the remedy, and what is missing is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

import workspaces
from conftest import ENGINES, Postgres
from keepers.app.operations.doctor import damage_findings
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation import relay
from keepers.store.schema.core import log
from keepers.warehouse.files import set_aside
from serving import copied, keepers, serving

NOW = datetime(2026, 3, 2, 12)
DAY = timedelta(days=1)
PLAYBOOK: dict[str, Any] = {
    "segments": [{"id": "recent", "who": {"did": "Order Completed", "within": "3d"}}],
    "journeys": [
        {
            "id": "gone",
            "enter": [{"segment": "recent", "on": "left"}],
            "reentry": "after_exit",
            "steps": [{"id": "tell", "emit": {"event": "Left"}}],
        }
    ],
}


def orders(workspace: Workspace, at: datetime, first: int) -> None:
    calls = [
        {"type": "track", "event": "Order Completed", "userId": f"u{n}", "messageId": f"o{n}", "properties": {"n": n}}
        for n in range(first, first + 5)
    ]
    workspaces.send(workspace.store, at, calls)


def tick(workspace: Workspace, at: datetime) -> None:
    with workspace.sequencing("a test") as ticker:
        while ticker.tick(at).did_something:
            pass


@pytest.fixture(params=ENGINES)
def folder(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Path]:
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    address = postgres.migrated() if postgres is not None else None
    yield workspaces.make(tmp_path / "shop", migrated_folder, playbook=PLAYBOOK, address=address)
    if postgres is not None and address is not None:
        postgres.drop(address)


def killed_after(folder: Path, work: Any) -> None:
    """Does some work and leaves the warehouse's files as a killed process leaves them: with its write-ahead log."""
    file = folder / "data" / "warehouse.duckdb"
    wal = file.with_name(f"{file.name}.wal")
    with workspaces.opened(folder) as workspace:
        workspace.warehouse.cursor().execute("CHECKPOINT")
        workspace.warehouse.cursor().execute("SET checkpoint_threshold = '1GB'")
        kept = file.read_bytes()
        work(workspace)
        tail = wal.read_bytes()
    file.write_bytes(kept)
    wal.write_bytes(tail)


def spoiled(wal: Path) -> None:
    """Its last bytes are overwritten."""
    content = bytearray(wal.read_bytes())
    content[-40:] = b"\0" * 40
    wal.write_bytes(bytes(content))


def cut(wal: Path) -> None:
    """Its second half is missing."""
    content = wal.read_bytes()
    wal.write_bytes(content[: len(content) // 2])


def overwritten(wal: Path) -> None:
    """Its header names no write-ahead log."""
    content = bytearray(wal.read_bytes())
    content[:64] = b"\xff" * 64
    wal.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [spoiled, cut, overwritten])
def test_what_a_damaged_write_ahead_log_held_comes_back_once(folder: Path, damage: Any) -> None:
    def work(workspace: Workspace) -> None:
        orders(workspace, NOW + DAY, 5)
        tick(workspace, NOW + DAY)
        tick(workspace, NOW + 4 * DAY)

    with workspaces.opened(folder) as workspace:
        orders(workspace, NOW, 0)
        tick(workspace, NOW)
    killed_after(folder, work)
    file = folder / "data" / "warehouse.duckdb"
    damage(file.with_name(f"{file.name}.wal"))
    with workspaces.opened(folder) as workspace:
        tick(workspace, NOW + 4 * DAY)
        orders(workspace, NOW + 5 * DAY, 10)
        tick(workspace, NOW + 5 * DAY)
        tick(workspace, NOW + 9 * DAY)
        assert bool(set_aside(file)) == (damage is spoiled)
        found = workspaces.outcome(workspace)
        assert len({change[1] for change in found.changes if change[3] == "in"}) == 15
        with workspace.store.read() as connection:
            relayed = connection.execute(select(log.c.profile_id, log.c.time).where(log.c.kind == relay.KIND)).all()
            of_runs = connection.execute(
                select(log.c.profile_id, func.count()).where(log.c.event == "Left").group_by(log.c.profile_id)
            ).all()
        assert len(set(relayed)) == len(relayed)
        assert sorted(number for _, number in of_runs) == [1] * 15


def test_imported_rows_that_the_warehouse_lost_are_noticed_until_they_are_back(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    assert not [one for one in keepers(folder, "doctor")["findings"] if "missing" in one]
    (folder / "data" / "warehouse.duckdb").unlink()
    (found,) = [one for one in keepers(folder, "doctor")["findings"] if "imported rows are missing" in one]
    assert found.startswith("180 imported rows are missing")
    with serving(folder) as server:
        assert "180 imported rows are missing" in httpx.get(f"{server.address}/ready").json()["warehouse"]
        mapping = ["--profile", "who", "--time", "at", "--property", "total=total", "--trait", "country=country"]
        keepers(folder, "import", str(folder / "orders.csv"), "--event", "Order Completed", *mapping)
        assert "warehouse" not in httpx.get(f"{server.address}/ready").json()
    assert not [one for one in keepers(folder, "doctor")["findings"] if "missing" in one]


@pytest.mark.parametrize("place", [4096, 12_288, -200_000])
def test_a_damaged_warehouse_file_is_said_with_the_remedy(shop: Path, tmp_path: Path, place: int) -> None:
    folder = copied(shop, tmp_path / "shop")
    file = folder / "data" / "warehouse.duckdb"
    content = bytearray(file.read_bytes())
    content[place : place + 4000] = bytes(n % 251 for n in range(4000))
    file.write_bytes(bytes(content))
    error = keepers(folder, "doctor", code=2)["error"]
    assert error["code"] == "warehouse"
    assert "is damaged" in error["message"]
    assert "move it away" in error["message"]


@pytest.mark.parametrize("name", ["keepers.db", "inbox.db"])
def test_a_damaged_store_is_said_without_a_traceback(shop: Path, tmp_path: Path, name: str) -> None:
    folder = copied(shop, tmp_path / "shop")
    file = folder / "data" / name
    content = bytearray(file.read_bytes())
    content[100 : 100 + 600] = b"\xa5" * 600
    file.write_bytes(bytes(content))
    for command in ("doctor", "tick"):
        ran = workspaces.keepers("-w", folder, command)
        assert ran.code == 2
        assert "cannot be read" in ran.err
        assert "restore it from a backup" in ran.err.replace("\n", " ")
        assert "Traceback" not in ran.err
    assert not (folder / "data" / "errors.log").exists()


@pytest.mark.parametrize("name", ["keepers.db", "inbox.db"])
def test_damage_inside_a_store_is_found_by_doctor(shop: Path, tmp_path: Path, name: str) -> None:
    folder = copied(shop, tmp_path / "shop")
    with workspaces.opened(folder) as workspace:
        assert workspace.store.damage() == ""
        engine = workspace.store.engine if name == "keepers.db" else workspace.store.inbox_engine
        with engine.begin() as connection:
            # An index that misses a row, as after a page was lost.
            connection.exec_driver_sql("CREATE TABLE spoiled (a INTEGER, b INTEGER)")
            connection.exec_driver_sql("CREATE INDEX of_spoiled ON spoiled (a)")
            connection.exec_driver_sql("INSERT INTO spoiled VALUES (1, 2), (3, 4)")
            connection.exec_driver_sql("PRAGMA writable_schema = ON")
            connection.exec_driver_sql("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'of_spoiled'")
        workspace.store.close()
        assert workspace.store.damage().startswith(f"{name}: ")
        assert any(one.english.startswith("The store is damaged") for one in damage_findings(workspace))
