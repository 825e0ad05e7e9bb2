"""The management API: every noun, who may ask, pages, moments, and problems that say what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import msgspec
import pytest

import workspaces
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.use_cases.paging import CursorError, seal, unseal
from keepers.http.management.router import USE_CASES
from management_calls import assert_problem, every
from serving import SERVER, UNTIL, WRITE, Serving, copied, keepers, serving

LOCAL = [what.route.path for what in USE_CASES if what.route.is_local and not what.route.in_path]


@pytest.fixture(scope="module")
def api(running: Serving) -> Iterator[httpx.Client]:
    with running.api() as client:
        yield client


@pytest.fixture
def own(shop: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server on a shop of this test's own."""
    with serving(copied(shop, tmp_path / "shop"), "--no-tick") as server:
        yield server


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer km_nobody"}, 401, "unauthorized"),
        ({"Authorization": "Basic a21fOg=="}, 401, "unauthorized"),
        ({"Authorization": f"Bearer {WRITE}"}, 403, "wrong_key"),
        ({"Authorization": f"Bearer {SERVER}"}, 403, "wrong_key"),
    ],
)
def test_only_a_secret_key_opens_it(running: Serving, headers: dict[str, str], status: int, code: str) -> None:
    answer = httpx.get(f"{running.address}/api/v1/segments", headers=headers)
    assert_problem(answer, status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_revoked_key_ends(own: Serving) -> None:
    token = keepers(own.folder, "keys", "create", "secret", "--name", "short")["token"]
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{own.address}/api/v1/health"
    found = [k["id"] for k in keepers(own.folder, "keys", "list")["items"] if k["name"] == "short"]
    with httpx.Client(headers=headers) as client:
        for _ in range(50):
            if client.get(address).status_code == 200:
                break
        keepers(own.folder, "keys", "revoke", found[0])
        for _ in range(5_000):
            if client.get(address).status_code == 403:
                return
    raise AssertionError("The key still opens.")


def test_every_profile_is_listed_once_page_by_page(api: httpx.Client) -> None:
    found = every(api, "/profiles", limit=7)
    assert len(found) == 60
    assert len({p["id"] for p in found}) == 60
    assert {p["traits"]["country"] for p in found} == {"PL", "IT"}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"id": "c007"}, 1),
        ({"id": "#1"}, 1),
        ({"id": "nobody"}, 0),
        ({"search": "C00"}, 10),
        ({"search": "pl"}, 30),
        ({"search": "%"}, 0),
        ({"search": "c0", "trait": "country:PL"}, 30),
        ({"trait": "country:IT"}, 30),
        ({"trait": "country:XX"}, 0),
        ({"trait": "age:7"}, 0),
        ({"kind": "account"}, 0),
        ({"segment": "regulars"}, 36),
        ({"segment": "regulars", "trait": "country:PL", "search": "c00"}, 3),
    ],
)
def test_profiles_are_found_by_what_is_known(api: httpx.Client, parameters: dict[str, str], expected: int) -> None:
    assert len(every(api, "/profiles", limit=5, **parameters)) == expected


def test_profiles_by_stage_are_as_many_as_the_stage_counts(api: httpx.Client) -> None:
    for now in ({}, {"now": "2026-03-01T00:00:00Z"}):
        for stage in api.get("/lifecycles/value", params=now).json()["stages"]:
            listed = every(api, "/profiles", stage=f"value.{stage['id']}", **now)
            assert len(listed) == stage["profiles"], stage["id"]


def test_a_profile_says_why_it_stands_where_it_does(api: httpx.Client) -> None:
    found = api.get("/profiles/c004").raise_for_status().json()
    assert found["identities"] == [{"kind": "user_id", "value": "c004"}]
    assert found["traits"] == {"country": "IT"}
    (regulars,) = [s for s in found["segments"] if s["id"] == "regulars"]
    assert regulars["in"] is True
    assert regulars["since"] == "2026-01-27T04:00:00Z"
    assert 5 in regulars["why"]["seen"].values()
    russian = api.get(f"/profiles/{found['id'].replace('#', '%23')}", params={"locale": "ru"}).json()
    assert "Постоянные" in [s["name"] for s in russian["segments"]]
    assert_problem(api.get("/profiles/c004", params={"now": "2020-01-01"}), 404, "not_found")
    assert_problem(api.get("/profiles/nobody"), 404, "not_found")


