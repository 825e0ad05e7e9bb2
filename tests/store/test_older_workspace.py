"""A workspace that an older version made opens, holds what it held, and goes on.

`workspace_of_0_1` was made by the commands of the version before use cases had a folder of their own (36a4882): two
imports, consents, codes, a key; then a live order, a merge and an account; a journey, a broadcast, both delivered. Its
stores are kept as text (`workspace_text`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from keepers.app.access.keys import ListKeys, list_keys
from keepers.app.customers.consents import ReadConsents, read_consents
from keepers.app.customers.lifecycles import ReadLifecycle, read_lifecycle
from keepers.app.customers.profiles import Profile, ReadProfile, read_profile
from keepers.app.customers.segments import ListMembers, list_members
from keepers.app.customers.suppressions import ListSuppressions, list_suppressions
from keepers.app.customers.why import ExplainProfile, explain_profile
from keepers.app.messaging.broadcasts import ListSendings, list_sendings
from keepers.app.messaging.coupons import ListPools, list_pools
from keepers.app.messaging.journeys import ListRuns, ReadJourney, list_runs, read_journey
from keepers.app.messaging.messages import ListMessages, ReadMessageCopy, list_messages, read_message_copy
from keepers.app.operations.playbook import (
    ApplyPlaybook,
    CheckPlaybook,
    PlanPlaybook,
    apply_playbook,
    check_playbook,
    plan_playbook,
)
from keepers.app.tick import until_idle
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import UserError
from keepers.store.migrate import is_current
from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import FIXED, LAYOUT_VERSION, get_meta, set_meta
from warehouse_rows import contents
from workspace_text import SQLITE, read_text, write_text
from workspaces import lay_out, opened, send

KEPT = Path(__file__).parent / "workspace_of_0_1"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(read_text(KEPT, tmp_path / "shop"))
    yield opened
    opened.close()


def profile(workspace: Workspace, name: str) -> Profile:
    return read_profile(workspace, COMMAND_LINE, ReadProfile(id=name))


def test_it_holds_what_it_held(workspace: Workspace) -> None:
    assert is_current(workspace.store)
    stages = read_lifecycle(workspace, COMMAND_LINE, ReadLifecycle(id="value")).stages
    assert {stage.id: stage.profiles for stage in stages} == {"potential": 1, "new": 0, "loyal": 1, "churned": 1}
    vip = list_members(workspace, COMMAND_LINE, ListMembers(id="vip"))
    assert [name.value for row in vip.items for name in row.identities] == ["ann"]
    bob = profile(workspace, "bob")
    assert {name.value for name in bob.identities} == {"bob", "phone"}
    assert (bob.traits["country"], bob.traits["email"]) == ("PL", "bob@example.com")
    assert [place.stage for place in bob.lifecycles] == ["churned", "maintenance"]
    consents = {name: read_consents(workspace, COMMAND_LINE, ReadConsents(id=name)) for name in ("ann", "cyd")}
    assert {name: [one.state for one in found.statements] for name, found in consents.items()} == {
        "ann": ["subscribed"], "cyd": ["unsubscribed"],
    }  # fmt: skip
    assert [one.channel for one in list_suppressions(workspace, COMMAND_LINE, ListSuppressions()).items] == ["email"]
    (run,) = list_runs(workspace, COMMAND_LINE, ListRuns(id="after_order")).items
    assert (run.status, run.step) == ("active", "rest")
    messages = list_messages(workspace, COMMAND_LINE, ListMessages()).items
    assert [(one.message, one.status, one.reason) for one in reversed(messages)] == [
        ("hello", "sent", ""), ("spring", "sent", ""), ("spring", "skipped", "unsubscribed"), ("spring", "sent", ""),
    ]  # fmt: skip
    first = min(one.id for one in messages)
    copy = read_message_copy(workspace, COMMAND_LINE, ReadMessageCopy(number=first))
    assert (copy.title, copy.text.strip()) == ("Hello Ann", "Thank you for order 4.")
    (sending,) = list_sendings(workspace, COMMAND_LINE, ListSendings(id="newsletter")).items
    assert (sending.status, sending.sent, sending.skipped) == ("finished", 2, {"unsubscribed": 1})
    assert [pool.left for pool in list_pools(workspace, COMMAND_LINE, ListPools()).items] == [2]
    keys = [key.kind for key in list_keys(workspace, COMMAND_LINE, ListKeys()).items]
    assert sorted(keys) == ["secret", "server", "write", "write"]
    why = explain_profile(workspace, COMMAND_LINE, ExplainProfile(id="ann"))
    lines = [(one.kind, one.code) for one in why.lines]
    assert lines[:3] == [("consent", "subscribed"), ("run", "entered"), ("run", "passed")]


def columns(warehouse: duckdb.DuckDBPyConnection) -> set[tuple[str, str, str]]:
    """(table, column, type) of the fixed tables."""
    found = warehouse.execute("SELECT table_name, column_name, data_type FROM duckdb_columns()").fetchall()
    return {(table, column, kind) for table, column, kind in found if table in FIXED}


def test_its_warehouse_has_the_tables_of_a_fresh_one_and_every_row(workspace: Workspace) -> None:
    migrated = workspace.warehouse.cursor()
    fresh = Warehouse.open(None)
    assert columns(migrated) == columns(fresh.cursor())
    tables = {name for (name,) in migrated.execute("SELECT DISTINCT table_name FROM duckdb_tables()").fetchall()}
    assert not tables & {"asks", "ask_values"}
    layouts = [get_meta(one, "layout_version") for one in (migrated, fresh.cursor())]
    assert layouts == [LAYOUT_VERSION, LAYOUT_VERSION]
    fresh.close()
    renamed = {"asks": "standing_queries", "ask_values": "standing_query_values"}
    for kept in ("asks", "ask_values", "states", "changes"):
        file = KEPT / "warehouse" / f"{kept}.csv"
        table = renamed.get(kept, kept)
        held = f"SELECT * FROM read_csv('{file}', nullstr = '\\N', all_varchar = true)"
        present = f"SELECT COLUMNS(*)::VARCHAR FROM {table}"
        wanted, found = (
            # Types decide how values are written, so the older rows take the types of the table.
            migrated.execute(f"SELECT * FROM ({query}) ORDER BY ALL").fetchall()
            for query in (f"SELECT COLUMNS(*)::VARCHAR FROM ({typed(migrated, held, table)})", present)
        )
        assert found == wanted, table
        assert found, table


def typed(cursor: duckdb.DuckDBPyConnection, rows: str, table: str) -> str:
    """Texts with the types of a table's columns, by their place."""
    kinds = [row[1] for row in cursor.execute(f"DESCRIBE {table}").fetchall()]
    names = [row[0] for row in cursor.execute(f"DESCRIBE {rows}").fetchall()]
    return "SELECT " + ", ".join(f'"{n}"::{k} AS "{n}"' for n, k in zip(names, kinds, strict=True)) + f" FROM ({rows})"


