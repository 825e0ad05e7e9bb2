"""Where links made of data may lead: an event does not decide that."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from keepers.render.definition import parse_message
from keepers.render.link_hosts import host_of, is_allowed, written_addresses
from keepers.render.renderer import Renderer


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example/a?b#c", "shop.example"),
        ("HTTP://Shop.Example:8080", "shop.example"),
        ("https://shop.example@evil.example/", "evil.example"),
        ("https:\\\\evil.example\\x", "evil.example"),
        ("https:/evil.example", "evil.example"),
        ("https:evil.example", "evil.example"),
        ("https:////evil.example", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("\\/evil.example", "evil.example"),
        ("https://evil\uff0eexample/", "evil.example"),
        ("https://evil.example./", "evil.example"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://[::1]/", "[::1]"),
        ("https://" + "ü" * 80 + ".example", ""),
        ("https://", ""),
        ("mailto:a@evil.example", None),
        ("tel:+48123", None),
        ("/path", None),
        ("#", None),
        ("", None),
    ],
)
def test_the_host_is_the_one_that_a_browser_opens(url: str, host: str | None) -> None:
    assert host_of(url) == host


def test_a_host_is_allowed_with_those_below_it_and_a_written_one_alone() -> None:
    assert is_allowed("track.dhl.com", (), {"dhl.com"})
    assert not is_allowed("evildhl.com", (), {"dhl.com"})
    assert not is_allowed("dhl.com.evil.example", (), {"dhl.com"})
    text = "<a href='https://shop.example/x'> {% assign u = \"http://B.example\" %}"
    assert written_addresses(text, ()).hosts == {"shop.example", "b.example"}
    assert not is_allowed("a.shop.example", {"shop.example"}, ())
    assert not is_allowed("", (), {"dhl.com"})


def rendered(body: str, trigger: dict[str, Any]) -> Any:
    return of_channel("email", trigger, subject="S", body=body)


def of_channel(channel: str, trigger: dict[str, Any], **content: str) -> Any:
    message = parse_message({"id": "m", "channel": channel, "topic": "t", "content": {"en": content}})
    return Renderer({"m": message}, {}, link_hosts=("shop.example",)).render("m", {"trigger": trigger}, ["en"], None)


BUTTON = '<mj-section><mj-column><mj-button href="{{ trigger.order_url }}">See</mj-button></mj-column></mj-section>'


def test_an_address_of_an_event_leads_to_allowed_hosts_alone() -> None:
    ours = rendered(BUTTON, {"order_url": "https://www.shop.example/o/1"})
    assert "https://www.shop.example/o/1" in ours.html
    assert ours.left_out == ()
    theirs = rendered(BUTTON, {"order_url": "https://evil.example/?https://shop.example/"})
    assert "evil.example" not in theirs.html + theirs.text
    assert 'href="#"' in theirs.html
    assert theirs.left_out == ("evil.example",)


def test_what_the_template_writes_out_leads_where_it_says() -> None:
    written = BUTTON.replace("{{ trigger.order_url }}", "https://partner.example/{{ trigger.path }}")
    assert "https://partner.example/x" in rendered(written, {"path": "x"}).html
    half = BUTTON.replace("{{ trigger.order_url }}", "https://partner.example{{ trigger.path }}")
    assert rendered(half, {"path": ".evil.example/"}).left_out == ("partner.example.evil.example",)
    assert rendered(half, {"path": "@evil.example/"}).left_out == ("evil.example",)


def section(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


def body_of(content: Any) -> str:
    return str(content.html)[content.html.index("<body") :]


PICTURE = "<mj-section><mj-column><mj-image src='{{ trigger.x }}' alt='a'/></mj-column></mj-section>"
HERO = "<mj-section background-url='{{ trigger.x }}'><mj-column><mj-text>a</mj-text></mj-column></mj-section>"


@pytest.mark.parametrize(
    "template",
    [
        PICTURE,
        HERO,
        *map(
            str,
            [
                "<img src={{ trigger.x }}>",
                "<img src = '{{ trigger.x }}'>",
                '<IMG SRC="{{ trigger.x }}">',
                '<img srcset="https://shop.example/a.png, {{ trigger.x }} 2x">',
                '<table background="{{ trigger.x }}"></table>',
                "<video poster='{{ trigger.x }}'></video>",
                "<form action='{{ trigger.x }}'></form>",
                "<p style='color: red; background: url({{ trigger.x }})'>a</p>",
                "<p style=\"background: url('{{ trigger.x }}')\">a</p>",
                '<p style="{{ trigger.css }}">a</p>',
                "<style>p { background: url({{ trigger.x }}) }</style>",
                "<style>@import '{{ trigger.x }}'; p { background: image-set('{{ trigger.x }}' 1x) }</style>",
                '<!--[if mso]><v:fill src="{{ trigger.x }}" /><![endif]-->',
                "<!--[if mso]><v:roundrect href='{{ trigger.x }}'></v:roundrect><![endif]-->",
                "<a href = '{{ trigger.x }}'>a</a>",
                "<img alt='a < b' src='{{ trigger.x }}'>",
                "<p {{ trigger.attributes }}>a</p>",
                "{{ trigger.x }}",
                "{{ trigger.half }}{{ trigger.other_half }}",
                "{% for c in trigger.letters %}{{ c }}{% endfor %}",
                "{% capture c %}{{ trigger.x }}{% endcapture %}{{ c }}",
                "{% capture c %}{{ trigger.x }}{% endcapture %}<a href='{{ c }}'>a</a><img src='{{ c }}'>",
                "{% assign c = trigger.x | append: '' %}{% echo c %} {% cycle c, 'a' %}",
            ],
        ),
    ],
)
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/x.png?https://shop.example/",
        "//evil.example/x.png",
        "HTTPS:evil.example/x",
        "https:\\\\evil.example",
        "ht\ttps://evil.example",
        "https://shop.example@evil.example/",
        "https://shop.example,https://evil.example",
    ],
)
def test_no_part_of_a_page_leads_where_data_says(template: str, address: str) -> None:
    trigger = {
        "x": address,
        "css": f"background:url({address})",
        "attributes": f"background={address}",
        "half": address[:6],
        "other_half": address[6:],
        "letters": list(address),
    }
    made = rendered(f"<div>{template}</div>" if "<mj" not in template else template, trigger)
    for text in (made.html, made.text):
        assert not LEADS.search(re.sub(r"[\x00-\x1f]", "", unescape(text)))


LEADS = re.compile(r"""(?:[:/\\=,('"@]|\\{2})evil\.example""", re.IGNORECASE)
"""the name after what would make it an address, without a break in it"""


def test_css_signs_written_with_backslashes_hide_no_address() -> None:
    made = rendered(
        section("<style>p { background: {{ trigger.x }} }</style>"), {"x": r"u\72l(\68ttps://evil.example)"}
    )
    assert "\\" not in body_of(made)
    assert "url(https" not in made.html.replace(" ", "")


def test_pictures_of_allowed_hosts_are_shown_and_what_the_template_writes_stays() -> None:
    assert (
        'src="https://cdn.shop.example/a.png?a=1&amp;b=2"'
        in rendered(PICTURE, {"x": "https://cdn.shop.example/a.png?a=1&b=2"}).html
    )
    style = "width:{{ trigger.w }};background:url(data:image/png;base64,AA)"
    own = f"<img src='https://partner.example/{{{{ trigger.x }}}}.png' style='{style}'>"
    made = rendered(section(own + "<a href='mailto:help@shop.example'>partner.example</a>"), {"x": "a", "w": "10px"})
    assert "https://partner.example/a.png" in made.html
    assert "width:10px;background:url(data:image/png;base64,AA)" in made.html
    assert "mailto:help@shop.example" in made.html
    assert ">partner.example</a>" in made.html
    assert made.left_out == ()


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("https://evil.example/a.b?c=d.e", "evil.\u200bexample/a.b?c=d.e"),
        ("see http://evil.example, now", "see evil.\u200bexample, now"),
        ("https://evil.example/https://evil.example", "evil.\u200bexample/evil.\u200bexample"),
        ("ftp://evil.example/x", "evil.\u200bexample/x"),
        ("https://1.2.3.4/x", "1.\u200b2.\u200b3.\u200b4/x"),
        ("www.evil.example", "www.\u200bevil.\u200bexample"),
        ("Win at evil.example!", "Win at evil.\u200bexample!"),
        ("https\x00://evil.example", "evil.\u200bexample"),
        ("https://evil\uff0eexample", "evil\uff0e\u200bexample"),
        ("Hi evil\u3002example/login", "Hi evil\u3002\u200bexample/login"),
        ("www\uff61evil\uff0eexample", "www\uff61\u200bevil\uff0e\u200bexample"),
        ("//evil\u3002example", "evil\u3002\u200bexample"),
        ("1.2.3.4/login", "1.\u200b2.\u200b3.\u200b4/login"),
        ("//192.0.2.10/x", "192.\u200b0.\u200b2.\u200b10/x"),
        ("192\u30020\uff0e2\uff6110:80", "192\u3002\u200b0\uff0e\u200b2\uff61\u200b10:80"),
        ("at 192.0.2.10.", "at 192.\u200b0.\u200b2.\u200b10."),
        ("192.0.2.10.evil.example", "192.\u200b0.\u200b2.\u200b10.\u200bevil.\u200bexample"),
        ("2001:db8::1", "2001:\u200bdb8:\u200b:\u200b1"),
        ("[2001:DB8::1]/x", "[2001:\u200bDB8:\u200b:\u200b1]/x"),
        ("https://[2001:db8::1]/x", "[2001:\u200bdb8:\u200b:\u200b1]/x"),
        ("::ffff:192.0.2.10", "::ffff:192.\u200b0.\u200b2.\u200b10"),
        ("shop\u3002example", "shop\u3002example"),
        ("00:1a:2b:3c:4d:5e, 10:30:00, a::b::c", "00:1a:2b:3c:4d:5e, 10:30:00, a::b::c"),
        ("1.2.3.4.5, 2026.11.26", "1.2.3.4.5, 2026.11.26"),
        ("https://www.shop.example/a?b=c.d", "https://www.shop.example/a?b=c.d"),
        ("shop.example", "shop.example"),
        ("https://partner.example/x", "https://partner.example/x"),
        ("ada.lovelace+x@mail.example", "ada.lovelace+x@mail.example"),
        ("12.50 EUR, v1.2.3 at 10:30", "12.50 EUR, v1.2.3 at 10:30"),
        ("and/or // either", "and/or // either"),
        ("Use http: or https:// for it", "Use http: or https:// for it"),
        ("Hello: there", "Hello: there"),
    ],
)
@pytest.mark.parametrize("channel", ["sms", "email", "push"])
def test_addresses_of_data_are_printed_so_that_they_are_no_links(channel: str, value: str, printed: str) -> None:
    text = "{{ trigger.x }} (not https://partner.example/)"
    match channel:
        case "email":
            made = of_channel("email", {"x": value}, subject="{{ trigger.x }}", body=section("a"), text=text)
            assert made.subject == printed
        case "push":
            made = of_channel("push", {"x": value}, title="{{ trigger.x }}", text=text)
            assert made.title == printed
        case _:
            made = of_channel("sms", {"x": value}, text=text)
    assert made.text.startswith(printed + " (not https://partner.example/")


def test_a_hyphenated_host_of_the_shop_is_no_ip_address() -> None:
    for host in ("bee-shop.example", "123-abc.example", "cafe-bar.example"):
        message = parse_message(
            {"id": "m", "channel": "sms", "topic": "t", "content": {"en": {"text": "{{ trigger.x }}"}}}
        )
        made = Renderer({"m": message}, {}, link_hosts=(host,)).render("m", {"trigger": {"x": host}}, ["en"], None)
        assert made.text.strip() == host


@pytest.mark.parametrize(
    "address",
    ["mailto:a@evil.example", "tel:+48900", "sms:+48900", "intent://x#Intent;end", "market://details?id=x", "ftp://shop.example/x",
     "javascript:alert(1)", "data:text/html,x", "whatsapp://send?text=x", " tel:+48900", "evil.example/x", "x"],
)  # fmt: skip
def test_a_link_of_data_leads_to_an_allowed_host_or_a_page_of_the_site(address: str) -> None:
    made = rendered(section("<a href='   {{ trigger.x }}'>a</a>"), {"x": address})
    assert 'href="#"' in made.html
    assert made.left_out
    push = of_channel("push", {"x": address}, title="a", text="a", url="{{ trigger.x }}", icon="{{ trigger.x }}")
    assert push.url == push.data["icon"] == "#"


@pytest.mark.parametrize(
    ("template", "value", "target"),
    [
        ("mailto:{{ trigger.x }}", "a@b.example", "mailto:a@b.example"),
        ("tel:{{ trigger.x }}", "+48900", "tel:+48900"),
        ("{% assign u = 'mailto:help@shop.example' %}{{ u }}", "", "mailto:help@shop.example"),
        ("{{ trigger.x }}", "/orders/1?a=b#c", "/orders/1?a=b#c"),
        ("{{ trigger.x }}", "#part", "#part"),
        ("myapp://orders/{{ trigger.x }}", "1", "myapp://orders/1"),
        ("te{{ trigger.x }}", "l:+48900", "#"),
        ("/{{ trigger.x }}", "/evil.example", "#"),
    ],
)
def test_what_the_template_writes_of_a_scheme_is_its_own(template: str, value: str, target: str) -> None:
    push = of_channel("push", {"x": value}, title="a", text="a", url=template)
    assert push.url == target
    if "assign" not in template:
        assert f'"{target}"' in rendered(section(f"<a href='{template}'>a</a>"), {"x": value}).html


def test_the_code_of_an_offer_is_printed_as_it_is() -> None:
    message = parse_message(
        {"id": "m", "channel": "sms", "topic": "t", "content": {"en": {"text": "{{ offer.code }} {{ trigger.x }}"}}}
    )
    context = {"offer": {"code": "SPRING.SALE"}, "trigger": {"x": "https://SPRING.SALE/"}}
    made = Renderer({"m": message}, {}, link_hosts=()).render("m", context, ["en"], None)
    assert made.text.strip() == "SPRING.SALE SPRING.\u200bSALE/"


def test_what_was_left_out_is_named() -> None:
    made = rendered(section("{{ trigger.x }} <img src='{{ trigger.y }}'><a href='{{ trigger.z }}'>a</a>"),
                    {"x": "https://a.example", "y": "https://b.example", "z": "tel:1"})  # fmt: skip
    assert made.left_out == ("b.example", "tel:", "a.example")