def test_a_timeline_goes_back_page_by_page(api: httpx.Client) -> None:
    whole = every(api, "/profiles/c004/timeline", limit=200)
    assert every(api, "/profiles/c004/timeline", limit=2) == whole
    assert [e["time"] for e in whole] == sorted((e["time"] for e in whole), reverse=True)
    assert [e["data"]["total"] for e in whole if e["name"] == "Order Completed"] == [18, 17, 16, 15, 14]
    moves = [(e["data"]["from"], e["data"]["to"]) for e in whole if e["name"] == "lifecycle:value"]
    assert moves[-1] == (None, "new")
    assert ("new", "loyal") in moves


def test_segments_count_list_and_remember(api: httpx.Client) -> None:
    listed = {s["id"]: s for s in api.get("/segments").json()["items"]}
    assert listed["regulars"]["count"] == 36
    one = api.get("/segments/regulars").json()
    assert one["who"] == {"did": "Order Completed", "count": {"gte": 3}}
    assert (one["count"], one["version"]) == (36, 1)
    members = every(api, "/segments/regulars/members", limit=10)
    assert len(members) == 36
    assert all(m["since"] for m in members)
    early = "2026-02-01T00:00:00Z"
    then = api.get("/segments/regulars", params={"now": early}).json()
    assert 0 < then["count"] < 36
    assert len(every(api, "/segments/regulars/members", now=early)) == then["count"]
    problem = assert_problem(api.get("/segments/regular"), 404, "not_found")
    assert "regulars" in problem["detail"]


def test_a_lifecycle_over_time_ends_where_it_stands(api: httpx.Client) -> None:
    counts = [s["profiles"] for s in api.get("/lifecycles/value").json()["stages"]]
    assert sum(counts) == 60
    history = api.get("/lifecycles/value/history", params={"since": "2026-01-01", "step": "1w"}).json()
    assert history["points"][-1] == {"at": UNTIL, "profiles": counts}
    assert sum(history["points"][0]["profiles"]) == 0
    moves = api.get("/lifecycles/value/moves", params={"since": "2026-01-01", "limit": 3}).json()
    assert len(moves["latest"]) == 3
    assert moves["latest"][0]["identity"].startswith("c")
    assert sum(m["profiles"] for m in moves["counts"] if m["source"] is None) == 60
    week = [api.get("/lifecycles/value/moves", params={"since": since}).json() for since in ("-7d", "7d", "7d ago")]
    assert week == [week[0]] * 3
    assert_problem(api.get("/lifecycles/value/history", params={"since": "-99w", "step": "1m"}), 422, "invalid")
    assert_problem(api.get("/lifecycles/value/moves", params={"since": "+3d"}), 422, "invalid")


def test_a_lifecycle_no_tick_has_answered_yet_is_worked_out(own: Serving) -> None:
    text = "lifecycles:\n  - id: fresh\n    stages:\n      - {id: came, when: {did: Order Completed}}\n"
    with own.api() as api:
        api.post("/definitions/apply", json={"files": {"fresh.yaml": text}}).raise_for_status()
        assert [s["profiles"] for s in api.get("/lifecycles/fresh").json()["stages"]] == [60]
        (listed,) = [one for one in api.get("/lifecycles").json()["items"] if one["id"] == "fresh"]
        assert [s["profiles"] for s in listed["stages"]] == [60]


def test_a_condition_is_counted_and_said(api: httpx.Client) -> None:
    condition = {"all": [{"did": "Order Completed", "count": {"gte": 3}}, {"trait": "country", "eq": "PL"}]}
    counted = api.post("/audience/count", json=condition).json()
    assert counted == {"count": len(every(api, "/profiles", segment="regulars", trait="country:PL")), "as_of": UNTIL}
    assert api.post("/audience/count", json={"who": condition}).json() == counted
    assert api.get("/segments/regulars/count").json() == {"count": 36, "as_of": UNTIL}
    assert_problem(api.get("/segments/regular/count"), 404, "not_found")
    assert api.post("/audience/count", json="anyone").json()["count"] == 60
    assert api.post("/audience/count", json="anyone", params={"now": "2026-01-08"}).json()["count"] == 3
    described = api.post("/audience/describe", json=condition, params={"locale": "it"}).json()
    assert "Order Completed" in described["says"]


