"""Everything held on a person is exported, and one list says what that is, for erasing too."""

from __future__ import annotations

import json
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.customers.export import ExportProfile, HeldRow, export_profile
from keepers.app.operations.maintenance import UnmergeProfile, unmerge
from keepers.app.use_cases.actor import COMMAND_LINE, Actor, NotAllowedError
from keepers.app.workspace.workspace import Workspace
from keepers.ingest.identify import identify
from keepers.model.consent import address_hash
from keepers.model.errors import ConflictError, NotFoundError, UserError
from keepers.store.journeys import entry_rejections
from keepers.store.journeys.entry_rejections import EntryRejection
from keepers.store.messages import coupons, in_app
from keepers.store.messages.coupons import CodeRequest
from keepers.store.messages.in_app import InAppRow
from keepers.store.privacy import personal_data
from keepers.store.profiles import push_subscriptions, suppressions
from keepers.store.profiles.push_subscriptions import PushSubscription
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.core import inbox_metadata, log, metadata
from keepers.warehouse import fixed_tables
from keepers.warehouse.privacy import personal_data as warehouse_data
from unit.app.test_locks import JOURNEY, LIFECYCLE
from unit.broadcasts.mailing import NOW, Shop, playbook
from workspaces import keepers, send


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Shop]:
    """For tests that change nothing."""
    made = make_shop(tmp_path_factory.mktemp("export") / "shop", migrated_folder)
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Iterator[Shop]:
    made = make_shop(tmp_path / "shop", migrated_folder)
    yield made
    made.close()


def make_shop(folder: Path, migrated_folder: Path, address: str | None = None) -> Shop:
    """Ida (u0) and Bob (u1): written to, in a journey, with a code, an inbox, a browser and an account each; Ida was
    somebody else before."""
    written = playbook(journeys=[JOURNEY], lifecycles=[LIFECYCLE], coupons=[{"id": "gift"}])
    made = Shop(folder, migrated_folder, written, address)
    ids = made.customers(size=2)
    store = made.workspace.store
    send(store, NOW, [
        {"type": "track", "anonymousId": "phone", "event": "Looked", "messageId": "l1"},
        {"type": "identify", "anonymousId": "phone", "userId": "u0", "messageId": "i1"},
        *({"type": "group", "userId": f"u{n}", "groupId": f"firm{n}", "messageId": f"g{n}"} for n in range(2)),
    ])  # fmt: skip
    made.tick()
    made.start()
    made.send()
    made.engage(ids, NOW)
    made.engage(ids, NOW, "https://example.com/spring")
    made.did("Order Completed", ["u0", "u1"], NOW)
    for name in ("u0", "u1"):
        with pytest.raises(ConflictError):  # it is in the audit log
            unmerge(made.workspace, COMMAND_LINE, UnmergeProfile(id=name))
    with store.begin() as connection:
        coupons.put(connection, "gift", ["A", "B"], NOW)
        coupons.assign(connection, [CodeRequest("gift", f"m{i}", i) for i in ids], NOW)
        in_app.put(connection, [InAppRow(i, 100 + i, "Hello", "You", "", NOW) for i in ids])
        for i in ids:
            push_subscriptions.put(
                connection, PushSubscription(f"https://push.example/{i}", i, {"auth": "secret"}, NOW, is_unproven=False)
            )
        hashed = address_hash(made.workspace.secret, "email", "u0@example.com")
        suppressions.add(connection, [Suppression("email", hashed, "manual", NOW, "test")])
        entry_rejections.record(connection, [EntryRejection("j", i, NOW, "caps", i) for i in ids])
    return made


def export(workspace: Workspace, name: str, limit: int = 1000) -> list[HeldRow]:
    page = export_profile(workspace, COMMAND_LINE, ExportProfile(id=name, limit=limit))
    rows = list(page.items)
    while page.next is not None:
        page = export_profile(workspace, COMMAND_LINE, ExportProfile(id=name, limit=limit, cursor=page.next))
        assert len(page.items) <= limit
        rows += page.items
    return rows


def by_section(rows: list[HeldRow]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row.section].append(row.data)
    return found


