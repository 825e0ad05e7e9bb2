"""What a customer gets: languages, layouts, snippets, links, and nothing injected."""

from __future__ import annotations

import base64
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keepers.render.address_finding import BREAK
from keepers.render.compose import HTML
from keepers.render.definition import parse_message
from keepers.render.errors import RenderError
from keepers.render.links import Click
from keepers.render.renderer import MOST_SUBJECT, Renderer
from unit.render.rendered_emails import KEY, LINKS, email, inside, rendered, renderer, section


def targets(html: str) -> list[str]:
    """Where the tracked links of a page lead."""
    found = []
    for part in html.split('href="https://k.example/c/')[1:]:
        click = LINKS.read("click", part.split('"')[0])
        assert isinstance(click, Click)
        assert click.key == KEY
        found.append(click.url)
    return found


def test_subject_html_and_text_say_the_same() -> None:
    content = rendered(
        section("<h1>Hello {{ customer.name }}</h1><p>Bye &amp; thanks</p>"),
        {"customer": {"name": "Ann"}},
        subject="Hi {{ customer.name }}",
    )
    assert content.subject == "Hi Ann"
    assert "<h1>Hello Ann</h1>" in content.html
    assert content.text == "Hello Ann\n\nBye & thanks\n"
    assert content.locale == "en"


@pytest.mark.parametrize("part", ["subject", "preheader", "text"])
def test_half_a_character_is_refused_where_it_is_written(part: str) -> None:
    with pytest.raises(RenderError, match="half of a surrogate pair"):
        rendered(section("x"), {}, **{part: "a\n\udc80"})
    with pytest.raises(RenderError, match="line 2: A text holds half"):
        rendered(section("x\n\udc80"))


def test_a_text_of_ones_own_is_taken() -> None:
    content = rendered(section("long"), {"name": "A & B"}, text="Short, {{ name }}.\n\n\n\n  indented")
    assert content.text == "Short, A & B.\n\n  indented\n"


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        (["pl"], "pl"),
        (["pl-PL"], "pl"),
        (["pl_PL"], "pl"),
        (["pt-PT"], "pt-BR"),
        (["de", "pl"], "pl"),
        (["de"], "en"),
        ([], "en"),
        (["", "zh-Hant-TW"], "zh"),
        (["EN-gb"], "en"),
    ],
)
def test_the_language_is_the_nearest_there_is(wanted: list[str], got: str) -> None:
    content = {locale: {"text": "{{ locale }}"} for locale in ("zh", "pt-BR", "pl", "en")}
    message = parse_message({"id": "m", "channel": "chat", "topic": "t", "content": content})
    found = Renderer({"m": message}, {}, link_hosts=()).render("m", {}, wanted, None)
    assert (found.locale, found.text) == (got, got + "\n")


def test_without_the_default_language_the_first_stands_in() -> None:
    message = parse_message({"id": "m", "channel": "chat", "topic": "t", "content": {"it": {"text": "ciao"}}})
    assert Renderer({"m": message}, {}, link_hosts=()).render("m", {}, ["pl"], None).locale == "it"


def test_numbers_are_written_as_in_the_customers_country() -> None:
    message = parse_message(
        {"id": "m", "channel": "chat", "topic": "t", "content": {"en": {"text": "{{ t | date: 'short' }}"}}}
    )
    made = Renderer({"m": message}, {}, link_hosts=())
    assert made.render("m", {"t": "2026-03-04"}, ["en-GB"], None).text == "04/03/2026\n"
    assert made.render("m", {"t": "2026-03-04"}, ["en-US"], None).text == "3/4/26\n"


def test_a_layout_surrounds_the_body_and_snippets_stand_inside() -> None:
    content = rendered(
        section("{% render 'who', role: 'friend' %}"),
        {"customer": {"name": "Ann"}, "company": {"name": "Shop"}},
        layout="frame",
        snippets={
            "frame": "<mjml><mj-body>"
            + section("{{ company.name }}")
            + "{{ content }}"
            + section("End")
            + "</mj-body></mjml>",
            "who": "{{ customer.name }} my {{ role }}",
        },
    )
    assert content.text == "Shop\nAnn my friend\nEnd\n"


def test_a_snippet_may_be_sections_and_sees_no_variables_around_it() -> None:
    content = rendered(
        "{% assign secret = 'x' %}" + section("{{ secret }}") + "{% render 'tail' %}",
        snippets={"tail": section("[{{ secret }}]")},
    )
    assert content.text == "x\n[]\n"


