"""Whoever runs a workspace does so by the management API too: upkeep, keys, files of the machine, the doctor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from management_calls import assert_problem
from serving import Serving, copied, keepers, serving


@pytest.fixture(scope="module")
def served(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(copied(shop, tmp_path_factory.mktemp("upkeep") / "shop"), "--no-tick") as server:
        yield server


@pytest.fixture
def api(served: Serving) -> Iterator[httpx.Client]:
    with served.api() as client:
        yield client


def ended(api: httpx.Client, path: str, sent: dict[str, Any]) -> dict[str, Any]:
    """What long work came to that was started with `Prefer: respond-async`."""
    started = api.post(path, json=sent, headers={"Prefer": "respond-async"})
    assert (started.status_code, started.headers["preference-applied"]) == (202, "respond-async")
    while True:
        operation: dict[str, Any] = api.get(started.headers["location"].removeprefix("/api/v1")).json()
        if operation["status"] != "running":
            return operation
        time.sleep(0.05)


def test_upkeep_is_done_at_once_or_as_an_operation(api: httpx.Client) -> None:
    done = api.post("/tick", json={"now": "2026-06-02T00:00:00Z", "until_idle": True}).raise_for_status().json()
    assert done["now"] == "2026-06-02T00:00:00Z"
    assert api.get("/health").json()["last_tick"] == done["now"]
    filled = ended(api, "/backfill", {})
    assert (filled["status"], filled["result"]["subjects"] > 0) == ("succeeded", True)
    assert ended(api, "/rebuild", {})["result"] == {"rebuilt": True}
    failed = ended(api, "/tick", {"now": "2020-01-01"})
    assert (failed["status"], failed["error"]["is_yours"]) == ("failed", True)
    assert_problem(api.post("/tick", json={"now": "2020-01-01"}), 409, failed["error"]["code"])
    assert_problem(api.post("/profiles/c001/unmerge"), 409, "conflict")
    assert_problem(api.post("/profiles/nobody/unmerge"), 404, "not_found")


def test_why_an_operation_failed_is_told_in_the_language_asked_for(api: httpx.Client) -> None:
    failed = ended(api, "/journeys/welcome/replay", {"sample": "most", "is_live": True})
    assert failed["error"]["message"] == "Sample most: expected a share of the customers such as 10%."
    polish = api.get(f"/operations/{failed['id']}", params={"locale": "pl"}).json()
    assert polish["error"] == failed["error"] | {"message": "Próba most: oczekiwano części klientów, na przykład 10%."}


def test_the_token_of_a_key_is_shown_once(api: httpx.Client, served: Serving) -> None:
    made = api.post("/keys", json={"kind": "server", "name": "backend"}).raise_for_status().json()
    assert made["token"].startswith("ks_")
    (listed,) = [k for k in api.get("/keys").json()["items"] if k["id"] == made["id"]]
    assert (listed["name"], listed["kind"], listed["revoked_at"]) == ("backend", "server", None)
    assert made["token"] not in api.get("/keys").text
    assert_problem(api.post("/keys", json={"kind": "write", "token": made["token"]}), 409, "conflict")
    assert_problem(api.post("/keys", json={"kind": "server", "token": "short"}), 422, "key")
    assert api.post("/keys", json={"kind": "admin"}).status_code == 400
    assert api.post(f"/keys/{made['id']}/revoke").json() == {"revoked": made["id"]}
    assert_problem(api.post("/keys/nobody/revoke"), 404, "not_found")
    (ended_key,) = [k for k in keepers(served.folder, "keys", "list")["items"] if k["id"] == made["id"]]
    assert ended_key["revoked_at"] is not None


def test_files_of_the_machine_are_imported_for_its_own_commands_alone(
    api: httpx.Client, served: Serving, tmp_path: Path
) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("who,at\nc001,2026-05-01\nc002,never\n", encoding="utf-8")
    for path in ("/imports/local", "/imports/local/preview"):
        body = {"path": str(file), "mapping": {"profile": "who", "event": "Review", "time": "at"}}
        assert_problem(api.post(path, json=body), 403, "wrong_key")
    words = ["import", str(file), "--profile", "who", "--event", "Review", "--time", "at"]
    preview = keepers(served.folder, *words, "--dry-run")
    assert (preview["rows_read"], preview["columns"]["who"]) == (2, "text")
    done = keepers(served.folder, *words)
    assert (done["loaded"], done["rejected"]) == (1, 1)
    assert Path(done["rejects_path"]).is_file()


def test_the_doctor_s_findings_are_in_the_language_of_the_request(api: httpx.Client) -> None:
    found = api.get("/doctor", headers={"Accept-Language": "it"}).raise_for_status().json()["findings"]
    assert found[0].startswith("L’orologio è di prova e segna ")


def test_the_doctor_and_the_command_find_the_same(api: httpx.Client, served: Serving) -> None:
    found = api.get("/doctor").raise_for_status().json()
    assert found["server"] == json.loads((served.folder / "data" / "server.json").read_text())["address"]
    report = keepers(served.folder, "doctor")
    varying = {"free_bytes", "findings"}  # a finding names the present of a test clock
    assert {k: v for k, v in report.items() if k not in varying} == {k: v for k, v in found.items() if k not in varying}


def test_templates_are_named_in_the_language_asked_for(api: httpx.Client) -> None:
    english, russian = (api.get("/templates", params={"locale": one}).json()["items"] for one in ("en", "ru"))
    assert [one["id"] for one in english] == [one["id"] for one in russian]
    assert english[0]["name"] != russian[0]["name"]
    assert "welcome" in {one["id"] for one in api.get("/starters").json()["items"]}
