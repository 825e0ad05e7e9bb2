"""Templates held within bounds, whatever their authors or a customer's data do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from liquid.exceptions import LiquidError

from keepers.model.errors import NotFoundError
from keepers.render.check import check_message
from keepers.render.compose import TEXT
from keepers.render.definition import parse_message, parse_snippet
from keepers.render.errors import RenderError
from keepers.render.liquid.context import MOST_TIME, MessageContext
from keepers.render.liquid.sandbox import run
from keepers.render.renderer import Renderer

BIG = "a" * 1_000_000


def rendered(source: str, **data: Any) -> str:
    return run(TEXT.compiled(source), data, MessageContext(clock=time.monotonic))


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000000000) %}x{% endfor %}",
        "{% for i in (1..10001) %}x{% endfor %}",
        "{% for i in (1..101) %}{% for j in (1..100) %}x{% endfor %}{% endfor %}",
        "{% tablerow i in (1..100000) %}x{% endtablerow %}",
    ],
)
def test_loops_end(source: str) -> None:
    with pytest.raises(LiquidError, match="loop iteration limit"):
        rendered(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ b | replace: 'a', b }}",
        "{{ words | join: b }}",
        "{{ b | split: '' }}",
        "{{ (1..100000000000) | join: ',' }}",
        "{{ (1..100000000000) | size }}",
        "{% assign x = 9999999 %}{% for i in (1..1000) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
        "{% assign x = b %}{% for i in (1..9) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign l = 'a,b' | split: ',' %}{% for i in (1..99) %}{% assign l = l | concat: l %}{% endfor %}",
        "{% capture x %}{{ b }}{{ b }}{% endcapture %}",
        "{% for i in (1..10000) %}{{ words }}{{ 'a long text, over and over, until it is a megabyte and more' | append: 'x' | append: 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' }}{% endfor %}",  # noqa: E501
        "{{ 5 | round: -999999999 }}",
        "{{ '1e999999999' | plus: 1 }}",
        "{{ n | times: n }}",
    ],
)
def test_nothing_grows_beyond_measure(source: str) -> None:
    with pytest.raises(LiquidError):
        rendered(source, b=BIG, words=["a"] * 5_000, n=10**4000)


def _ticking() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += MOST_TIME / 1000


@pytest.mark.parametrize(
    "inside",
    [
        "{{ a }}",
        "{% if true %}{% endif %}",
        "{{ 'a' | upcase }}",
        "{% unless true %}x{% endunless %}",
        "{% cycle 'a' %}",
    ],
)
def test_time_runs_out_in_loops_even_where_nothing_is_printed(inside: str) -> None:
    template = TEXT.compiled("{% for i in (1..10000) %}" + inside * 100 + "{% endfor %}")
    clock = _ticking()
    with pytest.raises(LiquidError, match="longer than 1 s"):
        run(template, {}, MessageContext(clock=lambda: next(clock)))


def test_a_second_is_a_second() -> None:
    began = time.monotonic()
    with pytest.raises(LiquidError, match="longer than 1 s"):
        rendered("{% for i in (1..10000) %}" + "{% assign x = b | upcase | size %}" * 100 + "{% endfor %}", b=BIG)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'x' %}",
        "{{ x | safe }}",
        "{% if a %}",
        "{{ a | }}",
        "{% nonsense %}",
        "{% for i in (1..2) %}{% endif %}{% endfor %}",
        "{% if " + "a and " * 3000 + "a %}{% endif %}",
        "{% if a %}" * 100 + "{% endif %}" * 100,
    ],
)
def test_what_is_no_template_is_refused(source: str) -> None:
    with pytest.raises(LiquidError):
        rendered(source)


@pytest.mark.parametrize("path", ["customer.__class__", "customer.keys", "customer.items", "customer['__init__']"])
def test_only_data_is_seen_no_attributes(path: str) -> None:
    assert rendered("{{ " + path + " }}", customer={"a": 1}) == ""


def test_the_clock_is_the_letters() -> None:
    assert rendered("{{ now }}{{ today }}{{ 'now' | date: '%Y' }}") == "now"
    message_context = MessageContext(clock=time.monotonic, now=datetime(2026, 3, 1))
    assert run(TEXT.compiled("{{ 'now' | date: '%Y' }}"), {}, message_context) == "2026"


def renderer(body: str, **snippets: str) -> Renderer:
    content = {"en": {"text": body}}
    message = parse_message({"id": "m", "channel": "chat", "topic": "t", "content": content})
    return Renderer(
        {"m": message}, {k: parse_snippet({"id": k, "content": v}) for k, v in snippets.items()}, link_hosts=()
    )


def test_errors_name_message_language_part_and_line() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("a\n{% if x %}\n{{ 1 | divided_by: 0 }}{% endif %}").render("m", {"x": 1}, ["pl"], None)
    assert caught.value.message.startswith("message “m”, en, text, line 3: ")
    assert caught.value.data["message_id"] == "m"
    assert caught.value.data["line"] == 3


def test_errors_in_snippets_name_the_snippet() -> None:
    with pytest.raises(RenderError, match="snippet sum, line 2: "):
        renderer("\n\n{% render 'sum' %}", sum="a\n{{ 1 | divided_by: 0 }}").render("m", {}, [], None)
    with pytest.raises(RenderError, match="snippet sum, line 2: "):
        renderer("\n\n{% render 'sum' %}", sum="a\n{% if %}").render("m", {}, [], None)


def test_a_snippet_that_is_not_there_is_named() -> None:
    with pytest.raises(RenderError, match="line 2: there is no snippet “foot”"):
        renderer("a\n{% render 'foot' %}").render("m", {}, [], None)


def test_snippets_do_not_go_round_in_circles() -> None:
    with pytest.raises(RenderError, match="contains itself"):
        renderer("{% render 'a' %}", a="{% render 'b' %}", b="{% render 'a' %}").render("m", {}, [], None)


def test_snippets_do_not_double_without_end() -> None:
    doubling = {f"s{n}": f"{{% render 's{n + 1}' %}}{{% render 's{n + 1}' %}}" for n in range(40)}
    with pytest.raises(RenderError, match="longer than"):
        renderer("{% render 's0' %}", **doubling, s40="x" * 100).render("m", {}, [], None)


@pytest.mark.parametrize(
    "data",
    [
        {"a": "9" * 5000},
        {"a": "1e999999"},
        {"a": float("inf")},
        {"a": float("nan")},
        {"a": {"b": []}},
        {"a": ["x", 1, None]},
        {"a": "ÿ" * 100},
    ],
)
def test_odd_data_is_a_render_error_or_a_text_never_a_crash(data: dict[str, Any]) -> None:
    filters = [*TEXT.filters]
    for name in filters:
        for source in (f"{{{{ a | {name} }}}}", f"{{{{ a | {name}: a }}}}", f"{{{{ 'x' | {name}: a, 2 }}}}"):
            try:
                renderer(source).render("m", data, [], None)
            except RenderError as error:
                assert error.message  # noqa: PT017 - it may also work


def test_data_nested_without_end_is_a_render_error() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(RenderError):
        renderer("{{ deep }}").render("m", {"deep": deep}, [], None)


def test_an_unknown_message_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no message “n”"):
        renderer("x").render("n", {}, [], None)


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{%",
        "<!--",
        "{% raw %}",
        "{% comment %}",
        "<a ",
        '<a x="',
        "<img ",
        "{% if a %}",
        "<mj-section>",
        '<mj-text "',
    ],
)
def test_what_is_never_closed_is_not_looked_for_for_ever(text: str) -> None:
    content = {"en": {"subject": "s", "body": (text * 100_000)[: 200_000 - 200_000 % len(text)]}}
    message = parse_message({"id": "m", "channel": "email", "topic": "t", "content": content})
    began = time.process_time()
    check_message(message, {})
    assert time.process_time() - began < 20
