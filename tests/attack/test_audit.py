"""The audit log: nothing that changes something escapes it, and nothing secret or personal gets into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from msgspec import Struct
from sqlalchemy import select, text

from keepers.app.access.audit import AuditPage, ReadAudit, read_audit
from keepers.app.access.keys import CreateKey, ListKeys, create_key, list_keys
from keepers.app.customers.consents import RecordConsent, record_consent
from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.customers.export import ExportProfile, export_profile
from keepers.app.customers.suppressions import AddSuppressions, add_suppressions
from keepers.app.messaging.channel_secrets import MakeWebhookSecret, make_webhook_secret
from keepers.app.messaging.journeys import (
    AddStarterJourneys,
    EnrollCustomers,
    LeaveJourney,
    add_starter_journeys,
    enroll_customers,
    leave_journey,
)
from keepers.app.messaging.sending_switches import StopSending, stop_sending
from keepers.app.operations import upkeep
from keepers.app.operations.maintenance import RunTick, UnmergeProfile, tick, unmerge
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE, VISITOR, Actor, NotAllowedError
from keepers.app.use_cases.audit_fields import is_harmless
from keepers.app.use_cases.progress import no_progress
from keepers.app.use_cases.use_case import UseCase
from keepers.app.workspace.workspace import Workspace
from keepers.http.management.router import USE_CASES
from keepers.model.errors import KeepersError, NotFoundError
from keepers.playbook.shipped.journeys import starters
from keepers.store.journeys import runs
from keepers.store.schema.core import audit_log
from unit.broadcasts.mailing import NOW, Shop, playbook
from workspaces import keepers

AUDITED = [one for one in USE_CASES if one.is_audited]
SLOW = {"id": "slow", "enter": [{"event": "Never"}], "steps": [{"id": "pause", "delay": "30d"}]}
READER = Actor("key", "dashboard", frozenset({"read"}), id="key_reader", is_proven=True)


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Shop]:
    address = request.getfixturevalue("postgres").migrated() if request.param == "postgres" else None
    made = Shop(tmp_path / "shop", migrated_folder, playbook(journeys=[SLOW]), address)
    made.customers(size=2)
    made.tick()
    yield made
    made.close()
    if address is not None:
        request.getfixturevalue("postgres").drop(address)


def audit(workspace: Workspace, **wanted: Any) -> AuditPage:
    return read_audit(workspace, COMMAND_LINE, ReadAudit(**wanted))


def test_whatever_changes_something_is_audited_and_says_what_of_its_fields_is_kept() -> None:
    assert {one.name for one in USE_CASES if one.changes and not one.is_audited} == {"replay_journey"}
    assert len(AUDITED) > 30
    for one in AUDITED:
        hints = get_type_hints(one.request, include_extras=True)
        undeclared = {name for name, hint in hints.items() if name not in one.audit and not is_harmless(hint)}
        assert not undeclared, f"{one.name}: say in `audit` what is kept of {undeclared}"
        assert set(one.audit) <= set(hints), one.name


def _secrets() -> list[tuple[UseCase[Any, Any], Struct]]:
    return [
        (create_key, CreateKey(kind="server", token="LEAK-token-of-24-characters-")),
        (add_suppressions, AddSuppressions(channel="email", addresses=["LEAK@mail.example"], detail="LEAK said so")),
        (record_consent, RecordConsent(id="u0", channel="email", topic="news", state="subscribed", source="desk",
                                       wording="LEAK agreed")),
        (enroll_customers, EnrollCustomers(id="none", profiles=["LEAK"], data={"LEAK": "LEAK"})),
        (apply_playbook, ApplyPlaybook(files={"own2.yaml": "# LEAK\n"})),
        (unmerge, UnmergeProfile(id="LEAK-unknown")),
    ]  # fmt: skip


def test_nothing_secret_and_nothing_personal_gets_into_it(shop: Shop) -> None:
    workspace = shop.workspace
    before = len(audit(workspace, limit=200).items)
    for use_case, request in _secrets():
        with suppress(NotFoundError):
            use_case(workspace, COMMAND_LINE, request)
    made = audit(workspace, limit=200).items
    assert len(made) == before + len(_secrets())
    with workspace.store.read() as connection:
        written = str([tuple(row) for row in connection.execute(select(audit_log))])
    for leaked in ("LEAK", "u0", "mail.example"):
        assert leaked not in written
    about = {one.use_case: one for one in reversed(made)}
    assert about["record_consent"].profile == f"#{workspace.find_profile('u0')}"
    assert about["add_suppressions"].request["addresses"] == "… (1)"
    assert about["apply_playbook"].request["files"] == ["own2.yaml"]
    assert about["unmerge"].outcome == "failed: not_found"


def test_erasing_somebody_takes_them_out_of_it(shop: Shop) -> None:
    workspace = shop.workspace
    number = workspace.find_profile("u0")
    with pytest.raises(KeepersError):
        unmerge(workspace, COMMAND_LINE, UnmergeProfile(id="u0"))
    exported = export_profile(workspace, COMMAND_LINE, ExportProfile(id="u0", limit=1000))
    assert [row.data["use_case"] for row in exported.items if row.section == "audit_log"] == ["unmerge"]
    assert {one.profile for one in audit(workspace).items} >= {f"#{number}"}
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u0"))
    entries = audit(workspace).items
    assert {one.use_case for one in entries} >= {"erase_profile", "unmerge", "export_profile"}
    assert {one.profile for one in entries} == {None}
    assert f"#{number}" not in msgspec.json.encode([(one.target, one.request) for one in entries]).decode()


def test_who_may_not_is_recorded_with_the_attempt(shop: Shop) -> None:
    with pytest.raises(NotAllowedError):
        stop_sending(shop.workspace, READER, StopSending(reason="because"))
    with pytest.raises(NotAllowedError):
        read_audit(shop.workspace, READER, ReadAudit())
    with pytest.raises(NotAllowedError):
        list_keys(
            shop.workspace, Actor("key", "sender", frozenset({"send"}), id="key_sender", is_proven=True), ListKeys()
        )
    entries = audit(shop.workspace).items[:3]
    assert [(one.use_case, one.outcome, one.actor) for one in reversed(entries)] == [
        ("stop_sending", "refused", "dashboard"),
        ("read_audit", "refused", "dashboard"),
        ("list_keys", "refused", "sender"),
    ]
    with pytest.raises(NotAllowedError):
        list_keys(shop.workspace, VISITOR, ListKeys())
    assert audit(shop.workspace).items[:3] == entries, "anybody may be a visitor"


def test_only_what_may_change_something_wakes_the_loops(shop: Shop) -> None:
    """An audited call that only hands something out woke them too."""
    woken: list[str] = []
    shop.workspace.wake = lambda: woken.append("")
    export_profile(shop.workspace, COMMAND_LINE, ExportProfile(id="u0"))
    make_webhook_secret(shop.workspace, COMMAND_LINE, MakeWebhookSecret())
    assert woken == []
    stop_sending(shop.workspace, COMMAND_LINE, StopSending(reason="x"))
    assert woken == [""]


def test_a_list_that_a_call_is_about_is_kept_as_names(shop: Shop) -> None:
    ids = sorted(starters())[:2]
    add_starter_journeys(shop.workspace, COMMAND_LINE, AddStarterJourneys(ids=ids))
    assert audit(shop.workspace).items[0].target == " ".join(ids)


def test_taking_somebody_out_of_a_journey_names_them_until_they_are_erased(shop: Shop) -> None:
    workspace = shop.workspace
    number = workspace.find_profile("u0")
    enroll_customers(workspace, COMMAND_LINE, EnrollCustomers(id="slow", profiles=["u0"]))
    shop.tick()
    with workspace.store.read() as connection:
        (run,) = runs.of_profiles(connection, [number])[number]
    leave_journey(workspace, COMMAND_LINE, LeaveJourney(run=run.id))
    (entry,) = audit(workspace, use_case="leave_journey").items
    assert (entry.profile, entry.request["run"]) == (f"#{number}", run.id)
    with pytest.raises(NotFoundError):
        leave_journey(workspace, COMMAND_LINE, LeaveJourney(run=10_000))
    assert audit(workspace).items[0].profile is None
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u0"))
    assert {one.profile for one in audit(workspace, use_case="leave_journey").items} == {None}


def test_where_nothing_can_be_recorded_nothing_is_done(shop: Shop) -> None:
    with shop.workspace.store.begin() as connection:
        connection.execute(text("ALTER TABLE audit_log RENAME TO audit_log_gone"))
    with pytest.raises(Exception, match="audit_log"):
        stop_sending(shop.workspace, COMMAND_LINE, StopSending(reason="x"))
    with shop.workspace.store.begin() as connection:
        connection.execute(text("ALTER TABLE audit_log_gone RENAME TO audit_log"))
        assert connection.execute(text("SELECT count(*) FROM switches")).scalar_one() == 0


def test_a_call_that_never_ended_is_seen(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that is killed: the outcome is never written."""
    from keepers.app.use_cases import auditing

    monkeypatch.setattr(auditing, "_end", lambda *_: None)
    stop_sending(shop.workspace, COMMAND_LINE, StopSending(reason="x"))
    assert audit(shop.workspace, use_case="stop_sending").items[0].outcome == "begun"