def test_every_section_holds_what_is_of_this_person_and_nothing_of_another(shared: Shop) -> None:
    found = by_section(export(shared.workspace, "u0"))
    sections = {held.section for held in personal_data.HELD if held.table is not log}
    sections |= {held.section for held in warehouse_data.HELD.values()} | {"profile"}
    assert set(found) == sections
    (profile,) = found["profile"]
    assert profile["traits"]["email"] == "u0@example.com"
    assert [place["stage"] for place in profile["lifecycles"]] == ["new"]
    assert {row["event"] for row in found["events"]} >= {"Looked", "Order Completed", "Email Delivered"} - {
        "Email Delivered"
    }
    assert {row["value"] for row in found["identities"]} == {"u0", "phone"}
    (merge,) = found["merges"]
    assert ["anonymous_id", "phone"] in merge["identities"]
    (copy,) = found["message_copies"]
    assert "Hello N0" in copy["html"]
    assert {row["url"] for row in found["link_hits"]} == {"", "https://example.com/spring"}
    assert [row["state"] for row in found["consents"]] == ["subscribed"]
    assert [(row["channel"], row["reason"]) for row in found["suppressions"]] == [("email", "manual")]
    assert [row["journey"] for row in found["journey_runs"]] == ["j"]
    assert [row["code"] for row in found["coupons"]] == ["A"]
    assert [set(row) for row in found["push_subscriptions"]] == [
        {"endpoint", "profile_id", "created_at", "is_unproven"}
    ]
    text = msgspec.json.encode(found, enc_hook=str).decode()
    # Whole values: two letters alone stand in many a token.
    for others in ("u1@example.com", "firm1", '"B"', '"N1"', "Hello N1"):
        assert others not in text


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_of_any_size_give_the_same(shared: Shop, limit: int) -> None:
    assert export(shared.workspace, "u0", limit) == export(shared.workspace, "u0")


def test_postgresql_gives_the_same_as_sqlite(
    shared: Shop, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("postgres").migrated()
    other = make_shop(tmp_path / "other", migrated_folder, address)
    try:
        counted = Counter(row.section for row in export(other.workspace, "u0", 3))
        assert counted == Counter(row.section for row in export(shared.workspace, "u0"))
    finally:
        other.close()
        request.getfixturevalue("postgres").drop(address)


def test_what_no_tick_has_loaded_is_in_it_too_and_once(shop: Shop) -> None:
    before = len(by_section(export(shop.workspace, "u0"))["events"])
    late = [{"type": "track", "userId": "u0", "event": f"Late {n}", "messageId": f"late{n}"} for n in range(5)]
    send(shop.workspace.store, NOW + timedelta(hours=1), late)
    identify(shop.workspace.store, NOW + timedelta(hours=1))
    unloaded = by_section(export(shop.workspace, "u0", 2))["events"]
    assert [row["event"] for row in unloaded[before:]] == [f"Late {n}" for n in range(5)]
    shop.tick(NOW + timedelta(hours=1))
    assert by_section(export(shop.workspace, "u0"))["events"][: len(unloaded)] == unloaded


def test_profiles_merged_in_several_steps_are_one_person(shop: Shop) -> None:
    send(shop.workspace.store, NOW, [
        {"type": "track", "anonymousId": "tablet", "event": "First", "messageId": "c1"},
        {"type": "track", "userId": "old", "event": "Second", "messageId": "c4"},
        {"type": "identify", "anonymousId": "tablet", "userId": "old", "messageId": "c2"},
        {"type": "alias", "previousId": "old", "userId": "u1", "messageId": "c3"},
    ])  # fmt: skip
    shop.tick()
    found = by_section(export(shop.workspace, "u1"))
    assert "First" in {row["event"] for row in found["events"]}
    into = {row["id"]: row["merged_into"] for row in found["profiles"]}
    (tablet,) = [one for one, survivor in into.items() if survivor is not None and into[survivor] is not None]
    assert {(row["from_id"], row["to_id"]) for row in found["merges"]} >= {(tablet, into[tablet])}
    unmerge(shop.workspace, COMMAND_LINE, UnmergeProfile(id=f"#{into[tablet]}"))
    assert "First" not in {row["event"] for row in by_section(export(shop.workspace, "u1"))["events"]}


def test_erasing_counts_what_was_exported_and_leaves_others_alone(shop: Shop) -> None:
    with shop.workspace.sequencing("a test") as ticker:
        ticker.take_in(shop.workspace.clock())
    before = Counter(row.section for row in export(shop.workspace, "u0"))
    others = export(shop.workspace, "u1")
    gone = erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id="u0"))
    counted = msgspec.to_builtins(gone)
    for held in personal_data.HELD:
        if held.at_erasure == "added":
            assert held.section not in counted
        elif held.table is not log:
            # The audit log has the export and the erasure too, which no export shows.
            assert counted[held.section] >= before[held.section] > 0, held.section
    assert counted["log"] > before["events"]
    with pytest.raises(NotFoundError):
        export(shop.workspace, "u0")
    as_of = {"as_of"}
    assert [(r.section, {k: v for k, v in r.data.items() if k not in as_of}) for r in export(shop.workspace, "u1")] == [
        (r.section, {k: v for k, v in r.data.items() if k not in as_of}) for r in others
    ]


