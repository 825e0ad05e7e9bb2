"""What is said of a message before anybody gets it."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.model.consent import Topic
from keepers.render.check import check_message
from keepers.render.definition import parse_message, parse_snippet
from unit.render.rendered_emails import email, section

OUT = section('<a href="{{ links.unsubscribe }}">Out</a>')
NEWS = {"news": Topic("news")}


def remarks(body: str, snippets: dict[str, Any] | None = None, **more: Any) -> list[tuple[str, str, str]]:
    checks = {k: more.pop(k) for k in ("known_traits", "known_properties", "topics", "locales") if k in more}
    found = {k: parse_snippet({"id": k, "content": v}) for k, v in (snippets or {}).items()}
    return [(field, level, str(about)) for field, level, about in check_message(email(body, **more), found, **checks)]


def test_nothing_is_said_of_a_good_letter() -> None:
    body = section("Hi {{ customer.name | default: 'you' }}{% if customer.city %} in {{ customer.city }}{% endif %}")
    assert remarks(body + OUT, known_traits=["name", "city"], topics=NEWS) == []


def test_a_marketing_e_mail_needs_a_way_out() -> None:
    (remark,) = remarks(section("x"))
    assert remark[:2] == ("content.en.body", "warning")
    assert "{{ links.unsubscribe }}" in remark[2]
    assert remarks(section("x"), topics={"news": Topic("news", kind="transactional")}) == []
    assert remarks(section("{% render 'footer' %}"), {"footer": '<a href="{{ links.preferences }}">P</a>'}) == []


def test_an_sms_needs_none() -> None:
    message = parse_message({"id": "m", "channel": "sms", "topic": "t", "content": {"en": {"text": "Hi"}}})
    assert check_message(message, {}) == []


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("{{ custmer.name }}", "error", "line 2: there is no variable “custmer”. Did you mean “customer”?"),
        ("{% if ordr.total %}x{% endif %}", "error", "no variable “ordr”"),
        ("{{ links.unsubscrib }}", "error", "no field “unsubscrib” in links. Did you mean “unsubscribe”?"),
        (
            "{{ customer.frist_name | default: 'x' }}",
            "warning",
            "no trait “frist_name” has arrived so far. Did you mean",
        ),
        ("{{ trigger.totl }}", "warning", "no property “totl” has arrived so far. Did you mean “total”?"),
        ("{{ customer.first_name }}", "warning", "leaves a gap for customers without it"),
        ("{{ customer.first_name | upcase }}", "warning", "leaves a gap"),
        ("{{ customer.first_name | upcaze | default: 'x' }}", "error", "no filter “upcaze”. Did you mean “upcase”?"),
        ("{% assign x = trigger.total | moneyy %}", "error", "no filter “moneyy”"),
        ("<img src='https://a.example/a.png'>", "warning", "line 2: a picture without alt"),
        ('<a href="http://a.example/x">x</a>', "warning", "http://a.example is not encrypted"),
        ("<a href='#'>x</a>", "warning", "leads nowhere"),
        ("{% if x %}", "error", "line 2"),
        ("{{ x | }}", "error", "line 2"),
        ("{% render 'fooder' %}", "error", "line 2: there is no snippet “fooder”"),
    ],
)
def test_likely_mistakes(text: str, level: str, words: str) -> None:
    found = remarks("\n" + section(text) + OUT, known_traits=["first_name"], known_properties=["total"])
    assert len(found) == 1, found
    assert found[0][:2] == ("content.en.body", level)
    assert words in found[0][2]


@pytest.mark.parametrize(
    "text",
    [
        "{{ customer.first_name | default: 'x' }}",
        "{% if customer.first_name %}{{ customer.first_name | upcase }}{% else %}x{% endif %}",
        "{% unless customer.first_name == blank %}{{ customer.first_name }}{% endunless %}",
        "{% assign n = customer.first_name | default: 'x' %}{{ n }}",
        "{% for i in trigger.total %}{{ i.name }}{{ forloop.index }}{% endfor %}",
        "{{ customer.id }}{{ trigger.time | date }}{{ run.entered_at }}{{ offer.code }}{{ company.name }}{{ locale }}",
        "{% capture c %}x{% endcapture %}{{ c }}",
        '<img alt="" src="https://a.example/{{ customer.id | append: ">" }}.png">',
        "{% render 'b', label: trigger.total %}",
        "{% comment %}{{ nothing }} <img src='x'>{% endcomment %}",
        "{% raw %}{{ nothing }}{% endraw %}",
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    snippets = {"b": "{{ label }}"}
    assert remarks(section(text) + OUT, snippets, known_traits=["first_name"], known_properties=["total"]) == []


def test_what_is_not_known_is_not_judged() -> None:
    assert remarks(section("{{ customer.anything | default: 'x' }}{{ trigger.anything }}") + OUT) == []


def test_mistakes_in_snippets_and_layouts_are_theirs() -> None:
    found = remarks(
        section("{% render 'who' %}") + OUT,
        {"frame": {"en": section("{{ content }}") + section("{{ nobody }}")}, "who": "\n{{ custmer }}"},
        layout="frame",
    )
    assert [(field, level) for field, level, _ in found if level == "error"] == [
        ("snippet/frame.content.en", "error"),
        ("snippet/who.content", "error"),
    ] or [f for f, level, _ in found if level == "error"] == ["snippet/who.content", "snippet/frame.content.en"]


def test_missing_languages() -> None:
    found = remarks(section("{% render 'who' %}") + OUT, {"who": {"pl": "x"}}, topics=NEWS)
    assert found == [("snippet/who.content", "warning", "there is no text in en; pl is used instead")]


def test_topics_are_looked_up() -> None:
    (remark,) = remarks(section("x") + OUT, topics={"newz": Topic("newz")})
    assert remark == ("topic", "error", "there is no topic “news”. Did you mean “newz”?")
    (remark,) = remarks(section("x") + OUT, topics={"news": Topic("news", channels=("push",))})
    assert remark[:2] == ("channel", "warning")


def test_a_letter_gmail_cuts_off() -> None:
    (remark,) = remarks(section("word " * 25_000) + OUT)
    assert "Gmail" in remark[2]


def test_icons_of_a_third_party() -> None:
    social = '<mj-social><mj-social-element name="facebook" href="https://a.example">F</mj-social-element></mj-social>'
    found = remarks(f"<mj-section><mj-column>{social}</mj-column></mj-section>" + OUT)
    assert [r for r in found if "mailjet.com" in r[2]]


def test_each_language_and_part_is_looked_at() -> None:
    message = parse_message(
        {
            "id": "m",
            "channel": "email",
            "topic": "news",
            "content": {
                "en": {"subject": "{{ a1 }}", "body": OUT, "preheader": "{{ a2 }}", "text": "{{ a3 }}"},
                "ru": {"subject": "x", "body": section("{{ a4 }}") + OUT},
            },
        }
    )
    fields = {
        (field, str(sentence).partition("“")[2].partition("”")[0]) for field, _, sentence in check_message(message, {})
    }
    assert fields == {
        ("content.en.subject", "a1"),
        ("content.en.preheader", "a2"),
        ("content.en.text", "a3"),
        ("content.ru.body", "a4"),
    }


def test_e_mail_markup_has_no_place_in_a_push() -> None:
    content = {"en": {"title": "x", "text": "{% render 's' %}"}}
    message = parse_message({"id": "m", "channel": "push", "topic": "t", "content": content})
    (remark,) = check_message(message, {"s": parse_snippet({"id": "s", "content": section("x")})})
    assert remark[1] == "error"