def test_a_snippet_for_each_of_a_list() -> None:
    content = rendered(
        section("{% render 'row' for trigger.items as item, sign: '€' %}"),
        {"trigger": {"items": [{"n": "A"}, {"n": "B"}]}},
        snippets={"row": "{{ forloop.index }}{{ item.n }}{{ sign }} "},
    )
    assert content.text == "1A€ 2B€\n"


def test_a_snippet_speaks_the_messages_language() -> None:
    message = parse_message(
        {"id": "m", "channel": "chat", "topic": "t", "content": {k: {"text": "{% render 's' %}"} for k in ("ru", "en")}}
    )
    made = renderer(message, s={"en": "bye", "ru": "пока"})
    assert made.render("m", {}, ["ru"], None).text == "пока\n"
    assert renderer(message, s={"en": "bye"}).render("m", {}, ["ru"], None).text == "bye\n"


def test_a_layout_without_content_and_a_layout_that_is_not_there() -> None:
    with pytest.raises(RenderError, match=r"needs \{\{ content \}\}"):
        rendered(section("x"), layout="frame", snippets={"frame": section("y")})
    with pytest.raises(RenderError, match="Did you mean “frame”"):
        rendered(section("x"), layout="fram", snippets={"frame": section("{{ content }}")})


def test_the_preheader_is_hidden_first_and_not_in_the_text() -> None:
    content = rendered(section("Body"), {"n": "<b>"}, preheader="For {{ n }} & co")
    assert inside(content).index("For &lt;b&gt; &amp; co") < inside(content).index("Body")
    assert "display:none" in inside(content)[:200]
    assert "For" not in content.text


def test_links_are_tracked_and_tagged() -> None:
    content = rendered(
        section('<a href="https://shop.example/a?x=1&amp;y=2#top">A</a>'), {"journey": "welcome"}, tracked=True
    )
    url = "https://shop.example/a?x=1&y=2&utm_source=keepers&utm_medium=email&utm_campaign=welcome#top"
    assert targets(content.html) == [url]
    assert f"A ({LINKS.click(KEY, url)})" in content.text


def test_a_button_s_address_may_hold_values() -> None:
    button = '<mj-button href="https://shop.example/?q={{ q | url_encode }}">Go</mj-button>'
    body = f"<mj-section><mj-column>{button}</mj-column></mj-section>"
    content = rendered(body, {"q": 'a b&c"'}, tracked=True, utm=False)
    assert targets(content.html) == ["https://shop.example/?q=a+b%26c%22"]


def test_without_links_a_preview_shows_where_they_lead() -> None:
    content = rendered(
        section('<a href="https://shop.example/?a=1&amp;b=2">A</a> <a href="{{ links.unsubscribe }}">B</a>'), utm=False
    )
    assert 'href="https://shop.example/?a=1&amp;b=2"' in content.html
    assert 'href="#"' in content.html
    assert "<img" not in content.html


@pytest.mark.parametrize(
    ("href", "written"),
    [
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("mailto:{{ who }}", "mailto:a@b.example"),
        ("tel:+48123", "tel:+48123"),
        ("#top", "#top"),
        ("{{ links.unsubscribe }}", LINKS.unsubscribe(KEY)),
        ("{{ links.preferences }}", LINKS.preferences(7, "en", KEY)),
        ("{{- links.view -}}", LINKS.view(KEY)),
        ("shop://deep/link", "shop://deep/link"),
    ],
)
def test_some_addresses_are_never_touched(href: str, written: str) -> None:
    content = rendered(section(f'<a href="{href}">A</a>'), {"who": "a@b.example"}, tracked=True)
    assert f'<a href="{written}"' in content.html


def test_an_unsubscribe_link_handed_to_a_snippet_is_not_tracked_either() -> None:
    body = section("{% render 'b', url: links.unsubscribe %}")
    content = rendered(body, tracked=True, snippets={"b": '<a href="{{ url }}">Out</a>'})
    assert f'<a href="{LINKS.unsubscribe(KEY)}"' in content.html


