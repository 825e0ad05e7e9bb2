"""Requests recorded from official SDKs are accepted and stored exactly; the Segment spec's examples are read."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from conformance.conftest import Running
from keepers.ingest.identify import identify
from keepers.model.event import parse_request
from keepers.store.events import log

NOW = datetime(2026, 11, 22, 2)


def recorded(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "segment" / "wire_capture.jsonl").read_text().splitlines()]


def test_every_recorded_request_is_accepted_and_stored_exactly(shared_data: Path, running: Running) -> None:
    sent = []
    for request in recorded(shared_data):
        headers = {k: v for k, v in request["headers"].items() if k.lower() not in ("host", "content-length")}
        body = json.dumps(request["body"]).encode()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.compress(body)
        answer = httpx.request(request["method"], running.host + request["path"], headers=headers, content=body)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        sent += request["body"]["batch"]
    identify(running.store, NOW)
    with running.store.read() as connection:
        stored = {row.body: row for row in log.read(connection, 0, 1000) if row.kind not in ("profile", "merge")}
    assert sorted(json.dumps(json.loads(body), sort_keys=True) for body in stored) == sorted(
        json.dumps(item, sort_keys=True) for item in sent
    )
    kinds = Counter(row.kind for row in stored.values())
    assert kinds == Counter(item["type"] for item in sent)


NAMELESS = {
    ("group.md", "group"), ("page.md", "page"), ("screen.md", "screen"), ("track.md", "track"),
}  # fmt: skip
"""short examples of the spec that leave out whose event it is"""


def test_the_spec_s_examples_are_read(shared_data: Path) -> None:
    examples = json.loads((shared_data / "segment" / "payload_examples.json").read_text())
    typed = [e for e in examples if isinstance(e["payload"], dict) and "type" in e["payload"]]
    assert len(typed) == 36
    refused = []
    for example in typed:
        body = json.dumps({"batch": [example["payload"]]}).encode()
        parsed = parse_request("/v1/batch", body, NOW)
        for message in parsed.items:
            assert json.loads(message.body) == example["payload"]
        for _, reason in parsed.errors:
            assert str(reason).startswith("userId or anonymousId is needed"), reason
            refused.append((example["file"], example["payload"]["type"]))
    assert sorted(refused) == sorted(NAMELESS)
