"""The commands about journeys, messages and consent: from a customer's entry to why, where mail really goes out."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import workspaces
from conftest import ENGINES
from keepers.app.messaging.delivery import deliver
from keepers.app.messaging.uncertain_messages import UncertainSettled
from keepers.app.workspace.clock import clock
from keepers.cli.present.messages import settled
from keepers.model.errors import ConflictError
from keepers.store.messages import messages as stored
from stories.command_shop import Shop, signed_up
from workspaces import keepers


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Shop]:
    address = request.getfixturevalue("postgres").migrated() if request.param == "postgres" else None
    with signed_up(tmp_path / "shop", migrated_folder, address) as opened:
        yield opened


def test_from_entry_to_mail_and_why(shop: Shop) -> None:
    (journey,) = shop.json_of("journeys")["items"]
    assert (journey["entered"], journey["active"], journey["is_paused"]) == (2, 2, False)
    assert shop.json_of("deliver", "--once")["sent"] == 1
    assert shop.mail() == ["ann@example.com: Welcome, ann"]

    detail = shop.json_of("journey", "show", "welcome")
    hello, rest = detail["steps"]
    assert (hello["entered"], hello["passed"], hello["messages"]) == (2, 2, {"sent": 1, "skipped": 1})
    assert [(s["reason"], s["number"]) for s in hello["skipped"]] == [("no_consent", 1)]
    assert (rest["entered"], rest["waiting"], rest["passed"]) == (2, 2, 0)

    sent, skipped = sorted(shop.json_of("messages")["items"], key=lambda one: one["profile"])
    assert (sent["status"], skipped["status"], skipped["reason"]) == ("sent", "skipped", "no_consent")
    assert [m["profile"] for m in shop.json_of("messages", "--status", "skipped")["items"]] == ["bob"]
    assert [m["id"] for m in shop.json_of("messages", "--profile", "ann", "--journey", "welcome")["items"]] == [
        sent["id"]
    ]
    whole = shop.json_of("message", "show", sent["id"])
    assert whole["copy"]["subject"] == "Welcome, ann"
    assert [one["code"] for one in whole["timeline"]] == ["decided", "sent"]
    page = shop.folder / "copy.html"
    assert "Welcome, ann" in shop.shown("message", "show", sent["id"], "--html", page)
    assert "<html" in page.read_text()

    why = shop.json_of("why", "bob")
    assert [(one["kind"], one["code"], one["reason"]) for one in why["lines"]][:2] == [
        ("run", "entered", ""),
        ("run", "passed", "no_consent"),
    ]
    (message,) = [one for one in why["lines"] if one["kind"] == "message"]
    assert message["says"] == "“hello” was not sent; the customer has not agreed to this topic."
    (waiting,) = why["waiting"]
    assert (waiting["step"], waiting["is_paused"]) == ("rest", False)
    assert "Order Shipped" in waiting["waits_for"]
    assert waiting["until"] is not None
    assert "Order Completed" in waiting["leaves"][0]
    assert "клиент не давал согласия" in shop.shown("why", "bob", "--locale", "ru")
    consent = [one["says"] for one in shop.json_of("why", "ann")["lines"] if one["kind"] == "consent"]
    assert consent == ["Agreed to “Tips” by email (checkout)."]


def test_pausing_leaving_and_entering_by_hand(shop: Shop) -> None:
    assert shop.json_of("journey", "pause", "welcome", "--reason", "wrong price")["is_paused"]
    assert "paused" in shop.refused("journey", "pause", "welcome")
    assert shop.json_of("journeys")["items"][0]["is_paused"]
    assert shop.json_of("deliver", "--once")["sent"] == 0
    assert shop.json_of("journey", "resume", "welcome")["runs"] == 2
    assert shop.json_of("deliver", "--once")["sent"] == 1

    counted = shop.json_of("enroll", "welcome", "--segment", "readers")
    assert (counted["count"], counted["enrolled"]) == (2, 0)
    assert "--yes" in shop.shown("enroll", "welcome", "--segment", "readers")
    assert shop.json_of("enroll", "welcome", "--segment", "readers", "--yes")["enrolled"] == 2
    shop.json_of("tick")
    (refused,) = shop.json_of("journey", "show", "welcome")["refused"]
    assert (refused["reason"], refused["number"]) == ("already_entered", 2)
    (entry,) = [one for one in shop.json_of("why", "ann", "--journey", "welcome")["lines"] if one["kind"] == "entry"]
    assert entry["says"].startswith("Did not enter the journey “welcome”")

    (waiting,) = shop.json_of("why", "ann")["waiting"]
    assert shop.json_of("leave", waiting["run"])["status"] == "ended"
    assert "ended already" in shop.refused("leave", waiting["run"])
    assert shop.json_of("why", "ann")["waiting"] == []
    assert "no journey" in shop.refused("journey", "show", "welcom")


def test_nothing_goes_out_while_sending_is_stopped(shop: Shop) -> None:
    shop.json_of("stop-sending", "--reason", "wrong price")
    assert shop.json_of("breakers")["is_sending"] is False
    assert "wrong price" in shop.shown("breakers")
    assert shop.json_of("deliver", "--once")["sent"] == 0
    shop.json_of("start-sending")
    assert shop.json_of("deliver", "--once")["sent"] == 1
    assert "No circuit breaker" in shop.refused("breakers", "release", "email.marketing")


def test_preview_test_send_and_dead_letters(shop: Shop) -> None:
    page = shop.folder / "page.html"
    seen = shop.json_of("message", "preview", "hello", "--profile", "bob", "--html", page)
    assert seen["content"]["subject"] == "Welcome, bob"
    assert "<html" in page.read_text()
    assert "Welcome, bob" in shop.shown("message", "preview", "hello", "--profile", "bob")
    assert shop.json_of("message", "test", "hello", "--to", "me@shop.example", "--profile", "bob")["status"] == "sent"
    assert shop.mail() == ["me@shop.example: Welcome, bob"]
    assert shop.json_of("dead-letters")["items"] == []
    assert "no dead letters" in shop.shown("dead-letters")
    sent = shop.json_of("messages", "--profile", "ann")["items"][0]["id"]
    assert shop.json_of("message", "retry", sent) == {"asked": 1, "queued": 0}
    assert "no message" in shop.refused("message", "retry", 999)
    assert shop.json_of("machine-rules", "rerun") == {"judged_otherwise": 0}


def test_uncertain_messages_are_counted_apart_and_settled_together_with_the_risk_shown_first(shop: Shop) -> None:
    assert shop.json_of("deliver", "--once")["sent"] == 1
    sent = shop.json_of("messages", "--profile", "ann")["items"][0]["id"]
    with workspaces.opened(shop.folder) as workspace, workspace.store.begin() as connection:
        stored.put_status(connection, [(sent, "uncertain", "worker_died")], clock())
    assert keepers("-w", shop.folder, "doctor", "--json").json["sending"]["uncertain"] == 1
    (listed,) = shop.json_of("journeys")["items"]
    assert listed["messages"] == {"skipped": 1, "uncertain": 1}
    assert "uncertain" in shop.shown("journeys")
    assert "which uncertain messages" in shop.refused("message", "settle", "retry")
    assert "not a time" in shop.refused("message", "settle", "retry", "--since", "soon")
    shown = shop.shown("message", "settle", "retry", "--journey", "welcome")
    assert "Uncertain messages: 1." in shown
    assert "twice" in shown
    assert "--yes" in shown
    counted = shop.json_of("message", "settle", "retry", "--journey", "welcome")
    assert (counted["count"], counted["settled"]) == (1, 0)
    assert shop.json_of("message", "settle", "retry", "--journey", "other", "--yes")["settled"] == 0
    assert "1 uncertain message queued again" in shop.shown("message", "settle", "retry", "--channel", "email", "--yes")
    sending = keepers("-w", shop.folder, "doctor", "--json").json["sending"]
    assert (sending["uncertain"], sending["waiting"]) == (0, 1)


def test_settling_what_has_no_address_any_more_says_that_and_not_to_repeat_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = UncertainSettled("retry", 2, 2, 0, "The risk.")
    settled(answer, is_dry_run=True)
    assert capsys.readouterr().out == "The risk.\nNothing was changed. Say it again with --yes to do it.\n"
    settled(answer, is_dry_run=False)
    assert capsys.readouterr().out == (
        "0 uncertain messages queued again.\n"
        "2 stay uncertain: their addresses are kept no longer. Settle them as sent or not_sent.\n"
    )


def test_consent_is_shown_imported_and_exported(shop: Shop, tmp_path: Path) -> None:
    seen = shop.json_of("consent", "show", "bob")
    assert [(t["topic"], t["state"], t["may_be_written_to"]) for t in seen["topics"]] == [("tips", None, False)]
    file = tmp_path / "consent.csv"
    file.write_text(
        "profile,channel,topic,state,at\nbob,email,tips,subscribed,2026-01-05\nnobody,email,tips,subscribed,\n"
        "bob,email,tip,subscribed,\nbob,email,tips,maybe,\n"
    )
    report = shop.json_of("consent", "import", file)
    assert (report["taken"], [p["line"] for p in report["problems"]]) == (1, [3, 4, 5])
    (topic,) = shop.json_of("consent", "show", "bob")["topics"]
    assert (topic["state"], topic["since"], topic["may_be_written_to"]) == ("subscribed", "2026-01-05T00:00:00Z", True)
    out = tmp_path / "out.csv"
    assert shop.json_of("consent", "export", out)["written"] == 2
    rows = list(csv.DictReader(out.open()))
    assert {(r["profile"], r["state"], r["source"]) for r in rows} == {
        ("ann", "subscribed", "checkout"),
        ("bob", "subscribed", "import consent.csv"),
    }
    assert shop.json_of("consent", "import", out)["rejected"] == 0
    assert "no topic" in shop.refused("consent", "set", "bob", "email", "tip", "subscribed")
    assert "subscribed" in shop.refused("consent", "set", "bob", "email", "tips", "subscribd")
    assert "cannot be read" in shop.refused("consent", "import", tmp_path / "none.csv")


def test_suppression_by_hand_and_by_file_keeps_hashes_alone(shop: Shop, tmp_path: Path) -> None:
    assert shop.json_of("suppress", "add", "email", "Ann@Example.com", "--detail", "asked by phone")["suppressed"] == 1
    assert shop.json_of("deliver", "--once")["skipped"] == 1
    (one,) = shop.json_of("suppress", "list", "--channel", "email", "--address", "ann@example.com")["items"]
    assert (one["reason"], one["detail"]) == ("manual", "asked by phone")
    lines = [line["says"] for line in shop.json_of("why", "ann")["lines"] if line["kind"] == "suppression"]
    assert lines == ["The email address was suppressed: the address was suppressed by hand; asked by phone."]
    file = tmp_path / "suppressed.csv"
    assert shop.json_of("suppress", "export", file)["written"] == 1
    assert "example.com" not in file.read_text()
    assert shop.json_of("suppress", "lift", "email", "ann@example.com")["lifted"]
    assert "not suppressed" in shop.refused("suppress", "lift", "email", "ann@example.com")
    assert shop.json_of("suppress", "import", file)["taken"] == 1
    file.write_text("email,reason\nbob@example.com,complaint\nx@example.com,whim\n,\n")
    report = shop.json_of("suppress", "import", file)
    assert (report["taken"], report["rejected"]) == (1, 2)
    assert "channel" in shop.refused("suppress", "list", "--address", "bob@example.com")
    assert {one["reason"] for one in shop.json_of("suppress", "list")["items"]} == {"manual", "complaint"}


def test_a_suppressed_number_is_one_however_it_is_written(shop: Shop) -> None:
    assert "country" in shop.refused("suppress", "add", "sms", "600 100 200")
    assert shop.json_of("suppress", "add", "sms", "+48 600-100-200", "0048600100200")["suppressed"] == 1
    with (shop.folder / "keepers.toml").open("a", encoding="utf-8") as settings:
        settings.write('[channels.sms]\nurl = "https://sms.example"\ncountry = "PL"\n')
    (one,) = shop.json_of("suppress", "list", "--channel", "sms", "--address", "600 100 200")["items"]
    assert one["reason"] == "manual"
    assert shop.json_of("suppress", "lift", "sms", "600100200")["lifted"]


def test_coupons_are_counted_and_taken_in_once(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("code\nA1\nB2\nA1\n\nC3\n")
    assert shop.json_of("coupons", "import", "gift", file) == {
        "pool": "gift",
        "read": 3,
        "added": 3,
        "known_already": 0,
    }
    assert shop.json_of("coupons", "import", "gift", file)["added"] == 0
    (pool,) = shop.json_of("coupons", "status")["items"]
    assert (pool["left"], pool["taken"], pool["is_low"]) == (3, 0, False)
    assert "no pool" in shop.refused("coupons", "import", "gifts", file)


def test_a_second_worker_on_sqlite_is_refused(tmp_path: Path, migrated_folder: Path) -> None:
    folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook={})
    with workspaces.opened(folder) as first, workspaces.opened(folder) as second:
        deliverer = first.sending.deliverer("serve")
        with deliverer:
            deliverer.open(clock())
            with pytest.raises(ConflictError, match="serve"):
                deliver(second, "another", once=True, stopping=threading.Event(), on_started=lambda: None)


def test_secrets_are_made_and_kept_nowhere() -> None:
    assert keepers("new-secret", "webhook", "--json").json["secret"].startswith("whsec_")
    assert set(keepers("new-secret", "push", "--json").json) == {"private_key", "public_key"}
    assert keepers("new-secret", "fax").code == 2


def test_a_workspace_begins_with_journeys_and_takes_more(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    made = keepers("init", folder, "--journeys", "welcome,win-back", "--json")
    assert made.code == 0, made
    assert keepers("-w", folder, "check", "--json").json["errors"] == 0
    assert [one["id"] for one in keepers("-w", folder, "journeys", "--json").json["items"]] == ["welcome", "win-back"]
    added = keepers("-w", folder, "journey", "add", "cart-abandonment", "--json")
    assert "playbook/cart-abandonment.yaml" in added.json["files"]
    assert keepers("-w", folder, "journey", "add", "welcome").code == 2
    assert keepers("-w", folder, "check", "--json").json["errors"] == 0
    assert "welcome" in {one["id"] for one in keepers("templates", "--journeys", "--json").json["items"]}
    assert keepers("init", tmp_path / "other", "--journeys", "wellcome").code == 2
    assert not (tmp_path / "other").exists()