@pytest.mark.parametrize(
    "element",
    [
        '<mj-text><a data-keepers-track="off" href="https://a.example/">A</a></mj-text>',
        "<mj-text><a href='https://a.example/' data-keepers-track='off' class='x'>A</a></mj-text>",
        '<mj-button href="https://a.example/" data-keepers-track="off">A</mj-button>',
        '<mj-image alt="A" data-keepers-track="off" href="https://a.example/" src="https://a.example/i.png"/>',
    ],
)
def test_tracking_can_be_switched_off_for_a_link(element: str) -> None:
    content = rendered(f"<mj-section><mj-column>{element}</mj-column></mj-section>", tracked=True)
    assert 'href="https://a.example/"' in content.html
    assert "data-keepers" not in content.html
    assert "keepers-untracked" not in content.html + content.text


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://a.example", "https://a.example?utm_source=keepers&utm_medium=email&utm_campaign=m"),
        ("https://a.example/?", "https://a.example/?utm_source=keepers&utm_medium=email&utm_campaign=m"),
        ("https://a.example/?q=1&", "https://a.example/?q=1&utm_source=keepers&utm_medium=email&utm_campaign=m"),
        ("https://a.example/?utm_source=x", "https://a.example/?utm_source=x&utm_medium=email&utm_campaign=m"),
        (
            "https://a.example/#/route?x=1",
            "https://a.example/?utm_source=keepers&utm_medium=email&utm_campaign=m#/route?x=1",
        ),
        (
            "https://a.example/?q=%D1%8F+b",
            "https://a.example/?q=%D1%8F+b&utm_source=keepers&utm_medium=email&utm_campaign=m",
        ),
    ],
)
def test_utm_tags_leave_what_an_address_says(url: str, tagged: str) -> None:
    assert targets(rendered(section(f'<a href="{url}">A</a>'), tracked=True).html) == [tagged]


def test_utm_tags_of_ones_own_and_none() -> None:
    body = section('<a href="https://a.example/">A</a>')
    own = rendered(body, tracked=True, utm={"campaign": "spring & co", "content": "top"}).html
    assert targets(own) == [
        "https://a.example/?utm_source=keepers&utm_medium=email&utm_campaign=spring%20%26%20co&utm_content=top"
    ]
    assert targets(rendered(body, tracked=True, utm=False).html) == ["https://a.example/"]


def test_the_open_pixel_is_last() -> None:
    content = rendered(section("A"), tracked=True)
    assert content.html.endswith(
        f'<img src="{LINKS.open_pixel(KEY)}" width="1" height="1" alt="" style="display:block;border:0;"></body></html>'
    )


def test_links_in_push_and_chat_are_tracked_and_those_of_an_sms_are_not() -> None:
    push = parse_message(
        {
            "id": "m",
            "channel": "push",
            "topic": "t",
            "utm": False,
            "content": {
                "en": {
                    "title": "T",
                    "text": "x",
                    "url": "https://a.example/{{ id }}",
                    "image": "https://a.example/i.png",
                }
            },
        }
    )
    content = renderer(push).render("m", {"id": 5}, [], LINKS.of(KEY, 7))
    assert content.url == LINKS.click(KEY, "https://a.example/5")
    assert content.data == {"image": "https://a.example/i.png"}
    for channel, written in (("chat", LINKS.click(KEY, "https://a.example/5")), ("sms", "https://a.example/{{ 5 }}")):
        body = {"en": {"text": "See https://a.example/{{ id }}."}}
        message = parse_message({"id": "m", "channel": channel, "topic": "t", "utm": False, "content": body})
        text = renderer(message).render("m", {"id": 5}, [], LINKS.of(KEY, 7)).text
        assert text == f"See {written.replace('{{ 5 }}', '5')}.\n"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("{% if on %}https://a.example/x{% endif %}", "https://a.example/x"),
        ("{% if on %}See https://a.example/x{% else %}no{% endif %}", "https://a.example/x"),
        ("https://a.example/{% if on %}on{% else %}off{% endif %}/x", "https://a.example/on/x"),
        ("(https://a.example/{{ id }}).", "https://a.example/5"),
    ],
)
def test_an_address_in_a_text_ends_where_its_block_does(text: str, target: str) -> None:
    message = parse_message(
        {"id": "m", "channel": "chat", "topic": "t", "utm": False, "content": {"en": {"text": text}}}
    )
    assert LINKS.click(KEY, target) in renderer(message).render("m", {"on": True, "id": 5}, [], LINKS.of(KEY, 7)).text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ company.secret }}{% assign x = 1 %}",
    "a\r\nBcc: everybody@shop.example\r\n\r\nbody",
    "]]><!--<mj-section>--><mj-text>",
    "zq0q0z zq0q1z",
    "\x00\x0b\x1b\u2028x\u202ey",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_injects_nothing(value: str) -> None:
    content = rendered(
        section(
            '<a href="https://a.example/{{ v }}" title="{{ v }}">{{ v }}</a>'
            '<img alt="{{ v }}" src="https://a.example/{{ v }}">'
        ),
        {"v": value, "company": {"secret": "SECRET"}},
        subject="Hi {{ v }}",
        preheader="{{ v }}",
        tracked=True,
    )
    plain = rendered(
        section('<a href="https://a.example/" title="">x</a><img alt="" src="https://a.example/">'), preheader="x"
    )
    assert content.html.count("<") == plain.html.count("<") + 1  # the pixel
    assert "SECRET" not in content.html + content.text + content.subject
    assert not {*content.subject} & {"\r", "\n", "\0", "\x0b", "\u2028"}
    assert "\r" not in content.html + content.text
    assert "\0" not in content.html + content.text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "\x01javascript:x",
    ],
)
def test_an_address_that_runs_code_leads_nowhere(url: str) -> None:
    for tracking in ("", ' data-keepers-track="off"'):
        content = rendered(section(f'<a href="{{{{ v }}}}"{tracking}>A</a>'), {"v": url}, tracked=True)
        assert '<a href="#"' in content.html
    assert targets(
        rendered(section('<a href="{{ v }}">A</a>'), {"v": "https://shop.example/"}, tracked=True, utm=False).html
    )


