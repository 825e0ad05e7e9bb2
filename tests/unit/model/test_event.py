"""The reader of Segment calls: what it accepts, what it refuses and why, and never an unexpected error."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.model.errors import UserError
from keepers.model.event import ParsedRequest, TrackingCall, parse_request
from keepers.model.json_text import Limits
from profiles import examples

NOW = datetime(2026, 3, 1, 12)


def track(**fields: object) -> dict[str, object]:
    return {"type": "track", "event": "Ordered", "userId": "u1", **fields}


def read_batch(*items: object, **more: object) -> ParsedRequest:
    return parse_request("/v1/batch", json.dumps({"batch": items, **more}).encode(), NOW)


def one(**fields: object) -> TrackingCall:
    parsed = read_batch(track(**fields))
    assert parsed.errors == []
    return parsed.items[0]


def refusal(**fields: object) -> str:
    parsed = read_batch(track(**fields))
    assert parsed.items == []
    return str(parsed.errors[0][1])


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t", "/v1/track/"])
def test_a_single_call_takes_its_kind_from_the_path(path: str) -> None:
    parsed = parse_request(path, b'{"event": "Ordered", "userId": 7, "type": "identify"}', NOW)
    message = parsed.items[0]
    assert (message.kind, message.event, message.user_id, message.time) == ("track", "Ordered", "7", NOW)


def test_the_body_is_kept_as_it_was_sent() -> None:
    raw = b'{"event":"Ordered",  "userId":"u1", "properties":{"x":1.50,"n":null,"e":"\\u017c\xc3\xb3\xc5\x82\xc4\x87"}}'
    assert parse_request("/v1/track", raw, NOW).items[0].body == raw


def test_the_sender_s_clock_is_corrected() -> None:
    slow = one(timestamp="2026-02-01T00:00:00Z", sentAt="2026-02-01T00:10:00+00:00")
    assert slow.time == NOW - timedelta(minutes=10)
    at_batch = read_batch(track(timestamp="2026-02-01T00:00:00Z"), sentAt="2026-02-01T00:01:00Z").items[0]
    assert at_batch.time == NOW - timedelta(minutes=1)


def test_an_original_timestamp_is_the_device_s_clock() -> None:
    relayed = one(
        originalTimestamp="2026-02-01T00:00:00Z", timestamp="2026-02-28T00:00:00Z", sentAt="2026-02-01T00:00:30Z"
    )
    assert relayed.time == NOW - timedelta(seconds=30)


def test_without_sent_at_the_timestamp_stands() -> None:
    assert one(timestamp="2024-05-06T07:08:09.123+02:00").time == datetime(2024, 5, 6, 5, 8, 9, 123000)
    assert one().time == NOW


def test_imported_history_is_not_corrected() -> None:
    body = json.dumps({"batch": [track(timestamp="2020-01-01T00:00:00Z")], "sentAt": "2026-01-01T00:00:00Z"}).encode()
    assert parse_request("/v1/import", body, NOW).items[0].time == datetime(2020, 1, 1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 1_700_000_000_000}, "timestamp"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "timestamp"),
        ({"timestamp": "2100-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "9999-12-31T23:59:59-10:00"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2026-01-01T00:00:00Z", "sentAt": "soon"}, "sentAt"),
        ({"event": ""}, "event"),
        ({"event": "  "}, "event"),
        ({"event": None}, "event"),
        ({"event": 5}, "event"),
        ({"event": "x" * 201}, "event"),
        ({"event": "a\0b"}, "event"),
        ({"userId": "a\0b"}, "userId"),
        ({"userId": "x" * 513}, "userId"),
        ({"userId": 1.5}, "userId"),
        ({"userId": True}, "userId"),
        ({"userId": {"id": 1}}, "userId"),
        ({"anonymousId": ["a"]}, "anonymousId"),
        ({"userId": None}, "userId or anonymousId"),
        ({"userId": " NULL "}, "placeholder"),
        ({"userId": "0"}, "placeholder"),
        ({"properties": [1]}, "properties"),
        ({"context": "x"}, "context"),
        ({"type": "purchase"}, "type"),
        ({"type": None}, "type"),
        ({"type": "alias"}, "previousId"),
        ({"type": "alias", "previousId": "undefined"}, "previousId"),
        ({"type": "group"}, "groupId"),
        ({"type": "group", "groupId": "None"}, "groupId"),
        ({"properties": {"x": "y" * 40_000}}, "32,768"),
        ({"properties": {"sum": float("nan")}}, "“sum” is NaN"),
        ({"properties": {"sum": float("-inf")}}, "“sum” is Infinity"),
        ({"properties": {"text": "\ud800"}}, "surrogate"),
        ({"properties": {"n": 10**400}}, "too large"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields: dict[str, object], field: str) -> None:
    assert field in refusal(**fields)


def test_one_bad_item_does_not_cost_the_others() -> None:
    deep: object = 0
    for _ in range(200):
        deep = [deep]
    parsed = read_batch(
        track(),
        5,
        None,
        [],
        track(properties={"a": float("nan")}),
        track(properties={"deep": deep}),
        track(userId="u2"),
    )
    assert [m.user_id for m in parsed.items] == ["u1", "u2"]
    assert [index for index, _ in parsed.errors] == [1, 2, 3, 4, 5]
    assert "64 levels deep" in str(dict(parsed.errors)[5])


@pytest.mark.parametrize("levels", [900, 100_000])
def test_nesting_never_exhausts_the_stack(levels: int) -> None:
    bad = b'{"batch": [' + b"[" * levels + b"]" * levels + b', {"type": "page", "userId": "u"}]}'
    parsed = parse_request("/v1/batch", bad, NOW)
    assert [m.index for m in parsed.items] == [1]
    assert parse_request("/v1/track", b'{"a":' * 3000 + b"1" + b"}" * 3000, NOW).errors[0][0] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"{}",
        b'{"batch": {}}',
        b'{"batch": [}',
        b'{"batch": [1',
        b"\xff\xfe",
        b"[" * 10**5,
    ],
)
def test_a_body_without_a_batch_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(UserError) as caught:
        parse_request("/v1/batch", body, NOW)
    assert caught.value.code == "json"


def test_sizes_are_limited() -> None:
    with pytest.raises(UserError, match="32,768"):
        parse_request("/v1/track", b" " * 32_769, NOW)
    with pytest.raises(UserError, match="512,000"):
        parse_request("/v1/batch", b" " * 512_001, NOW)
    with pytest.raises(UserError, match="items"):
        parse_request("/v1/batch", b'{"batch":[' + b"1," * 2600 + b"1]}", NOW)


def test_a_batch_s_context_reaches_its_items() -> None:
    parsed = read_batch(track(context=None), track(context={"ip": "own"}), context={"ip": "shared"})
    assert [json.loads(m.body)["context"]["ip"] for m in parsed.items] == ["shared", "own"]


def test_messages_without_an_id_are_told_apart_and_recognised() -> None:
    def ids(token: str) -> list[str]:
        body = json.dumps({"batch": [track(), track()]}).encode()
        return [m.message_id for m in parse_request("/v1/batch", body, NOW, token=token).items]

    assert ids("1") == ids("1")
    assert len({*ids("1"), *ids("2")}) == 4


def test_event_names_are_composed_and_a_byte_order_mark_is_skipped() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(track(event="Zamo\u0301wienie")).encode()
    assert parse_request("/v1/track", body, NOW).items[0].event == "Zam\u00f3wienie"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
anything = st.recursive(
    scalars, lambda s: st.lists(s, max_size=4) | st.dictionaries(st.text(), s, max_size=4), max_leaves=8
)
fields = st.sampled_from(
    ["type", "event", "userId", "anonymousId", "previousId", "groupId", "messageId", "timestamp", "sentAt",
     "originalTimestamp", "context", "properties", "traits"]
)  # fmt: skip
kinds = st.sampled_from(["track", "identify", "page", "screen", "group", "alias"])
calls = st.dictionaries(fields, anything).flatmap(
    lambda d: kinds.map(lambda k: {"userId": "u", "event": "e", "type": k, **d})
)


@examples(1.5)
@given(st.lists(calls | anything, max_size=4))
def test_every_item_is_either_accepted_or_given_a_reason(items: list[object]) -> None:
    body = json.dumps({"batch": items}).encode("utf-8", "surrogatepass")
    parsed = parse_request("/v1/batch", body, NOW)
    places = [m.index for m in parsed.items] + [index for index, _ in parsed.errors]
    assert sorted(places) == list(range(len(items)))
    for message in parsed.items:
        assert json.loads(message.body) == json.loads(json.dumps(items[message.index]))
        assert message.user_id or message.anonymous_id
        assert datetime(1970, 1, 1) <= message.time < datetime(2100, 1, 1)


@examples(2)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: ('{"batch":[' + t).encode("utf-8", "ignore")))
def test_any_bytes_give_an_answer(body: bytes) -> None:
    for path in ("/v1/batch", "/v1/identify"):
        with suppress(UserError):
            parse_request(path, body, NOW, Limits())
