"""Where links made of data may lead: an event does not decide that."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.render.definition import parse_message
from keepers.render.link_hosts import host_of, is_allowed, written_hosts
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
    assert written_hosts("<a href='https://shop.example/x'> {% assign u = \"http://B.example\" %}") == {
        "shop.example", "b.example",
    }  # fmt: skip
    assert not is_allowed("a.shop.example", {"shop.example"}, ())
    assert not is_allowed("", (), {"dhl.com"})


def rendered(body: str, trigger: dict[str, Any], hosts: tuple[str, ...] | None = ("shop.example",)) -> Any:
    message = parse_message(
        {"id": "m", "channel": "email", "topic": "t", "content": {"en": {"subject": "S", "body": body}}}
    )
    return Renderer({"m": message}, {}, link_hosts=hosts).render("m", {"trigger": trigger}, ["en"], None)


BUTTON = '<mj-section><mj-column><mj-button href="{{ trigger.order_url }}">See</mj-button></mj-column></mj-section>'


def test_an_address_of_an_event_leads_to_allowed_hosts_alone() -> None:
    ours = rendered(BUTTON, {"order_url": "https://www.shop.example/o/1"})
    assert "https://www.shop.example/o/1" in ours.html
    assert ours.left_out == ()
    theirs = rendered(BUTTON, {"order_url": "https://evil.example/?https://shop.example/"})
    assert "evil.example" not in theirs.html + theirs.text
    assert 'href="#"' in theirs.html
    assert theirs.left_out == ("evil.example",)
    assert "evil.example" in rendered(BUTTON, {"order_url": "https://evil.example/"}, None).html


def test_what_the_template_writes_out_leads_where_it_says() -> None:
    written = BUTTON.replace("{{ trigger.order_url }}", "https://partner.example/{{ trigger.path }}")
    assert "https://partner.example/x" in rendered(written, {"path": "x"}).html
    half = BUTTON.replace("{{ trigger.order_url }}", "https://partner.example{{ trigger.path }}")
    assert rendered(half, {"path": ".evil.example/"}).left_out == ("partner.example.evil.example",)
    assert rendered(half, {"path": "@evil.example/"}).left_out == ("evil.example",)