def test_it_is_paged_filtered_and_pruned(shop: Shop) -> None:
    workspace = shop.workspace
    now = datetime(2026, 11, 1)
    workspace.clock = lambda: now
    for n in range(5):
        now = datetime(2026, 11, 1 + n)
        tick(workspace, COMMAND_LINE, RunTick(now=(NOW + timedelta(hours=n)).isoformat()))
    found = audit(workspace, use_case="tick", since="2026-11-02", until="2026-11-05", limit=2)
    assert [one.at.day for one in found.items] == [4, 3]
    rest = audit(workspace, use_case="tick", since="2026-11-02", until="2026-11-05", limit=2, cursor=found.next)
    assert ([one.at.day for one in rest.items], rest.next) == ([2], None)
    with pytest.raises(KeepersError, match="cursor"):
        audit(workspace, use_case="stop", cursor=found.next)
    now = datetime(2026, 11, 4) + timedelta(days=workspace.settings.audit.keep_days)
    with workspace.sequencing("a test"):
        upkeep.run_retention(workspace, now, no_progress)
    assert {one.at for one in audit(workspace, use_case="tick").items} == {datetime(2026, 11, 4), datetime(2026, 11, 5)}


def test_the_command_shows_it(shop: Shop) -> None:
    stop_sending(shop.workspace, COMMAND_LINE, StopSending(reason="wrong price"))
    ran = keepers("-w", shop.workspace.folder, "audit", "--use-case", "stop_sending")
    assert ran.code == 0, ran.err
    assert "stop_sen" in ran.out
    (entry,) = keepers("-w", shop.workspace.folder, "audit", "--use-case", "stop_sending", "--json").json["items"]
    assert (entry["outcome"], entry["request"]) == ("done", {"reason": "wrong price"})
