"""A use case writes no more than the lock that it declares covers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from sqlalchemy import text

from keepers.app.operations.operations import operations_of
from keepers.app.use_cases.actor import COMMAND_LINE, Actor
from keepers.app.use_cases.progress import no_progress
from keepers.app.use_cases.use_case import UseCase, use_case
from keepers.app.workspace.workspace import Workspace
from keepers.http.management.router import USE_CASES
from keepers.ingest.identify import identify
from keepers.model.errors import ConflictError, KeepersError
from keepers.model.write_scope import Lock, WriteScopeError, write_scope
from keepers.store import meta
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from unit.broadcasts.mailing import NOW, Shop, playbook

FREE = [what for what in USE_CASES if what.lock == "free"]
LIFECYCLE = {
    "id": "l", "name": "L", "of": "person",
    "stages": [{"id": "bought", "when": {"did": "Order Completed"}}, {"id": "new", "when": "anyone"}],
}  # fmt: skip
JOURNEY = {
    "id": "j", "name": "J", "enter": [{"event": "Order Completed"}],
    "steps": [{"id": "pause", "delay": "1d"}, {"id": "mail", "message": "again"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Shop]:
    """Customers in stages, in a journey and written to, with one code left in a pool."""
    written = playbook(journeys=[JOURNEY], lifecycles=[LIFECYCLE], coupons=[{"id": "pool"}])
    made = Shop(tmp_path_factory.mktemp("locks") / "shop", migrated_folder, written)
    ids = made.customers(size=3)
    made.start()
    made.send()
    made.engage(ids, NOW)
    made.did("Order Completed", ["u0"], NOW)
    yield made
    made.close()


@pytest.fixture
def workspace(shop: Shop) -> Workspace:
    return shop.workspace


GIVEN: dict[str, Any] = {
    "condition": {"did": "Order Completed"}, "channel": "email", "address": "u0@example.com", "number": 1,
    "message": "spring", "kind": "segment",
}  # fmt: skip
IDS = {
    "read_segment": "vip", "list_members": "vip", "count_segment": "vip", "read_definition": "vip",
    "read_lifecycle": "l", "read_stage_history": "l", "list_moves": "l",
    "preview_broadcast": "b", "list_sendings": "b",
    "read_journey": "j", "list_runs": "j",
}  # fmt: skip


def request_for(what: UseCase[Any, Any], workspace: Workspace, folder: Path) -> Struct:
    """What asks a use case for something that is there."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(what.request):
        if field.name == "id":
            values["id"] = IDS.get(what.name, "u0")
        elif field.name in ("path", "mapping"):
            values |= _file_for(what.name, folder)
        elif field.required:
            values[field.name] = GIVEN[field.name]
    if "operation" in what.name:
        operations = operations_of(workspace)
        values["id"] = operations.start(FREE[0], COMMAND_LINE, FREE[0].request()).id
        changed = Event()
        with operations.watched(values["id"], changed.set):
            while operations.get(values["id"]).status == "running":
                assert changed.wait(10)
    return msgspec.convert(values, what.request)


def _file_for(name: str, folder: Path) -> dict[str, Any]:
    file = folder / "file"
    match name:
        case "preview_import":
            file.write_text("who,at\nu0,2026-03-01\n")
            return {"path": f"{file}", "mapping": {"profile": "who", "event": "Review", "time": "at", "format": "csv"}}
        case "count_condition_file":
            file.write_text("did: Order Completed\n")
        case "check_playbook" | "plan_playbook":
            return {}
    return {"path": str(file)}