def test_files_of_the_machine_are_for_its_own_commands(api: httpx.Client, tmp_path: Path) -> None:
    for path in LOCAL:
        answer = api.post(path, json={"path": str(tmp_path / "file")})
        assert_problem(answer, 403, "wrong_key")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"did": "Order Complete"}, "did"),
        ({"all": [{"did": "Order Completed", "within": "soon"}]}, "all[0].within"),
        ({"who": {"in_segment": "regular"}}, "who.in_segment"),
        ({"in_stage": "value.nowhere"}, "in_stage"),
        ({"trait": "nation", "eq": 1}, "trait"),
    ],
)
def test_a_condition_that_cannot_be_used_names_the_field(api: httpx.Client, body: Any, field: str) -> None:
    problem = assert_problem(api.post("/audience/count", json=body), 422, "definition")
    assert problem["field"] == field


def test_tampered_and_foreign_cursors_are_refused(api: httpx.Client) -> None:
    page = api.get("/profiles", params={"limit": 2}).json()
    good = page["next"]
    swapped = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")
    for cursor in (swapped, "x", "", "%00", "é", good + "AAAA"):
        assert_problem(api.get("/profiles", params={"limit": 2, "cursor": cursor}), 400, "cursor")
    assert_problem(api.get("/profiles", params={"cursor": good, "kind": "person"}), 400, "cursor")
    assert_problem(api.get("/segments/regulars/members", params={"cursor": good}), 400, "cursor")


