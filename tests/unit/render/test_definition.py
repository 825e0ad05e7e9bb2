"""Messages and snippets as a playbook writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from keepers.model.errors import DefinitionError
from keepers.render.definition import MOST_TEXT, Body, parse_message, parse_snippet

EMAIL: dict[str, Any] = {
    "id": "welcome_1",
    "channel": "email",
    "topic": "lifecycle",
    "content": {"en": {"subject": "Hello", "body": "<mj-section></mj-section>"}},
}


def message(**changes: Any) -> dict[str, Any]:
    return {**EMAIL, **changes}


def test_what_is_left_out_has_defaults() -> None:
    found = parse_message(EMAIL)
    assert (found.priority, found.expires, found.layout, found.utm) == (None, timedelta(days=3), "", {})
    assert found.content == {"en": Body(subject="Hello", body="<mj-section></mj-section>")}


def test_everything_that_can_be_said() -> None:
    found = parse_message(
        message(
            name={"en": "Welcome", "pl": "Powitanie"},
            priority="cart",
            expires="12h",
            layout="letter",
            **{"from": "Shop <hello@shop.example>"},
            reply_to="help@shop.example",
            utm={"campaign": "welcome"},
            content={
                "en": {"subject": "s", "preheader": "p", "body": "b", "text": "t"},
                "pt_BR": EMAIL["content"]["en"],
            },
        )
    )
    assert found.sender == "Shop <hello@shop.example>"
    assert found.expires == timedelta(hours=12)
    assert found.utm == {"campaign": "welcome"}
    assert list(found.content) == ["en", "pt-BR"]


def test_utm_tags_can_be_switched_off() -> None:
    assert parse_message(message(utm=False)).utm is None


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("sms", {"text": "Hi"}),
        ("chat", {"text": "Hi"}),
        ("push", {"title": "Hi", "text": "there", "url": "https://a.example", "icon": "https://a.example/i.png"}),
        ("in_app", {"title": "Hi", "text": "there"}),
    ],
)
def test_other_channels_say_less(channel: str, content: dict[str, str]) -> None:
    assert parse_message(message(channel=channel, content={"en": content})).channel == channel


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"chanel": "email"}, "messages[0]", "channel"),
        ({"channel": "fax"}, "messages[0].channel", "none of email"),
        ({"channel": None}, "messages[0].channel", "needs “channel”"),
        ({"topic": None}, "messages[0]", "topic"),
        ({"id": "Welcome 1"}, "messages[0].id", "lower-case"),
        ({"priority": "urgent"}, "messages[0].priority", "none of service"),
        ({"expires": "soon"}, "messages[0].expires", "soon"),
        ({"expires": "0d"}, "messages[0].expires", "never sent"),
        ({"from": "Shop"}, "messages[0].from", "address"),
        ({"from": "Shop <a@b.example>\nBcc: c@d.example"}, "messages[0].from", "address"),
        ({"reply_to": 5}, "messages[0].reply_to", "address"),
        ({"utm": {"campain": "x"}}, "messages[0].utm", "campaign"),
        ({"utm": {"campaign": 5}}, "messages[0].utm.campaign", "text"),
        ({"content": {}}, "messages[0].content", "per locale"),
        ({"content": {"subject": "a", "body": "b"}}, "messages[0].content", "under a locale"),
        ({"content": {"english": {}}}, "messages[0].content", "no locale"),
        ({"content": {"en": {"body": "b"}}}, "messages[0].content.en.subject", "needs “subject”"),
        ({"content": {"en": {"subject": " ", "body": "b"}}}, "messages[0].content.en.subject", "needs “subject”"),
        ({"content": {"en": {"subject": "a", "boddy": "b"}}}, "messages[0].content.en", "body"),
        ({"content": {"en": {"subject": 5, "body": "b"}}}, "messages[0].content.en.subject", "quotes"),
        (
            {"content": {"en": {"subject": "a", "body": "b" * (MOST_TEXT + 1)}}},
            "messages[0].content.en.body",
            "200,000",
        ),
        ({"channel": "sms", "layout": "letter"}, "messages[0].layout", "only e-mails"),
        ({"channel": "push"}, "messages[0].content.en", "does not belong"),
    ],
)
def test_mistakes_name_their_field(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_message(message(**changes), None, "messages[0]")
    assert caught.value.field == field
    assert words in caught.value.message


def test_a_snippet_has_one_text_or_one_per_locale() -> None:
    assert parse_snippet({"id": "footer", "content": "x"}).content == "x"
    assert parse_snippet({"id": "footer", "content": {"en": "x", "ru": "y"}}).content == {"en": "x", "ru": "y"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"id": "footer"}, "snippets[0].content"),
        ({"id": "footer", "content": {}}, "snippets[0].content"),
        ({"id": "footer", "content": {"en": 5}}, "snippets[0].content.en"),
        ({"id": "footer", "content": {"yes!": "x"}}, "snippets[0].content"),
        ({"id": "footer", "text": "x"}, "snippets[0]"),
    ],
)
def test_a_snippets_mistakes_name_their_field(data: Any, field: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_snippet(data, None, "snippets[0]")
    assert caught.value.field == field