def kept(workspace: Workspace) -> str:
    """A digest of every row of the store and of the warehouse, without the audit log: each call adds to it."""
    digest = hashlib.sha256()
    for engine in (workspace.store.engine, workspace.store.inbox_engine):
        with engine.connect().execution_options(is_reading=True) as connection:
            named = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            audited = {"audit_log", "sqlite_sequence"}
            for table in [one for one in connection.execute(text(named)).scalars().all() if one not in audited]:
                digest.update(repr(connection.execute(text(f'SELECT * FROM "{table}"')).all()).encode())
    cursor = workspace.warehouse.cursor()
    named = "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY table_name"
    for (table,) in cursor.execute(named).fetchall():
        rows = cursor.execute(f'SELECT count(*), bit_xor(hash(t)), sum(hash(t)) FROM "{table}" t').fetchall()
        digest.update(repr((table, rows)).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("what", FREE, ids=lambda one: one.name)
def test_what_is_declared_free_writes_nothing(what: UseCase[Any, Any], workspace: Workspace, tmp_path: Path) -> None:
    request = request_for(what, workspace, tmp_path)
    assert workspace.cursor_secret, "it is made by whoever first needs it"
    assert workspace.secret, "and so is this"
    workspace.listening_at = "http://127.0.0.1:8787"
    before = kept(workspace)
    has_ended = pytest.raises(ConflictError, match="has ended")
    with has_ended if what.name == "cancel_operation" else nullcontext():
        what(workspace, COMMAND_LINE, request, no_progress)
    assert kept(workspace) == before


class Nothing(Struct, frozen=True):
    """Nothing is asked, and nothing answered."""


def put_a_row(workspace: Workspace) -> None:
    with workspace.store.begin() as connection:
        meta.put(connection, "test", "written")


def put_into_the_inbox(workspace: Workspace) -> None:
    with workspace.store.begin_inbox():
        pass


def append_to_the_log(workspace: Workspace) -> None:
    with workspace.store.begin() as connection:
        log.append_events(connection, [SystemEvent(1, "Tested", NOW, {}, trust="own")], NOW)


def identify_what_arrived(workspace: Workspace) -> None:
    identify(workspace.store, NOW)


def write_to_the_warehouse(workspace: Workspace) -> None:
    with workspace.warehouse.transaction():
        pass


def hold_the_writers_place(workspace: Workspace) -> None:
    with workspace.warehouse.writing():
        pass


def advance_journeys(workspace: Workspace) -> None:
    workspace.advancer.advance(workspace.active_playbook(), workspace.active_queries(), NOW, 0)


def tick(workspace: Workspace) -> None:
    workspace.ticker.tick(NOW)


def take_the_sequence(workspace: Workspace) -> None:
    with workspace.sequencing("a test"):
        pass


ROWS = (put_a_row, put_into_the_inbox, append_to_the_log)
SEQUENCE = (
    identify_what_arrived, write_to_the_warehouse, hold_the_writers_place, advance_journeys, tick, take_the_sequence,
)  # fmt: skip


def declared(lock: Lock, work: Any) -> UseCase[Nothing, Nothing]:
    @use_case("POST /test", permission="manage", lock=lock)
    def tested(workspace: Workspace, actor: Actor, request: Nothing) -> Nothing:
        work(workspace)
        return Nothing()

    return tested


@pytest.mark.parametrize(
    ("lock", "work"),
    [*(("free", work) for work in (*ROWS, *SEQUENCE)), *(("locked", work) for work in SEQUENCE)],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_what_writes_more_than_it_declares_is_refused(lock: Lock, work: Any, workspace: Workspace) -> None:
    before = kept(workspace)
    with pytest.raises(WriteScopeError, match=f"tested is declared {lock}, but"):
        declared(lock, work)(workspace, COMMAND_LINE, Nothing())
    assert kept(workspace) == before


@pytest.mark.parametrize(
    ("lock", "work"),
    [*(("locked", work) for work in ROWS), *(("sequenced", work) for work in (*ROWS, *SEQUENCE))],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_what_writes_as_it_declares_may(lock: Lock, work: Any, workspace: Workspace) -> None:
    assert declared(lock, work)(workspace, COMMAND_LINE, Nothing()) == Nothing()


def test_a_use_case_called_by_another_writes_no_more_than_that(workspace: Workspace) -> None:
    inner = declared("locked", put_a_row)

    def call_inner(workspace: Workspace) -> None:
        inner(workspace, COMMAND_LINE, Nothing())

    with pytest.raises(WriteScopeError, match="tested, which is declared locked, is called"):
        declared("free", call_inner)(workspace, COMMAND_LINE, Nothing())
    assert declared("sequenced", call_inner)(workspace, COMMAND_LINE, Nothing()) == Nothing()


def test_the_scope_ends_with_the_use_case_also_when_it_fails(workspace: Workspace) -> None:
    def fail(workspace: Workspace) -> None:
        raise KeepersError("It failed.")

    with pytest.raises(KeepersError, match="It failed"):
        declared("free", fail)(workspace, COMMAND_LINE, Nothing())
    put_a_row(workspace)


def test_secrets_are_made_by_what_only_reads(tmp_path: Path, migrated_folder: Path) -> None:
    fresh = Shop(tmp_path / "fresh", migrated_folder, playbook())
    try:
        with write_scope("free", "a test"):
            made = fresh.workspace.cursor_secret, fresh.workspace.secret
        fresh.reopen()
        assert (fresh.workspace.cursor_secret, fresh.workspace.secret) == made
    finally:
        fresh.close()