def test_a_cursor_is_bound_to_its_listing() -> None:
    cursor = seal(b"k", ("a", 1), [5, "x"])
    assert unseal(b"k", ("a", 1), cursor) == [5, "x"]
    for secret, listing in ((b"l", ("a", 1)), (b"k", ("a", 2))):
        with pytest.raises(CursorError):
            unseal(secret, listing, cursor)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("DELETE", "/profiles", {}, 405, "method"),
        ("GET", "/profiles?limit=0", {}, 400, "invalid"),
        ("GET", "/profiles?limit=x", {}, 400, "invalid"),
        ("GET", "/profiles?segmnt=regulars", {}, 400, "invalid"),
        ("GET", "/profiles?now=yesterday", {}, 422, "time"),
        ("GET", "/profiles?segment=regulars&stage=value.new", {}, 422, "invalid"),
        ("GET", "/segments?locale=de", {}, 400, "invalid"),
        ("POST", "/audience/count", {"content": b"{"}, 400, "invalid"),
        ("POST", "/audience/count", {"content": b"\xff\xfe"}, 400, "invalid"),
        ("POST", "/audience/count", {"content": b"[" * 100_000}, 400, "body"),
        ("POST", "/audience/count", {"content": b"a=b", "headers": {"Content-Type": "text/plain"}}, 415, "media_type"),
        ("POST", "/audience/count", {"content": b'"' + b"x" * 5_000_000 + b'"'}, 413, "too_large"),
        ("POST", "/definitions/plan", {"json": {"files": {"a.yaml": 7}}}, 400, "body"),
        ("POST", "/definitions/apply", {"json": {"file": {}}}, 400, "body"),
        ("GET", "/definitions?kind=null", {}, 400, "invalid"),
        ("GET", "/profiles?search=null", {}, 400, "invalid"),
        ("GET", "/profiles?search=%00", {}, 400, "invalid"),
        ("GET", "/profiles/%00", {}, 400, "invalid"),
        ("GET", "/definitions?kind=segment&kind=event", {}, 400, "invalid"),
        ("POST", "/imports", {"content": b"a", "headers": {"Content-Type": "image/png"}}, 415, "media_type"),
        (
            "POST",
            "/imports",
            {"content": iter([b"--b\r\n"]), "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            413,
            "too_large",
        ),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    api: httpx.Client, method: str, path: str, sent: Any, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"} | sent.pop("headers", {}) if "content" in sent else None
    assert_problem(api.request(method, path, **sent, headers=headers), status, code)


def test_an_edit_is_planned_and_applied_with_its_files(own: Serving) -> None:
    text = "segments:\n  - id: big\n    who: {did: Order Completed, where: {total: {gte: 60}}}\n"
    with own.api() as api:
        planned = api.post("/definitions/plan", json={"files": {"big.yaml": text}}).json()
        assert [c["key"] for c in planned["changes"]] == ["segment/big"]
        (flow,) = [f for f in planned["flows"] if f["definition"] == "segment:big"]
        assert flow["enter"] > 0
        assert not (own.folder / "playbook" / "big.yaml").exists()
        done = api.post("/definitions/apply", json={"files": {"big.yaml": text}}).json()
        assert done == {
            "applied": [{"key": "segment/big", "action": "add"}],
            "fit": None,
            "runs": {},
            "files": ["big.yaml"],
        }
        assert (own.folder / "playbook" / "big.yaml").read_text(encoding="utf-8") == text
        keepers(own.folder, "tick", "--now", UNTIL)
        assert api.get("/segments/big").json()["count"] == flow["enter"]
        removed = api.post("/definitions/apply", json={"files": {"big.yaml": None}}).json()
        assert removed["applied"] == [{"key": "segment/big", "action": "remove"}]
        assert api.get("/segments/big").status_code == 404
        versions = api.get("/definitions/segment/big").json()["versions"]
        assert [v["is_active"] for v in versions] == [False]


def test_files_are_written_only_while_nothing_else_is_at_work(own: Serving) -> None:
    text = "segments:\n  - id: big\n    who: {did: Order Completed}\n"
    written = own.folder / "playbook" / "big.yaml"
    own.stop()
    with workspaces.opened(own.folder) as workspace:
        request = ApplyPlaybook(files={"big.yaml": text})
        applying = Thread(target=apply_playbook, args=(workspace, COMMAND_LINE, request))
        with workspace.sequencing("this test"):
            applying.start()
            applying.join(0.5)
            assert applying.is_alive()
            assert not written.exists()
        applying.join(60)
        assert written.read_text(encoding="utf-8") == text
        assert "segment/big" in workspace.active_playbook().versions


def test_files_are_checked_before_they_are_in_the_folder(running: Serving, api: httpx.Client) -> None:
    assert api.post("/definitions/check", json={}).json()["errors"] == 0
    wrong = "segments:\n  - id: x\n    who: {in_segment: nowhere}\n"
    found = api.post("/definitions/check", json={"files": {"x.yaml": wrong}}).json()
    assert found["errors"] == 1
    assert [one["file"] for one in found["findings"] if one["level"] == "error"] == ["playbook/x.yaml"]
    unreadable = api.post("/definitions/check", json={"files": {"x.yaml": "segments: ["}}).json()
    assert (unreadable["errors"], unreadable["definitions"]) == (1, 0)
    assert not (running.folder / "playbook" / "x.yaml").exists()


@pytest.mark.parametrize("name", ["../evil.yaml", "/etc/x.yaml", "a/b.yaml", ".hidden.yaml", "a.txt", "A.yaml", ""])
def test_files_cannot_leave_the_playbook_folder(api: httpx.Client, name: str) -> None:
    for step in ("plan", "apply"):
        assert_problem(api.post(f"/definitions/{step}", json={"files": {name: "segments: []"}}), 422, "files")


def test_a_playbook_with_a_mistake_is_not_written(running: Serving, api: httpx.Client) -> None:
    before = sorted(p.name for p in (running.folder / "playbook").iterdir())
    wrong = "segments:\n  - id: x\n    who: {in_segment: nowhere}\n"
    problem = assert_problem(api.post("/definitions/apply", json={"files": {"x.yaml": wrong}}), 422, "definition")
    assert "x.yaml:3" in problem["detail"]
    assert sorted(p.name for p in (running.folder / "playbook").iterdir()) == before


def test_a_file_is_imported_once_whichever_way_it_is_sent(own: Serving) -> None:
    mapping = msgspec.json.encode(
        {"profile": "who", "event": "Review", "time": "at", "properties": {"stars": "stars"}}
    ).decode()
    rows = b"who,at,stars\nc001,2026-05-01,5\nc002,2026-05-02,oops\nnew,never,4\n"
    with own.api() as api:
        form = {"file": ("reviews.csv", rows), "mapping": (None, mapping)}
        report = api.post("/imports", files=form).raise_for_status().json()
        assert (report["rows"], report["loaded"], report["rejected"]) == (3, 2, 1)
        assert report["problems"][0]["line"] == 4
        again = api.post("/imports", params={"mapping": mapping}, content=rows, headers={"Content-Type": "text/csv"})
        assert again.json()["loaded"] == 0
        assert again.json()["duplicates_skipped"] == 2
        assert len(api.get("/imports").json()["items"]) == 2
        assert api.post("/audience/count", json={"did": "Review"}, params={"now": "2026-06-02"}).json()["count"] == 2
        problem = assert_problem(
            api.post(
                "/imports", params={"mapping": mapping}, content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"}
            ),
            422,
            "mapping",
        )
        assert str(own.folder) not in problem["detail"]
        for wrong in ("", "{", "[]", '{"profile": 7}'):
            sent = {"params": {"mapping": wrong}, "content": rows, "headers": {"Content-Type": "text/csv"}}
            assert_problem(api.post("/imports", **sent), 422, "mapping")  # type: ignore[arg-type]
    assert list((own.folder / "data" / "uploads").iterdir()) == []


def test_a_name_with_a_slash_has_an_address(own: Serving) -> None:
    mapping = '{"profile": "who", "event": "Review", "time": "at"}'
    rows = b"who,at\ngithub/7,2026-05-01\n"
    with own.api() as api:
        sent = api.post("/imports", params={"mapping": mapping}, content=rows, headers={"Content-Type": "text/csv"})
        sent.raise_for_status()
        for address in ("/profiles/github%2F7", "/profiles/github%2f7/timeline"):
            assert api.get(address).status_code == 200, address
        missing = assert_problem(api.get("/profiles/gitlab%2F7"), 404, "not_found")
        assert "gitlab/7" in missing["detail"]
        assert_problem(api.get("/profiles/github/7"), 404, "not_found")
    assert "github/7" in str(keepers(own.folder, "profile", "github/7"))


def test_an_upload_is_imported_as_an_operation_when_that_is_preferred(own: Serving) -> None:
    mapping = msgspec.json.encode({"profile": "who", "event": "Review", "time": "at"}).decode()
    sent = {"params": {"mapping": mapping}, "headers": {"Content-Type": "text/csv", "Prefer": "respond-async"}}
    with own.api() as api:
        for rows, status in ((b"who,at\nc001,2026-05-01\n", "succeeded"), (b"a,b\n1,2\n", "failed")):
            started = api.post("/imports", content=rows, **sent)  # type: ignore[arg-type]
            assert started.status_code == 202
            place = started.headers["location"].removeprefix("/api/v1")
            while (operation := api.get(place).json())["ended_at"] is None:
                time.sleep(0.05)
            assert operation["status"] == status
            assert str(own.folder) not in str(operation)
    assert list((own.folder / "data" / "uploads").iterdir()) == []


def test_uploads_a_killed_server_left_behind_are_removed(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    left = folder / "data" / "uploads" / "upload-x"
    left.mkdir(parents=True)
    (left / "big.csv").write_bytes(b"who")
    with serving(folder, "--no-tick"):
        assert not left.exists()


def test_health_tells_where_the_pipeline_stands(own: Serving) -> None:
    with own.api() as api:
        event = {"userId": "c001", "event": "Order Completed", "properties": {"total": 1}}
        httpx.post(f"{own.address}/v1/track", json=event, auth=(WRITE, "")).raise_for_status()
        before = api.get("/health").json()
        assert (before["status"], before["inbox_requests"], before["is_ticking"]) == ("ok", 1, False)
        keepers(own.folder, "tick")
        after = api.get("/health").json()
        assert after["inbox_requests"] == 0
        assert after["log_seq"] == after["loaded_seq"] > 0
        assert after["events"] == before["events"] + 1


def test_the_document_says_and_shows_everything(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    upload = document["paths"]["/api/v1/imports"]["post"]["requestBody"]["content"]
    assert upload["multipart/form-data"]["schema"]["required"] == ["file", "mapping"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            if path.startswith("/api/v1"):
                assert operation["security"] == [{"secret_key": []}]
                for status, response in operation["responses"].items():
                    (content,) = response["content"].values()
                    assert content["examples"], (method, path, status)
