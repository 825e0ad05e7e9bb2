"""The official clients, unmodified, sending to a running Keepers."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from conformance.conftest import Running
from keepers.ingest.identify import identify
from keepers.store.events import log
from keepers.store.events.log import LogRow
from keepers.store.profiles import identities

NOW = datetime(2100, 1, 1)
NODE = Path(__file__).parent / "node"


def settled(running: Running) -> list[LogRow]:
    identify(running.store, NOW)
    with running.store.read() as connection:
        return [row for row in log.read(connection, 0, 1000) if row.kind not in ("profile", "merge")]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_the_python_client(running: Running, compressed: bool) -> None:
    from segment.analytics.client import Client

    problems: list[object] = []
    client = Client(running.write_key, host=running.host, gzip=compressed, on_error=lambda e, _: problems.append(e))
    client.track(anonymous_id="visitor-1", event="Product Viewed", properties={"product_id": "p1"})
    client.identify("u1", {"email": "a@example.com", "age": 41, "name": "Żółć 买"})
    client.alias("visitor-1", "u1")
    client.group("u1", "g1", {"name": "Acme"})
    client.page("u1", "Docs", "Home", {"url": "https://example.com/"})
    client.screen("u1", "App", "Main")
    ordered_at = datetime(2024, 1, 2, 3, 5)
    for number in range(250):
        client.track("u1", "Order Completed", {"order_id": number, "products": [{"id": 1}]}, timestamp=ordered_at)
    client.shutdown()
    assert problems == []
    rows = settled(running)
    assert [row.kind for row in rows[:6]] == ["track", "identify", "alias", "group", "page", "screen"]
    orders = [row for row in rows if row.event == "Order Completed"]
    assert sorted(json.loads(row.body)["properties"]["order_id"] for row in orders) == list(range(250))
    assert json.loads(rows[1].body)["traits"] == {"email": "a@example.com", "age": 41, "name": "Żółć 买"}
    with running.store.read() as connection:
        known = identities.find(connection, "user_id", "u1")
        assert identities.find(connection, "anonymous_id", "visitor-1") == known
    assert {row.profile_id for row in rows[1:]} == {known}


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed from the npm registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not on this machine, so the Node client cannot run")
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(NODE, folder, dirs_exist_ok=True)
    made = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return folder


def test_the_node_client(running: Running, node_client: Path) -> None:
    sent = subprocess.run(
        ["node", "send.mjs", running.host, running.write_key],
        cwd=node_client, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    rows = settled(running)
    assert sorted(row.kind for row in rows) == ["alias", "group", "identify", "page", "screen", "track", "track"]
    (order,) = (row for row in rows if row.event == "Order Completed")
    assert timedelta() <= order.time - datetime(2024, 1, 2, 3, 5) < timedelta(seconds=30)
    (account,) = (row for row in rows if row.kind == "group")
    with running.store.read() as connection:
        assert identities.find(connection, "group_id", "acme") == account.other_id
        assert identities.find(connection, "anonymous_id", "node-anon") == account.profile_id