@pytest.mark.parametrize("name", sorted(HTML.filters))
def test_no_filter_lets_html_through(name: str) -> None:
    bad = '<script>"x"</script>\r\n<b>'
    forms = [bad, quote(bad), base64.b64encode(bad.encode()).decode(), "&lt;script&gt;", [bad, bad], {"a": bad}]
    calls = [
        "{{ v | F }}",
        "{{ v | F: v }}",
        "{{ v | F: 'b', v }}",
        "{{ 'x' | F: v }}",
        "{% capture c %}{{ v }}{% endcapture %}{{ c | F }}",
        "{% capture c %}{{ v }}{% endcapture %}{{ c | F: '&lt;', '<' }}",
    ]
    for form in forms:
        for call in calls:
            try:
                content = rendered(section("[" + call.replace("F", name) + "]"), {"v": form})
            except RenderError:
                continue
            page = inside(content)
            assert "<script" not in page
            assert "<b>" not in page


# What HTML can write: no controls, and no text that reads as an entity by itself, or as an address with its scheme.
_SHOWABLE = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="&:/\\"), max_size=300)


@given(_SHOWABLE)
@example("0.A\u00b5")
def test_any_value_is_one_line_in_a_subject_and_shown_as_it_is_in_html(value: str) -> None:
    content = rendered(section("<i>{{ v }}</i>"), {"v": value}, subject="{{ v }}")
    assert "\n" not in content.subject
    assert len(content.subject) <= MOST_SUBJECT
    shown = unescape(content.html.split("<i>")[1].split("</i>")[0])
    assert shown.replace(BREAK, "") == value.replace(BREAK, "")


def test_a_megabyte_in_a_trait_is_refused_or_cut() -> None:
    big = "<" * 1_000_000
    assert len(rendered(section("x"), {"v": big}, subject="{{ v }}").subject) == MOST_SUBJECT
    with pytest.raises(RenderError, match="1,000,000"):
        rendered(section("{{ v }}"), {"v": big})


def test_the_same_in_the_same_out() -> None:
    context: dict[str, Any] = {"customer": {"name": "Ann"}, "now": datetime(2026, 1, 1)}
    body = section('{{ customer.name }} <a href="https://a.example">A</a>')
    assert rendered(body, context, tracked=True) == rendered(body, context, tracked=True)


def test_a_message_is_compiled_once_per_language() -> None:
    message = email(section("x"))
    made = renderer(message)
    assert made.compiled(message, "en") is made.compiled(message, "en")


def test_what_the_workspace_shares_can_be_named() -> None:
    made = renderer(email(section("{{ company.name }}")), {"company": {"name": "Shop & Co"}})
    assert made.render("m", {}, [], None).text == "Shop & Co\n"
