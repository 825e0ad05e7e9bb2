"""Backups while a server takes events, ticks and imports: what was acknowledged before one is in it, and once."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import SMALL_CHUNK, in_small_chunks, start
from keepers.ingest.imports import chunks
from order_clients import CLIENTS, Client
from postgres_programs import on_path
from serving import keepers, serving

ROUNDS = 2
LINES = 8_000
IMPORT = ["--event", "Seen", "--profile", "who", "--time", "at", "--property", "line=line"]


def _seen(file: Path) -> None:
    rows = (f"u{n % 500},2026-0{n % 9 + 1}-{n % 28 + 1:02},{n}" for n in range(LINES))
    file.write_text("who,at,line\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _held(folder: Path) -> tuple[list[int], list[int]]:
    """The numbers of the orders that a workspace holds, and the lines of the import."""
    with workspaces.opened(folder) as workspace:
        cursor = workspace.warehouse.cursor()
        orders = cursor.execute("SELECT (raw->>'$.properties.n')::BIGINT FROM tracks WHERE event = 'Order Completed'")
        orders = [n for (n,) in orders.fetchall()]
        lines = cursor.execute("SELECT (raw->>'$.properties.line')::BIGINT FROM tracks WHERE event = 'Seen'")
        return orders, [int(n) for (n,) in lines.fetchall()]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_acknowledged_before_a_backup_is_in_it_once(
    engine: str,
    tmp_path: Path,
    migrated_folder: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    address = postgres.migrated() if postgres else None
    on_path(monkeypatch)
    monkeypatch.setattr(chunks, "CHUNK_LINES", SMALL_CHUNK)
    folder = workspaces.make(tmp_path / "shop", migrated_folder, lifecycles=["value"], address=address, threads=None)
    file, backups = tmp_path / "seen.csv", tmp_path / "backups"
    _seen(file)
    with workspaces.opened(folder) as workspace:
        token = workspace.ensure_key("server", "clients") or ""
        secret = workspace.ensure_key("secret", "this test") or ""
    over = Event()
    made: list[tuple[str, set[int]]] = []
    with serving(folder, work=in_small_chunks) as server:
        clients = [Client(n, server.address, token, over) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        importing = start(folder, "import", file, *IMPORT)
        with server.api(secret) as api:
            while not api.get("/imports").raise_for_status().json()["items"]:
                assert importing.exit_code() is None
        for _ in range(ROUNDS):
            known = {n for client in clients for n in client.acknowledged.copy()}
            done: dict[str, Any] = keepers(folder, "backup", str(backups))
            made.append((done["id"], known))
        over.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive()
        assert importing.wait(120) == 0
    assert len(made[-1][1]) > len(made[0][1]), "events must arrive between the backups"
    sent = {n for client in clients for n in client.acknowledged | client.abandoned}
    partial = 0
    for number, (id, known) in enumerate(made):
        to = tmp_path / f"restored{number}"
        empty = postgres.empty() if postgres else None
        keepers(folder, "restore", str(backups), "--to", str(to), "--at", id, *(["--store", empty] if empty else []))
        orders, lines = _held(to)
        assert len(orders) == len(set(orders)), "an event is in it twice"
        assert known <= set(orders) <= sent, f"{len(known - set(orders))} acknowledged events are lost"
        assert len(lines) == len(set(lines))
        if 0 < len(lines) < LINES:
            partial += 1
            # The ledger of imports is as of the same moment: what was not imported yet is, and nothing twice.
            again = keepers(to, "import", str(file), *IMPORT)
            assert (again["loaded"], again["duplicates_skipped"]) == (LINES - len(lines), len(lines))
            assert sorted(_held(to)[1]) == list(range(LINES))
        shutil.rmtree(to)
        if postgres and empty:
            postgres.drop(empty)
    assert partial, "an import must be under way in one of the backups"
    if postgres and address:
        postgres.drop(address)