def test_a_warehouse_of_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    Warehouse.open(file).close()
    newer = duckdb.connect(file)
    set_meta(newer, "layout_version", "99")
    newer.close()
    for _ in range(2):
        with pytest.raises(UserError, match="has layout 99, this Keepers knows"):
            Warehouse.open(file)


def test_no_rule_of_it_is_taken_for_another_one(workspace: Workspace) -> None:
    assert check_playbook(workspace, COMMAND_LINE, CheckPlaybook()).errors == 0
    assert plan_playbook(workspace, COMMAND_LINE, PlanPlaybook()).changes == ()
    numbered = "SELECT query_id, signature FROM standing_queries ORDER BY query_id"
    before = workspace.warehouse.cursor().execute(numbered).fetchall()
    with workspace.sequencing("a test") as ticker:
        done = ticker.tick(workspace.now() + timedelta(minutes=1))
    assert (done.entered, done.queued, done.changes) == (0, 0, 0)
    assert workspace.warehouse.cursor().execute(numbered).fetchall() == before


def test_it_goes_on_with_ticks_and_messages(workspace: Workspace) -> None:
    now = workspace.now() + timedelta(days=3)
    order = {
        "type": "track", "userId": "bob", "event": "Order Completed", "messageId": "after",
        "properties": {"total": 150, "order_id": 5}, "timestamp": now.isoformat() + "Z",
    }  # fmt: skip
    repeated = order | {"userId": "ann", "messageId": "o4", "timestamp": "2026-03-02T09:59:00Z"}
    send(workspace.store, now, [order, repeated])
    with workspace.sequencing("a test") as ticker:
        done = until_idle(ticker, now)
    assert (done.identified, done.entered, done.ended, done.queued) == (1, 1, 1, 1)
    with workspace.sending.deliverer("a test") as worker:
        assert worker.run_once(now).sent == 1
    with workspace.sequencing("a test") as ticker:
        until_idle(ticker, now)
    messages = list_messages(workspace, COMMAND_LINE, ListMessages()).items
    newest = max(messages, key=lambda one: one.id)
    assert (newest.message, newest.profile, newest.status) == ("hello", "bob", "sent")
    found = read_journey(workspace, COMMAND_LINE, ReadJourney(id="after_order"))
    assert (found.entered, found.active) == (2, 1)
    members = list_members(workspace, COMMAND_LINE, ListMembers(id="vip")).items
    assert len(members) == 2
    assert [place.stage for place in profile(workspace, "bob").lifecycles] == ["loyal", "maturity"]


def test_a_workspace_of_this_version_kept_as_text_is_the_same_workspace(tmp_path: Path, migrated_folder: Path) -> None:
    folder = lay_out(tmp_path / "shop", migrated_folder, lifecycles=["value"])
    with opened(folder) as workspace:
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
        now = workspace.now()
        order = {"type": "track", "event": "Order Completed", "properties": {"total": 150, "note": 'a\n"b", \\N'}}
        times = {"timestamp": now.isoformat() + "Z"}
        send(workspace.store, now, [order | times | {"userId": f"c{n}", "messageId": f"m{n}"} for n in range(3)])
        with workspace.sequencing("a test") as ticker:
            until_idle(ticker, now)
    kept = tmp_path / "workspace_of_this"
    write_text(folder, kept)
    again = read_text(kept, tmp_path / "again")
    with pytest.raises(FileExistsError):
        write_text(folder, kept)
    held = [everything(one) for one in (folder, again)]
    assert held[0] == held[1]
    assert len(held[0]["warehouse tracks"]) == 3
    with opened(again) as workspace:
        assert plan_playbook(workspace, COMMAND_LINE, PlanPlaybook()).changes == ()


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of every table of a workspace's stores that is not made again."""
    held = {}
    for name in SQLITE:
        connection = sqlite3.connect(folder / "data" / f"{name}.db")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        held |= {
            f"{name} {table}": sorted(connection.execute(f'SELECT * FROM "{table}"'), key=repr) for (table,) in tables
        }
        connection.close()
    warehouse = Warehouse.open(folder / "data" / "warehouse.duckdb")
    held |= {f"warehouse {table}": rows for table, rows in contents(warehouse).items()}
    warehouse.close()
    return held