NAMES_A_PERSON = {
    "profile_id", "account_id", "from_id", "to_id", "other_id", "merged_into", "run_id", "message_id", "hash",
    "address_hash", "recipient", "message_key",
}  # fmt: skip


def test_every_table_is_in_one_of_the_lists() -> None:
    """A table that is new has to be in one: held on a person, or with the reason why it holds nothing of theirs."""
    listed = {held.table.name for held in personal_data.HELD}
    tables = {**metadata.tables, **inbox_metadata.tables}
    assert listed | personal_data.NOT_HELD.keys() == tables.keys()
    assert not listed & personal_data.NOT_HELD.keys()
    for held in personal_data.HELD:
        assert set(held.columns) | held.hidden | held.texts <= set(held.table.columns.keys())


def test_every_table_of_the_warehouse_that_names_a_person_is_in_one_list(shared: Shop) -> None:
    columns: dict[str, set[str]] = defaultdict(set)
    rows = shared.workspace.warehouse.cursor().execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND database_name <> 'temp'"
    )
    for table, column in rows.fetchall():
        columns[table].add(column)
    naming = {table for table, names in columns.items() if NAMES_A_PERSON & names}
    typed = {
        row[0]
        for row in shared.workspace.warehouse.cursor()
        .execute("SELECT physical FROM event_names WHERE physical <> ''")
        .fetchall()
    }
    assert typed
    assert naming - typed == {*warehouse_data.HELD, *warehouse_data.DERIVED}
    assert not warehouse_data.HELD.keys() & warehouse_data.DERIVED.keys()
    assert naming - typed <= fixed_tables.FIXED.keys()


def test_it_needs_the_permission_to_erase(shared: Shop) -> None:
    reader = Actor("key", "dashboard", frozenset({"read", "send"}), is_proven=True)
    with pytest.raises(NotAllowedError):
        export_profile(shared.workspace, reader, ExportProfile(id="u0"))


def test_nobody_and_a_cursor_of_another_are_refused(shared: Shop) -> None:
    with pytest.raises(NotFoundError):
        export_profile(shared.workspace, COMMAND_LINE, ExportProfile(id="nobody"))
    page = export_profile(shared.workspace, COMMAND_LINE, ExportProfile(id="u0", limit=1))
    with pytest.raises(UserError, match="not made by this listing"):
        export_profile(shared.workspace, COMMAND_LINE, ExportProfile(id="u1", cursor=page.next))


def test_the_command_writes_one_document(shop: Shop, tmp_path: Path) -> None:
    rows = export(shop.workspace, "u0")
    shop.workspace.close()
    printed = keepers("-w", shop.folder, "export", "u0").json
    assert {section: len(listed) for section, listed in printed["sections"].items()} == Counter(
        row.section for row in rows
    )
    file = tmp_path / "ida.json"
    report = keepers("-w", shop.folder, "export", "u0", "--output", file, "--json").json
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["sections"].keys() == printed["sections"].keys()
    assert report == {"id": found["id"], "file": str(file), "rows": {s: len(r) for s, r in found["sections"].items()}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if "unfinished" in one.name] == []
    people = keepers("-w", shop.folder, "export", "u0", "--output", file)
    assert "message_copies" in people.out
    refused = keepers("-w", shop.folder, "export", "u0", "--output", tmp_path / "nowhere" / "ida.json")
    assert (refused.code, "cannot be written" in refused.err) == (2, True)
    assert keepers("-w", shop.folder, "export", "nobody", "--output", tmp_path / "none.json").code == 2
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("none")]
