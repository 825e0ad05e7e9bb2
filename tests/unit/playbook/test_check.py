"""`keepers check`: dangling names with hints, circles, dead stages, whose conditions they are, what never arrived."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.channels.registry import CHANNELS
from keepers.conditions.message_events import engagement, own_events
from keepers.conditions.schema import EventTable, Schema
from keepers.model.channels import event_name
from keepers.model.errors import DefinitionError
from keepers.playbook.check import Finding, check, order
from keepers.playbook.load import Playbook, load_bodies
from keepers.playbook.plan import definition_changes

MESSAGE_CHANNELS = CHANNELS.keys() - {"webhook"}
"""channels that reach customers"""


def _playbook(**definitions: Any) -> Playbook:
    """`segment__vip={...}` and the like; ids are filled in."""
    bodies = {}
    for key, body in definitions.items():
        kind, _, name = key.partition("__")
        bodies[f"{kind}/{name}"] = {"id": name, **body} if kind != "rhythm" else body
    return load_bodies(bodies)


def _stages(*rules: Any, **more: Any) -> dict[str, Any]:
    return {"stages": [{"id": f"s{n}", "when": rule} for n, rule in enumerate(rules)], **more}


def _messages(found: list[Finding], level: str | None = None) -> list[str]:
    return [f.message for f in found if level in (None, f.level)]


def _arrived(*events: str, traits: tuple[str, ...] = ()) -> Schema:
    return Schema(1, {e: EventTable(e) for e in events}, frozenset(traits))


def test_a_sound_playbook_has_nothing_to_say() -> None:
    playbook = _playbook(
        segment__a={"who": {"did": "X"}},
        segment__b={"who": {"not": {"in_segment": "a"}}},
        lifecycle__c=_stages("anyone", {"in_segment": "b"}),
        segment__d={"who": {"in_stage": "c.s1", "for": "14d"}},
    )
    assert check(playbook) == []
    assert order(playbook) == [["segment:a"], ["segment:b"], ["lifecycle:c"], ["segment:d"]]


@pytest.mark.parametrize(
    ("who", "field", "message"),
    [
        ({"in_segment": "lapsd"}, "segment/x.who.in_segment", "no segment “lapsd”. Did you mean “lapsed”?"),
        ({"in_stage": "valu.s0"}, "segment/x.who.in_stage", "no lifecycle “valu”. Did you mean “value”?"),
        ({"in_stage": "value.s9"}, "segment/x.who.in_stage", "has no stage “s9”. Known: “s0”."),
        (
            {"all": [{"did": "A"}, {"not": {"any": [{"in_segment": "gone"}]}}]},
            "segment/x.who.all[1].not.any[0].in_segment",
            "no segment “gone”",
        ),
    ],
)
def test_unknown_names_are_errors_with_the_nearest(who: Any, field: str, message: str) -> None:
    others = {"segment__lapsed": {"who": "anyone"}, "lifecycle__value": _stages("anyone")}
    found = check(_playbook(segment__x={"who": who}, **others))
    assert [(f.level, f.field) for f in found] == [("error", field)]
    assert message in found[0].message


def test_a_circle_is_shown_as_a_path() -> None:
    playbook = _playbook(
        segment__a={"who": {"in_segment": "b"}},
        segment__b={"who": {"not": {"in_stage": "c.s0"}}},
        lifecycle__c=_stages({"in_segment": "a"}),
    )
    messages = _messages(check(playbook), "error")
    assert len(messages) == 1
    assert "lifecycle c → segment a → segment b → lifecycle c" in messages[0]
    with pytest.raises(DefinitionError, match="in a circle"):
        order(playbook)


def test_a_definition_that_asks_about_itself_is_a_circle() -> None:
    assert "segment a → segment a" in _messages(check(_playbook(segment__a={"who": {"in_segment": "a"}})))[0]
    assert "circle" in _messages(check(_playbook(lifecycle__v=_stages("anyone", {"in_stage": "v.s0"}))))[0]


def test_a_chain_of_thousands_is_no_recursion_error() -> None:
    chain = {f"segment__s{n}": {"who": {"in_segment": f"s{n + 1}"}} for n in range(3000)}
    playbook = _playbook(**chain, segment__s3000={"who": "anyone"})
    assert check(playbook) == []
    assert len(order(playbook)) == 3001


def test_people_and_accounts_are_told_apart() -> None:
    playbook = _playbook(
        segment__big={"of": "accounts", "who": {"did": "X"}},
        segment__wrong={"who": {"in_segment": "big"}},
        segment__right={"who": {"account": {"in_segment": "big"}}},
        segment__people={"who": {"did": "X"}},
        segment__inside={"who": {"account": {"in_segment": "people"}}},
        segment__nested={"of": "accounts", "who": {"not": {"account": {"in_segment": "big"}}}},
    )
    found = {f.field: f.message for f in check(playbook)}
    assert set(found) == {
        "segment/wrong.who.in_segment",
        "segment/inside.who.account.in_segment",
        "segment/nested.who.not.account",
    }
    assert "{account: …}" in found["segment/wrong.who.in_segment"]


def test_events_and_traits_that_never_arrived_are_warned_about_once_there_is_data() -> None:
    playbook = _playbook(
        segment__a={"who": {"all": [{"did": "Order Complete"}, {"trait": "contry", "eq": "PL"}, {"trait": "lost_at"}]}},
        segment__b={"who": {"sequence": [{"did": "Order Completed"}, {"did_not": "Order Refundet", "within": "7d"}]}},
    )
    assert check(playbook) == []
    assert check(playbook, Schema()) == []
    found = check(playbook, _arrived("Order Completed", "Order Refunded", traits=("country",)))
    assert {f.level for f in found} == {"warning"}
    text = "\n".join(_messages(found))
    assert "no event “Order Complete” has arrived so far. Did you mean “Order Completed”" in text
    assert "no trait “contry” has arrived so far. Did you mean “country”?" in text
    assert "“Order Refunded”" in text
    assert "the score “rhythm” is computed from “purchase”" in text
    assert len(found) == 4


def test_a_word_whose_events_never_arrived_is_warned_about_where_it_stands() -> None:
    playbook = _playbook(
        event__buy={"from": ["Order Completed", "Sale"]},
        event__view={"from": "Product Viewed"},
        segment__a={"who": {"any": [{"did": "buy"}, {"did": "view"}]}},
    )
    found = check(playbook, _arrived("Sale"))
    assert [f.field for f in found] == ["event/view"]
    assert "Used by a" in found[0].message


def test_a_word_that_hides_an_arriving_event_is_warned_about() -> None:
    hides = _playbook(event__purchase={"from": "Order Completed"})
    assert "hides them" in _messages(check(hides, _arrived("purchase", "Order Completed")))[0]
    counts = _playbook(event__purchase={"from": ["Order Completed", "purchase"]})
    assert check(counts, _arrived("purchase", "Order Completed")) == []


def test_a_word_made_of_another_word_is_refused_unless_its_events_are_there_too() -> None:
    buy = {"from": ["Order Completed", "buy"]}
    assert (
        "Write its own events here: Order Completed"
        in _messages(check(_playbook(event__buy=buy, event__big={"from": "buy", "where": {"total": {"gt": 99}}})))[0]
    )
    assert check(_playbook(event__buy=buy, event__big={"from": ["Order Completed", "buy"]})) == []
    looped = _playbook(event__a={"from": "b"}, event__b={"from": "a"})
    assert {f.level for f in check(looped)} == {"error"}


def test_a_word_made_void_by_itself_is_refused() -> None:
    playbook = _playbook(event__a={"from": "A", "unless": {"did": "a", "same": "id"}})
    assert "cancelled by itself" in _messages(check(playbook))[0]


def test_stages_nobody_can_reach_are_warned_about() -> None:
    playbook = _playbook(
        lifecycle__v=_stages({"did": "A"}, "nobody", {"any": [{"did": "B"}, "anyone"]}, {"did": "C"}, {"did": "C"}),
        segment__none={"who": {"all": []}},
    )
    text = "\n".join(_messages(check(playbook)))
    assert "the stage “s0”: “s2” comes later in the list and holds for everyone" in text
    assert "nobody can reach the stage “s1”" in text
    assert "the stage “s3”: “s4” comes later in the list with the same rule" in text
    assert "“s2”:" not in text
    assert "nobody can be in this segment" in text


def test_a_phase_may_be_the_companys_own() -> None:
    playbook = _playbook(lifecycle__v=_stages("anyone"), lifecycle__p=_stages("anyone", "nobody", phases_of="v"))
    assert check(playbook) == []


def test_phases_of_something_unknown_are_an_error() -> None:
    playbook = _playbook(lifecycle__value=_stages("anyone"), lifecycle__p=_stages("anyone", phases_of="valeu"))
    assert "Did you mean “value”?" in _messages(check(playbook), "error")[0]


def test_a_rhythm_without_its_event_is_warned_about() -> None:
    playbook = load_bodies({"rhythm": {"event": "Ordr"}, "segment/a": {"id": "a", "who": {"trait": "lost_at"}}})
    assert check(playbook) == []
    assert "the score “rhythm” is computed from “Ordr”" in _messages(check(playbook, _arrived("Order")))[0]


def test_what_keepers_says_itself_need_not_have_arrived() -> None:
    conditions = [{"did": name} for name in ("Email Link Clicked", "In-App Read", "Journey Exited", "Unsubscribed")]
    assert check(_playbook(segment__x={"who": {"any": conditions}}), _arrived("Visit")) == []
    (found,) = check(_playbook(segment__x={"who": {"did": "Email Link Clickd"}}), _arrived("Visit"))
    assert "Did you mean “Email Link Clicked”" in found.message
    about = {event_name(channel, what) for channel in ("email", "sms", "push", "in_app") for what in ("Sent", "Opened")}
    assert about | {event_name("webhook", "Sent")} <= own_events()
    assert {name for events in engagement().values() for name in events.values()} <= own_events()


def test_every_channel_that_writes_to_customers_can_be_asked_about() -> None:
    assert engagement().keys() == MESSAGE_CHANNELS
    for channel, events in engagement().items():
        assert events["received"] == event_name(channel, "Sent")
        assert check(_playbook(segment__x={"who": {"engaged": {"with": "received", "channel": channel}}})) == []


def test_a_channel_that_a_topic_is_not_for_is_said_once() -> None:
    playbook = _playbook(
        topic__orders={"name": "Orders", "kind": "transactional", "channels": ["email"]},
        message__paid={"channel": "in_app", "topic": "orders", "content": {"en": {"title": "Paid", "text": "Thanks"}}},
        journey__j={"enter": [{"event": "X"}], "steps": [{"id": "m", "message": "paid"}]},
    )
    (found,) = check(playbook)
    assert "“orders” is not offered on in_app, but on email; add in_app to it" in found.message


def test_only_a_segment_or_a_word_can_change_in_its_texts_alone() -> None:
    before = {"segment": {"who": "anyone"}, "event": {"from": ["A"]}, "topic": {"name": "T"}}
    journey = {"enter": [{"event": "X"}], "steps": [{"id": "x", "exit": "done"}]}
    changed = {}
    for name, more in (("a", {"name": "One"}), ("b", {"name": "Two"})):
        made = {f"{kind}__x": {**body, **more} for kind, body in before.items()}
        changed[name] = _playbook(**made, journey__x={**journey, **more})
    changes = {c.key: c.answers_change for c in definition_changes(changed["a"], changed["b"], set())}
    assert changes == {"segment/x": False, "event/x": False, "topic/x": True, "journey/x": True}
    one, other = (_playbook(event__x={"name": "One", "from": [source]}) for source in "AB")
    assert [c.answers_change for c in definition_changes(one, other, set())] == [True]
