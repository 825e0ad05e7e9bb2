"""A running server erases somebody and rewrites its files while events arrive: none is lost, none doubled."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import duckdb
import httpx

from serving import SERVER, copied, serving

WHO = "c004"
"""a customer of the shop"""


def test_events_that_arrive_during_a_compaction_are_all_there_and_once(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    sent: list[str] = []
    done = Event()
    with serving(folder) as server, server.api() as api:

        def keep_sending() -> None:
            while not done.is_set():
                name = f"during-{len(sent)}"
                event = {
                    "userId": f"c{len(sent) % 3:03}",
                    "event": "Looked",
                    "messageId": name,
                    "properties": {"n": name},
                }
                httpx.post(f"{server.address}/v1/track", json=event, auth=(SERVER, "")).raise_for_status()
                sent.append(name)

        sender = Thread(target=keep_sending)
        sender.start()
        try:
            assert api.post(f"/profiles/{WHO}/erase", json={}).raise_for_status().json()["profiles"] == 1
            for erasures in (1, 0):
                compacted = api.post("/compact", json={}, timeout=120).raise_for_status().json()
                assert (compacted["store"], compacted["warehouse"], compacted["erasures"]) == (True, True, erasures)
                assert api.get("/health").raise_for_status().json()["status"] == "ok"
        finally:
            done.set()
            sender.join(60)
        api.post("/tick", json={"until_idle": True}).raise_for_status()
        report = api.get("/doctor").raise_for_status().json()
        assert report["compacted_at"] is not None
        assert not [one for one in report["findings"] if "erase" in one]
    with duckdb.connect(str(folder / "data" / "warehouse.duckdb"), read_only=True) as warehouse:
        found = [row[0] for row in warehouse.execute("SELECT n FROM looked").fetchall()]
    assert sorted(found) == sorted(sent)
    assert len(sent) > 3
    for file in folder.rglob("*.db*"):
        assert WHO.encode() not in file.read_bytes(), file.name
