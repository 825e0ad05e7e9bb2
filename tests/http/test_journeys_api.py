"""Journeys, messages, consent and suppression over HTTP: the same content as the commands give."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

import workspaces
from keepers.app.operations.maintenance import RunTick
from keepers.app.operations.maintenance import tick as tick_once
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.clock import clock
from management_calls import assert_problem, every
from serving import copied, serving

TEXT = "<a href='{{ links.unsubscribe }}'>stop</a>"
BODY = f"<mj-section><mj-column><mj-text>{TEXT}</mj-text></mj-column></mj-section>"
PLAYBOOK = {
    "topics": [{"id": "tips", "name": "Tips"}],
    "coupons": [{"id": "gift"}],
    "messages": [
        {"id": "hello", "channel": "email", "topic": "tips", "content": {"en": {"subject": "Hi", "body": BODY}}}
    ],
    "journeys": [
        {
            "id": "thanks",
            "name": {"en": "Thanks", "ru": "Спасибо"},
            "enter": [{"api": True}],
            "steps": [{"id": "hello", "message": "hello"}, {"id": "rest", "delay": "30d"}],
        }
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def served(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, httpx.Client]]:
    """Folder and API of a shop with a journey that three customers have entered; one agreed to be written to."""
    folder = copied(shop, tmp_path_factory.mktemp("journeys") / "shop")
    (folder / "playbook" / "thanks.yaml").write_text(yaml.safe_dump(PLAYBOOK, allow_unicode=True), encoding="utf-8")
    with workspaces.opened(folder) as workspace:
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
        traits = [{"type": "identify", "userId": f"c00{n}", "traits": {"email": f"c{n}@example.com"}} for n in range(4)]
        workspaces.send(workspace.store, clock() - timedelta(minutes=5), traits)
        tick_once(workspace, COMMAND_LINE, RunTick())
    with serving(folder, "--no-tick") as server, server.api() as client:
        agreed = {"channel": "email", "topic": "tips", "state": "subscribed", "source": "checkout"}
        client.post("/profiles/c000/consents/record", json=agreed).raise_for_status()
        client.post("/journeys/thanks/enroll", json={"profiles": ["c000", "c001", "c002"]}).raise_for_status()
        tick(folder)
        yield folder, client


@pytest.fixture(scope="module")
def api(served: tuple[Path, httpx.Client]) -> httpx.Client:
    return served[1]


def tick(folder: Path) -> None:
    """A tick by the command, which the running server does."""
    assert workspaces.keepers("-w", folder, "tick", "--until-idle", "--json").code == 0


def test_a_journey_with_its_steps_and_runs(api: httpx.Client) -> None:
    (one,) = api.get("/journeys", params={"locale": "ru"}).raise_for_status().json()["items"]
    assert (one["name"], one["entered"], one["active"], one["messages"]) == (
        "Спасибо", 3, 3, {"queued": 1, "skipped": 2},
    )  # fmt: skip
    whole = api.get("/journeys/thanks").raise_for_status().json()
    assert [(s["id"], s["entered"], s["waiting"], s["passed"]) for s in whole["steps"]] == [
        ("hello", 3, 0, 3),
        ("rest", 3, 3, 0),
    ]
    assert [(r["reason"], r["number"]) for r in whole["steps"][0]["skipped"]] == [("no_consent", 2)]
    assert whole["body"]["id"] == "thanks"
    assert {run["profile"] for run in every(api, "/journeys/thanks/runs", limit=2)} == {"c000", "c001", "c002"}
    assert every(api, "/journeys/thanks/runs", status="ended") == []
    assert_problem(api.get("/journeys/thankss"), 404, "not_found")
    assert_problem(api.get("/journeys/thanks/runs", params={"status": "gone"}), 400, "invalid")


def test_the_schema_is_that_of_the_steps(api: httpx.Client) -> None:
    schema = api.get("/journeys/schema").raise_for_status().json()
    assert {"Message", "Delay", "WaitUntil"} <= schema["journey"]["$defs"].keys()
    assert schema["contact"]["$defs"]


def test_why_a_customer_got_nothing(api: httpx.Client) -> None:
    why = api.get("/profiles/c001/why", params={"journey": "thanks"}).raise_for_status().json()
    (message,) = [one for one in why["lines"] if one["kind"] == "message"]
    assert (message["code"], message["reason"]) == ("skipped", "no_consent")
    (waiting,) = why["waiting"]
    assert waiting["step"] == "rest"
    assert waiting["until"] is not None
    nobody = api.get("/profiles/c003/why", params={"journey": "thanks"}).raise_for_status().json()
    assert nobody["not_yet"]["enter"] == ["api"]
    assert_problem(api.get("/profiles/nobody/why"), 404, "not_found")
    assert_problem(api.get("/profiles/c001/why", params={"journey": "none"}), 404, "not_found")


def test_pausing_and_leaving(api: httpx.Client) -> None:
    assert api.post("/journeys/thanks/pause", json={"reason": "price"}).raise_for_status().json()["is_paused"]
    assert_problem(api.post("/journeys/thanks/pause", json={}), 409, "conflict")
    assert api.post("/journeys/thanks/resume").raise_for_status().json()["runs"] == 3
    run = next(r for r in every(api, "/journeys/thanks/runs", status="active") if r["profile"] == "c002")
    ended = api.post(f"/journeys/runs/{run['id']}/leave").raise_for_status().json()
    assert (ended["status"], ended["reason"]) == ("ended", "removed by hand")
    assert_problem(api.post(f"/journeys/runs/{run['id']}/leave"), 409, "conflict")
    assert_problem(api.post("/journeys/runs/999999/leave"), 404, "not_found")


def test_entering_is_counted_first_when_asked(api: httpx.Client) -> None:
    wanted = {"segment": "regulars", "dry_run": True}
    counted = api.post("/journeys/thanks/enroll", json=wanted).raise_for_status().json()
    assert counted["count"] > 0
    assert counted["enrolled"] == 0
    named = {"profiles": ["c003"], "dry_run": True}
    assert api.post("/journeys/thanks/enroll", json=named).raise_for_status().json()["enrolled"] == 0
    assert_problem(api.post("/journeys/thanks/enroll", json={}), 422, "invalid")
    assert_problem(api.post("/journeys/thanks/enroll", json={"segments": "regulars"}), 400, "body")
    assert_problem(api.post("/journeys/thanks/enroll", json={"profiles": ["no\0body"]}), 400, "body")


def test_messages_and_their_previews(api: httpx.Client) -> None:
    listed = every(api, "/messages", limit=1)
    assert [m["profile"] for m in listed] == ["c002", "c001", "c000"]
    assert [m["profile"] for m in every(api, "/messages", status="skipped")] == ["c002", "c001"]
    queued = next(m for m in listed if m["profile"] == "c000")
    story = api.get(f"/messages/{queued['id']}").raise_for_status().json()
    assert (story["message"]["id"], story["has_copy"], story["copy"]) == (queued["id"], False, None)
    assert [one["code"] for one in story["timeline"]] == ["decided"]
    assert_problem(api.get(f"/messages/{queued['id']}/copy"), 404, "not_found")
    assert_problem(api.get("/messages/999999"), 404, "not_found")
    seen = api.post("/messages/preview", json={"message": "hello", "profile": "c001"}).raise_for_status().json()
    assert (seen["content"]["subject"], seen["channel"]) == ("Hi", "email")
    assert_problem(api.post("/messages/preview", json={"message": "hallo"}), 404, "not_found")
    retried = api.post("/messages/retry", json={"messages": [queued["id"]]}).raise_for_status().json()
    assert retried == {"asked": 1, "queued": 0}
    assert_problem(api.post("/messages/test", json={"message": "hello", "to": "me@shop.example"}), 422, "settings")
    assert every(api, "/messages/dead-letters") == []
    assert api.post("/messages/machine-rules/rerun").raise_for_status().json() == {"judged_otherwise": 0}
    assert api.post("/channels/webhook/secret").raise_for_status().json()["secret"].startswith("whsec_")
    assert api.post("/channels/push/keys").raise_for_status().json().keys() == {"private_key", "public_key"}


def test_consent_is_recorded_as_said(api: httpx.Client) -> None:
    statement = {"channel": "email", "topic": "*", "state": "unsubscribed", "source": "phone"}
    assert api.post("/profiles/c003/consents/record", json=statement).raise_for_status().json()["changed"]
    seen = api.get("/profiles/c003/consents").raise_for_status().json()
    assert [(t["topic"], t["state"], t["may_be_written_to"]) for t in seen["topics"]] == [
        ("tips", "unsubscribed", False)
    ]
    assert [s["source"] for s in seen["statements"]] == ["phone"]
    assert_problem(api.post("/profiles/c003/consents/record", json=statement | {"topic": "tipps"}), 404, "not_found")
    assert_problem(api.post("/profiles/c003/consents/record", json=statement | {"state": "maybe"}), 400, "body")
    assert_problem(api.post("/profiles/c003/consents/record", json=statement | {"at": "2090-01-01"}), 422, "invalid")


def test_suppression_gives_nothing_away(api: httpx.Client) -> None:
    addresses = [f"s{n}@example.com" for n in range(3)]
    assert api.post("/suppressions/add", json={"channel": "email", "addresses": addresses}).json()["suppressed"] == 3
    listed = every(api, "/suppressions", limit=2)
    assert len(listed) == 3
    assert "example.com" not in str(listed)
    assert_problem(api.post("/suppressions/add", json={"channel": "email", "addresses": [""]}), 422, "invalid")
    wanted = {"channel": "email", "address": "S1@example.com"}
    (found,) = api.post("/suppressions/find", json=wanted).raise_for_status().json()["items"]
    assert found["reason"] == "manual"
    assert api.post("/suppressions/lift", json=wanted).raise_for_status().json()["lifted"]
    assert api.post("/suppressions/find", json=wanted).json()["items"] == []
    assert_problem(api.post("/suppressions/lift", json=wanted), 404, "not_found")
    assert_problem(api.post("/suppressions/add", json={"channel": "pigeon", "addresses": ["x"]}), 404, "not_found")


def test_coupons_and_switches(api: httpx.Client) -> None:
    added = api.post("/coupons/gift", json={"codes": ["A", "B", "A"]}).raise_for_status().json()
    assert (added["added"], added["known_already"]) == (2, 0)
    assert api.get("/coupons").json()["items"][0]["left"] == 2
    assert_problem(api.post("/coupons/gifts", json={"codes": ["A"]}), 404, "not_found")
    refused = api.post("/coupons/gift/import", json={"path": "/etc/hostname"})
    assert refused.status_code == 403, "only commands of this machine name its files"
    assert api.post("/sending/stop", json={"reason": "price"}).json() == {"is_sending": False, "reason": "price"}
    assert api.get("/sending").json()["is_sending"] is False
    assert api.post("/sending/start").json()["is_sending"] is True
    assert_problem(api.post("/sending/brakes/email.marketing/release"), 404, "not_found")


EXAMPLES: list[tuple[dict[str, Any], type[msgspec.Struct]]] = []


@pytest.mark.parametrize(("example", "answer"), EXAMPLES, ids=lambda one: getattr(one, "__name__", ""))
def test_examples_are_answers(example: dict[str, Any], answer: type[msgspec.Struct]) -> None:
    assert msgspec.to_builtins(msgspec.convert(example, answer)) == example


READS = {
    ("journeys",): "/journeys",
    ("journey", "show", "thanks"): "/journeys/thanks",
    ("broadcast", "list"): "/broadcasts",
    ("messages", "--status", "skipped"): "/messages?status=skipped",
    ("message", "show", 1): "/messages/1",
    ("dead-letters",): "/messages/dead-letters",
    ("coupons", "status"): "/coupons",
    ("breakers",): "/sending",
}


@pytest.mark.parametrize("command", READS, ids=lambda one: " ".join(map(str, one)))
def test_a_command_gives_what_the_api_gives(served: tuple[Path, httpx.Client], command: tuple[object, ...]) -> None:
    folder, api = served
    assert workspaces.keepers("-w", folder, *command, "--json").json == api.get(READS[command]).json()


def test_commands_change_what_the_server_has(served: tuple[Path, httpx.Client], tmp_path: Path) -> None:
    folder, api = served

    def json_of(*arguments: object) -> Any:
        ran = workspaces.keepers("-w", folder, *arguments, "--json")
        assert ran.code == 0, ran
        return ran.json

    assert json_of("journey", "pause", "thanks", "--reason", "price")["is_paused"]
    assert api.get("/journeys/thanks").json()["is_paused"]
    assert json_of("journey", "resume", "thanks")["is_paused"] is False
    refused = workspaces.keepers("-w", folder, "journey", "resume", "thanks", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "conflict")
    (run, *_) = every(api, "/journeys/thanks/runs", status="active")
    assert json_of("leave", run["id"], "--reason", "asked by phone")["reason"] == "asked by phone"
    file = tmp_path / "codes.csv"
    file.write_text("code\nX1\nX2\n")
    assert json_of("coupons", "import", "gift", file)["added"] == 2
    assert json_of("stop-sending", "--reason", "price") == {"is_sending": False, "reason": "price"}
    assert json_of("start-sending")["is_sending"] is True
    assert json_of("replay", "thanks", "--since", "30d")["journey"] == "thanks"
    assert json_of("machine-rules", "rerun") == {"judged_otherwise": 0}
