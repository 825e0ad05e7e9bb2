"""A full disk and a read-only one: said before clients are refused, nothing acknowledged is lost, and all goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

import workspaces
from faults.disks import Disk, mounted
from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import LAYOUT_VERSION, get_meta
from serving import WRITE, Serving, serving
from waiting import wait_for

ROOM_MB = 48


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", ROOM_MB) as found:
        yield found


@pytest.fixture
def folder(shop: Path, disk: Disk) -> Path:
    """A shop's workspace on the disk."""
    return shutil.copytree(shop, disk.folder / "shop", symlinks=True)


def send(server: Serving, number: int) -> httpx.Response:
    event = {"userId": f"d{number}", "event": "Order Completed", "messageId": f"d{number}", "properties": {"n": number}}
    return httpx.post(f"{server.address}/v1/track", json=event, auth=(WRITE, ""), timeout=60)


def ready(server: Serving) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{server.address}/ready", timeout=60)
    return answer.status_code, answer.json()


def orders(server: Serving, last: int) -> set[int]:
    """Numbers of the orders that the warehouse holds, once the last one is there."""
    with server.api() as api:
        wait_for(lambda: api.get(f"/profiles?id=d{last}").json().get("items"))
        return {n for n in range(last + 1) if api.get(f"/profiles?id=d{n}").json().get("items")}


def test_a_full_disk_is_said_first_loses_nothing_and_all_goes_on(folder: Path, disk: Disk) -> None:
    with serving(folder) as server:
        acknowledged = {n for n in range(3) if send(server, n).status_code == 200}
        assert ready(server)[0] == 200
        disk.fill()
        # What it found holds for a second.
        code, said = wait_for(lambda: found if (found := ready(server))[0] != 200 else None)
        assert (code, said["status"]) == (503, "not ready")
        assert "No space left on device" in said["reason"]
        refused = 0
        for n in range(3, 40):
            answer = send(server, n)
            if answer.status_code == 200:
                acknowledged.add(n)
            else:
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
                refused += 1
        assert refused
        disk.make_room()
        wait_for(lambda: ready(server)[1] == {"status": "ready"})
        assert send(server, 40).status_code == 200
        assert orders(server, 40) == acknowledged | {40}


def test_a_warehouse_that_a_full_disk_made_unusable_is_opened_anew(disk: Disk) -> None:
    """A checkpoint that finds the disk full ends the database for DuckDB, though the commit before it is durable."""
    warehouse = Warehouse.open(disk.folder / "warehouse.duckdb", threads=1)
    warehouse.cursor().execute("SET checkpoint_threshold = '200KB'")
    with warehouse.transaction() as cursor:
        cursor.execute("CREATE TABLE kept (n BIGINT, text VARCHAR)")
    disk.fill(but=600_000)
    written = 0

    def write() -> None:
        nonlocal written
        with warehouse.transaction() as cursor:
            cursor.execute("INSERT INTO kept SELECT range, md5(range::VARCHAR) || uuid() FROM range(300)")
        written += 1

    def write_on() -> None:
        while written < 1000:
            write()

    with pytest.raises(duckdb.FatalException):
        write_on()
    disk.make_room()
    ended_by_then = written
    write()
    (held,) = warehouse.cursor().execute("SELECT count(*) FROM kept").fetchall()[0]
    # The commit whose checkpoint failed may be durable.
    assert held // 300 - ended_by_then in (1, 2)
    assert get_meta(warehouse.cursor(), "layout_version") == LAYOUT_VERSION
    warehouse.close()


def test_a_read_only_disk_is_said_with_the_remedy(folder: Path, disk: Disk) -> None:
    disk.allow_writes(allowed=False)
    try:
        for command in ("tick", "doctor", "stages"):
            ran = workspaces.keepers("-w", folder, command, *(("value",) if command == "stages" else ()))
            assert ran.code == 2
            assert "Traceback" not in ran.err
            assert "read-only" in ran.err.lower()
    finally:
        disk.allow_writes(allowed=True)
    assert workspaces.keepers("-w", folder, "stages", "value").code == 0
