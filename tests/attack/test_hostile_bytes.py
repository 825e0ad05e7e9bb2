"""Whatever bytes and structures are sent: an answer below 500, within bounds of processor time and memory.

What the OpenAPI document describes is schemathesis' (tests/http/test_openapi.py). This is for what no schema writes:
broken text, wrong encodings, nesting, huge numbers, and calls that a provider has signed for somebody else.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from litestar.datastructures import State
from litestar.testing import TestClient

from bounds import TooMuchTimeError, bounded
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.http.application import create_app
from keepers.http.management.router import USE_CASES, management, options
from keepers.http.public.router import public_handlers
from keepers.model.errors import KeepersError
from keepers.store import keys
from profiles import examples
from workspaces import lay_out

CPU_S = 10.0
"""of one example: thousands of times what it takes"""
MEMORY = 512 << 20
FAST = examples(0.6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TRACKING = ("track", "identify", "batch", "import", "alias", "b", "t")
FIELDS = (
    "type", "event", "userId", "anonymousId", "previousId", "groupId", "messageId", "timestamp", "sentAt", "context",
    "properties", "traits", "batch", "writeKey", "originalTimestamp", "signature", "expires",
)  # fmt: skip
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
    | st.sampled_from(["2026-03-01T10:00:00Z", "track", "\0", "\ud800", "9" * 400, -(2**63), 2**64, 1e308]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
OBJECTS: Any = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)
REPEATED = st.builds(
    lambda start, unit, times, end: (start + unit * times + end)[:400_000],
    st.sampled_from([b"", b"{", b"[", b'{"batch":[', b'{"context":', b'"', b"{\"a\":[", b"\xef\xbb\xbf"]),
    st.sampled_from([b"[", b"{", b'"', b",", b"\\", b"[]", b'{"a":', b"1,", b"9", b" ", b"\n", b"\xff", b'"",', b"-"])
    | st.binary(min_size=1, max_size=6),
    st.integers(0, 400_000),
    st.sampled_from([b"", b"]", b"}", b"]}", b'"}']),
)  # fmt: skip
"""a short piece again and again, as gzip makes small"""


def changed(text: bytes, junk: bytes, start: int, length: int) -> bytes:
    return text[:start] + junk + text[start + length :]


BODIES: Any = (
    st.binary(max_size=400)
    | REPEATED
    | OBJECTS.map(lambda one: json.dumps(one).encode())
    | VALUES.map(lambda one: json.dumps(one).encode())
    | st.builds(
        changed, OBJECTS.map(lambda one: json.dumps(one).encode()), st.binary(max_size=8), st.integers(0, 200),
        st.integers(0, 20),
    )
)  # fmt: skip
Attacked = tuple[TestClient, dict[str, str]]
"""a client, and a key of each kind"""
CALLS = [one.route for one in USE_CASES if one.route.has_body and not one.route.is_local]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Attacked]:
    """A client of all that a server serves, and a key of each kind. Limits are off: they would answer for it."""
    folder = lay_out(tmp_path_factory.mktemp("fuzzed") / "shop", migrated_folder)
    with (folder / "keepers.toml").open("a") as toml:
        toml.write("[limits]\nnetwork_per_minute = 0\nvisitor_per_minute = 0\nkey_per_minute = 0\n")
        toml.write('[providers.postmark]\ntoken = "of these tests"\n')
    workspace = Workspace.open(folder)
    with workspace.store.begin() as connection:
        tokens = {kind: keys.create(connection, kind, kind, clock())[1] for kind in keys.KINDS}
    ring = workspace.key_ring
    handlers: list[Any] = [management(ring, clock), *public_handlers(workspace)]
    state = State({"workspace": workspace, "management_path": "/api/v1"})
    events = EventIntake(workspace.store, keys=ring, public_limits=workspace.public_limits)
    with TestClient(create_app(events, clock=clock, handlers=handlers, state=state, **options("0"))) as client:
        yield client, tokens
    workspace.close()


@FAST
@given(st.sampled_from(TRACKING), BODIES, st.sampled_from(["", "gzip", "cut", "zlib", "br"]))
def test_tracking(attacked: Attacked, call: str, body: bytes, encoding: str) -> None:
    client, tokens = attacked
    # What is imported takes a server key.
    key = tokens["server" if call == "import" else "write"]
    packed = {
        "": lambda: body,
        "gzip": lambda: gzip.compress(body),
        "cut": lambda: gzip.compress(body)[: len(body) // 2 + 5],
        "zlib": lambda: zlib.compress(body),
        "br": lambda: body,
    }[encoding]()
    headers = {"Content-Encoding": {"cut": "gzip", "zlib": "gzip"}.get(encoding, encoding)} if encoding else {}
    with bounded(CPU_S, MEMORY):
        got = client.post(f"/v1/{call}", content=packed, headers=headers, auth=(key, ""))
    assert got.status_code in (200, 400, 413, 415), got.text
    assert got.json()["success"] is (got.status_code == 200 and "errors" not in got.json())
    assert len(got.content) < 20_000


@FAST
@given(st.sampled_from(CALLS), BODIES, st.sampled_from(["application/json", "text/plain", "multipart/form-data", ""]))
def test_management(attacked: Attacked, route: Any, body: bytes, kind: str) -> None:
    client, tokens = attacked
    path = "/api/v1" + route.path
    for name in route.in_path:
        path = path.replace("{" + name + "}", "1")
    headers = {"Authorization": f"Bearer {tokens['secret']}", "Content-Type": kind}
    with bounded(CPU_S, MEMORY):
        got = client.request(route.method, path, content=body, headers=headers)
    assert got.status_code < 500, got.text
    assert len(got.content) < 200_000


@FAST
@given(st.sampled_from([*PROVIDERS, "postmork"]), BODIES, st.booleans())
def test_provider_webhooks(attacked: Attacked, provider: str, body: bytes, is_signed: bool) -> None:
    client, _ = attacked
    headers = {"X-Keepers-Token": "of these tests"} if is_signed else {}
    with bounded(CPU_S, MEMORY):
        got = client.post(f"/e/in/{provider}", content=body, headers=headers)
    assert got.status_code < 500, got.text
    assert (got.status_code == 200) <= (is_signed and provider == "postmark")


NAMES = (
    "Type", "Message", "MessageId", "TopicArn", "SubscribeURL", "notificationType", "eventType", "bounce", "mail",
    "complaint", "bouncedRecipients", "emailAddress", "timestamp", "RecordType", "MessageID", "Recipient", "Metadata",
    "DeliveredAt", "event", "sg_message_id", "email", "signature", "token", "event-data", "recipient", "message",
    "headers", "message-id", "user-variables", "severity", "delivery-status", "id", "tags", "keepers",
)  # fmt: skip
REPORTED: Any = st.recursive(
    VALUES | st.sampled_from(["Notification", "Bounce", "Delivery", "failed", "delivered", "bounce", "Permanent"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=25,
)


@FAST
@given(
    st.sampled_from(sorted(PROVIDERS)),
    BODIES
    | REPORTED.map(lambda one: json.dumps(one).encode())
    | REPORTED.map(lambda one: json.dumps({"Type": "Notification", "Message": json.dumps(one)}).encode()),
)
def test_what_a_provider_signed_for_somebody_else_is_read_within_bounds(provider: str, body: bytes) -> None:
    """Another customer of a provider may let it sign whatever they like."""
    with bounded(CPU_S, MEMORY), suppress(KeepersError):
        PROVIDERS[provider].call_id(body)
        PROVIDERS[provider].reports(body)


def test_the_bounds_end_what_passes_them() -> None:
    def without_end() -> None:
        while True:
            pass

    with pytest.raises(TooMuchTimeError), bounded(0.05, MEMORY):
        without_end()
    with pytest.raises(MemoryError), bounded(CPU_S, 64 << 20):
        bytearray(256 << 20)
