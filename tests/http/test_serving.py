"""`keepers serve` as a real process: commands beside it, ticks as things arrive, clean ends, clear refusals."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import httpx
import pytest

import workspaces
from keepers.app.workspace.clock import clock
from keepers.app.workspace.settings import TEST_CLOCK
from keepers.model.moments import format_instant
from serving import SECRET, SEGMENT, UNTIL, WRITE, Serving, copied, keepers, serving


def wait_until(client: httpx.Client, path: str, holds: object, seconds: float = 30) -> dict[str, object]:
    """Asks until the answer satisfies; the answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = client.get(path).json()
        if holds(answer):  # type: ignore[operator]
            return answer  # type: ignore[no-any-return]
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


@pytest.mark.slow
def test_commands_answer_the_same_beside_a_server_as_without(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    condition = tmp_path / "who.yaml"
    condition.write_text("{did: Order Completed, count: {gte: 2}}\n", encoding="utf-8")
    commands = [
        ("count", str(condition)),
        ("stages", "value", "--now", "2026-02-01"),
        ("moves", "value", "--since", "2026-01-01"),
        ("count", "regulars", "--now", "2026-02-01"),
        ("profile", "c004", "--locale", "pl"),
        ("why", "c004", "--locale", "ru"),
        ("consent", "show", "c004"),
        ("suppress", "list"),
        ("rhythm",),
        ("plan",),
    ]
    alone = [keepers(folder, *words) for words in commands]
    refused = keepers(folder, "count", "nothing", code=2)
    with serving(folder, "--no-tick"):
        assert [keepers(folder, *words) for words in commands] == alone
        assert keepers(folder, "count", "nothing", code=2) == refused
        listed = tmp_path / "suppressed.csv"
        assert keepers(folder, "suppress", "export", str(listed)) == {"written": 0, "file": str(listed)}
        assert "hash" in listed.read_text(encoding="utf-8")
        assert keepers(folder, "doctor")["server"].startswith("http://127.0.0.1:")


def test_what_arrives_is_ticked_and_what_is_applied_takes_effect(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    with serving(folder) as server, server.api() as api:
        wait_until(api, "/health", lambda a: a["is_ticking"] and a["last_tick"] != UNTIL)
        event = {"userId": "newcomer", "event": "Order Completed", "properties": {"total": 5}}
        httpx.post(f"{server.address}/v1/track", json=event, auth=(WRITE, "")).raise_for_status()
        listed = wait_until(api, "/profiles?stage=value.new&search=newcomer", lambda a: a["items"])
        assert listed["items"][0]["since"]  # type: ignore[index]
        more = SEGMENT.replace("regulars", "steady").replace("gte: 3", "gte: 1")
        (folder / "playbook" / "steady.yaml").write_text(more, encoding="utf-8")
        assert keepers(folder, "apply")["applied"] == [{"key": "segment/steady", "action": "add"}]
        wait_until(api, "/segments/steady", lambda a: a.get("count") == 61)
        assert httpx.get(f"{server.address}/ready").json() == {"status": "ready"}
        assert "keepers_tick_seconds_count" in httpx.get(f"{server.address}/metrics", headers=server.key).text


def test_a_tick_that_fails_is_said_and_does_not_keep_events_out(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    assert "--allow-jump" in keepers(folder, "tick", "--now", "2150-01-01", code=2)["error"]["message"]
    keepers(folder, "tick", "--now", "2150-01-01", "--allow-jump")
    with serving(folder) as server, server.api() as api:
        found = wait_until(api, "/health", lambda a: a["status"] == "failing")
        assert "keepers rewind" in str(found["trouble"])
        ready = httpx.get(f"{server.address}/ready")
        assert ready.status_code == 200
        # The instant that the clock showed is of each look.
        why = str(found["trouble"]).partition(", which")[2]
        assert ready.json()["clock"].endswith(why)
        assert any(one.endswith(why) for one in keepers(folder, "doctor")["findings"])
        event = {"userId": "c001", "event": "Order Completed"}
        assert httpx.post(f"{server.address}/v1/track", json=event, auth=(WRITE, "")).status_code == 200
        assert "A tick failed" in (folder / "data" / "server.log").read_text(encoding="utf-8")
        keepers(folder, "rewind")
        wait_until(api, "/health", lambda a: a["status"] == "ok" and a["last_tick"] < "2027")
        assert server.stop() == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_within_seconds(shop: Path, tmp_path: Path, sent: signal.Signals) -> None:
    folder = copied(shop, tmp_path / "shop")
    path = folder / "data" / "server.json"
    with serving(folder, is_anew=True) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        began = time.monotonic()
        assert server.stop(sent) == 0
        assert time.monotonic() - began < 8
    assert not path.exists()
    assert "Stopped." in (folder / "data" / "server.log").read_text(encoding="utf-8")


def test_a_server_that_was_killed_leaves_nothing_in_the_way(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    with serving(folder) as server:
        server.stop(signal.SIGKILL)
    path = folder / "data" / "server.json"
    left = json.loads(path.read_text(encoding="utf-8"))
    assert sum(s["profiles"] for s in keepers(folder, "stages", "value")["stages"]) == 60
    # Its number was given to another process, which listens nowhere.
    path.write_text(json.dumps(left | {"pid": os.getpid()}), encoding="utf-8")
    assert sum(s["profiles"] for s in keepers(folder, "stages", "value")["stages"]) == 60
    with serving(folder):
        assert sum(s["profiles"] for s in keepers(folder, "stages", "value")["stages"]) == 60


def test_a_second_server_and_a_busy_port_are_refused(running: Serving, shop: Path, tmp_path: Path) -> None:
    port = running.address.rpartition(":")[2]
    for folder, expected in ((running.folder, "is served already"), (copied(shop, tmp_path / "shop"), f"Port {port}")):
        refused = workspaces.keepers("-w", folder, "serve", "--port", port)
        assert refused.code == 2
        assert expected in refused.err
        assert "Traceback" not in refused.err


def test_collect_takes_events_beside_serve(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    with serving(folder) as server, serving(folder, command="collect") as collecting, server.api() as api:
        event = {"userId": "elsewhere", "event": "Order Completed"}
        assert httpx.post(f"{collecting.address}/v1/track", json=event, auth=(WRITE, "")).status_code == 200
        assert httpx.get(f"{collecting.address}/api/v1/segments").status_code == 404
        wait_until(api, "/profiles?id=elsewhere", lambda a: a["items"])
        assert collecting.stop() == 0


def test_a_variable_acts_the_same_beside_a_server_or_the_command_says_so(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(shop, tmp_path / "shop")
    commands = ("stages", "value", "--now", "2026-02-01T00:00:00")
    monkeypatch.setenv("KEEPERS_WORKSPACE_ZONE", "Asia/Tokyo")
    monkeypatch.setenv("KEEPERS_CHANNELS_EMAIL_PASSWORD", "tulip field")
    assert keepers(folder, *commands)["as_of"] == "2026-01-31T15:00:00Z"
    with serving(folder, "--no-tick"):
        assert "tulip" not in (folder / "data" / "server.json").read_text(encoding="utf-8")
        assert keepers(folder, *commands)["as_of"] == "2026-01-31T15:00:00Z"
        for name, value in (
            ("KEEPERS_WORKSPACE_ZONE", "Europe/Rome"),
            ("KEEPERS_CHANNELS_EMAIL_PASSWORD", "other"),
            ("KEEPERS_CHANNELS_EMAIL_HOST", "mail.example"),
            (TEST_CLOCK, f"2026-03-02T10:00:00Z@{format_instant(clock())}"),
        ):
            with monkeypatch.context() as here:
                here.setenv(name, value)
                error = keepers(folder, *commands, code=2)["error"]
            assert error["code"] == "settings"
            assert f"another value of {name}." in error["message"]
        for name in ("KEEPERS_WORKSPACE_ZONE", "KEEPERS_CHANNELS_EMAIL_PASSWORD"):
            monkeypatch.delenv(name)
        assert keepers(folder, *commands)["as_of"] == "2026-01-31T15:00:00Z", "the server's settings hold"
    assert keepers(folder, *commands)["as_of"] == "2026-02-01T00:00:00Z"


def test_commands_need_the_token_and_this_machine(running: Serving) -> None:
    address = f"{running.address}/api/v1/lifecycles/value"
    found = json.loads((running.folder / "data" / "server.json").read_text(encoding="utf-8"))
    good = {"Authorization": f"Bearer {found['token']}"}
    assert httpx.get(address).status_code == 401
    assert httpx.get(address, headers={"Authorization": "Bearer x"}).status_code == 401
    for header in ({"X-Forwarded-For": "10.0.0.1"}, {"Host": "keepers.example"}):
        assert httpx.get(address, headers=good | header).status_code == 403
    assert httpx.get(address, headers=good).json()["id"] == "value"
    local = f"{running.address}/api/v1/imports/local/preview"
    assert httpx.post(local, json={}, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 403


def test_another_host_than_loopback_keeps_commands_working(shop: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            own = probe.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no address but loopback")
    folder = copied(shop, tmp_path / "shop")
    with serving(folder, "--no-tick", "--host", own) as server:
        assert own in server.address
        assert sum(s["profiles"] for s in keepers(folder, "stages", "value")["stages"]) == 60
        assert httpx.get(f"{server.address}/").status_code == 303
        assert httpx.get(f"{server.address}/status.json").status_code == 401
        assert httpx.get(f"{server.address}/health").status_code == 200
