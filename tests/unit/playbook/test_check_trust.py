"""What `check` says of trust: who is stopped by it, and who stops nobody."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from keepers.playbook.check import check
from keepers.playbook.load import load_texts

CODES = {
    "trusts_anybody",
    "waits_for_server",
    "accounts_are_not_trusted",
    "lasting_is_not_trusted",
}
BODY = "<mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section>"


def findings(
    seen: dict[str, tuple[int, int]] | None = None, segment: Any = None, **journey: Any
) -> list[tuple[str, str]]:
    """(field, code) of what is said of trust about a journey with one message of the topic `orders`, unless given."""
    topic = journey.pop("topic", "orders")
    playbook = {
        "topics": [{"id": "orders", "name": "O", "kind": "transactional"}, {"id": "news", "name": "N"}],
        "segments": [{"id": "some", "who": {"did": "Paid"}, **(segment or {})}],
        "messages": [
            {"id": "m", "channel": "email", "topic": topic, "content": {"en": {"subject": "S", "body": BODY}}}
        ],
        "journeys": [{"id": "j", "enter": [{"event": "Paid"}], "steps": [{"id": "send", "message": "m"}], **journey}],
    }
    trust = None if seen is None else lambda event: seen.get(event, (0, 0))
    found = check(load_texts({"own.yaml": yaml.safe_dump(playbook)}), trust=trust)
    return [(one.field, one.sentence.inner.code) for one in found if one.sentence.inner.code in CODES]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"Paid": (0, 61)}, [("journey/j.enter[0]", "waits_for_server")]),
        ({"Paid": (1, 60)}, []),
        ({}, []),
        (None, []),
    ],
)
def test_journeys_whose_events_all_came_by_public_keys_are_named(seen: Any, said: list[tuple[str, str]]) -> None:
    assert findings(seen) == said
    assert findings(seen, topic="news") == []
    assert findings(seen, topic="news", trust="server") == said


def test_a_journey_that_anybody_may_start_is_warned_about_where_it_cannot_be_declined() -> None:
    assert findings({"Paid": (0, 9)}, trust="any") == [("journey/j.trust", "trusts_anybody")]
    assert findings(trust="any", topic="news") == []


def test_accounts_are_not_trusted() -> None:
    asked = {"trust": "server", "who": {"account": {"did": "Paid"}}}
    assert findings(segment=asked) == [("segment/some.who", "accounts_are_not_trusted")]
    assert findings(segment=asked | {"trust": "any"}) == []


LASTING = {"in_segment": "some", "for": "3d"}


def test_how_long_is_trusted_of_segments_that_count_trusted_events() -> None:
    remark = ("journey/j", "lasting_is_not_trusted")
    assert findings(**{"if": LASTING}) == [remark]
    assert findings(**{"if": {"not": LASTING}}) == [remark]
    assert findings(segment={"trust": "server"}, **{"if": LASTING}) == []
    assert findings(topic="news", **{"if": LASTING}) == []
    assert findings(**{"if": {"in_segment": "some"}}) == []


def test_how_long_in_a_stage_is_never_trusted() -> None:
    in_stage = {"trust": "server", "who": {"in_stage": "value.new", "for": "3d"}}
    assert findings(segment=in_stage) == [("segment/some.who", "lasting_is_not_trusted")]
