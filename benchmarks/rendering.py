"""Rendering: a starter message rendered for customers, beside the same Liquid alone: no MJML, no signed links, no text
part made of the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from liquid import DictLoader, Environment, Mode

from benchmarks.figures import Figure, Plan, median, timed
from keepers.playbook.load import Playbook, load
from keepers.playbook.shipped.journeys import STARTERS
from keepers.render.links import LinkSigner
from keepers.render.renderer import Renderer
from keepers.store.messages.messages import key_of

MESSAGE = "welcome_hello"
_LETTERS = 2000
_COMPANY = {"name": "Shop", "address": "1 Long Street, Town", "url": "https://shop.example"}
_HOSTS = ("shop.example",)
_NOW = datetime(2026, 6, 1, 10)


def measure(plan: Plan) -> list[Figure]:
    """Messages per second in one thread, the median of the rounds."""
    playbook = load(STARTERS)
    number = max(round(_LETTERS * plan.scale / (4 if plan.quick else 1)), 20)
    ways = {"ours": _ours(playbook), "bare": _bare(playbook)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    first: dict[str, float] = {}
    for round_number in range(1 if plan.quick else 3):
        for name, way in ways.items():
            plan.say(f"messages, {name}, round {round_number + 1}")
            first.setdefault(name, timed(way, 0)[0])
            began = time.perf_counter()
            for n in range(number):
                way(n)
            rates[name].append(number / (time.perf_counter() - began))
    ours, bare = median(rates["ours"]), median(rates["bare"])
    remark = (
        f"message {MESSAGE}: subject, page, text and links; the first takes {first['ours'] * 1000:.0f} ms, with MJML"
    )
    return [Figure("messages rendered", ours, "messages/s", bare, ours / bare, remark=remark)]


def _ours(playbook: Playbook) -> Callable[[int], str]:
    renderer = Renderer(playbook.messages, playbook.snippets, "en", {"company": _COMPANY}, link_hosts=_HOSTS)
    links = LinkSigner(b"s" * 32, "https://mail.shop.example/e")

    def render(n: int) -> str:
        content = renderer.render(MESSAGE, _context(n), ["en"], links.of(key_of(n), n, "en"))
        return content.html

    return render


def _bare(playbook: Playbook) -> Callable[[int], str]:
    """python-liquid with the layout, the message and the snippets as they are written."""
    snippets = {
        name: snippet.content if isinstance(snippet.content, str) else snippet.content["en"]
        for name, snippet in playbook.snippets.items()
    }
    environment = Environment(autoescape=True, tolerance=Mode.LAX, loader=DictLoader(snippets))
    message = playbook.messages[MESSAGE]
    body = message.content["en"]
    template = environment.from_string(body.body)
    layout = environment.get_template(message.layout) if message.layout else None
    subject = environment.from_string(body.subject)

    def render(n: int) -> str:
        names = {**_context(n), "company": _COMPANY, "links": {"unsubscribe": f"https://mail.shop.example/e/u/{n}"}}
        subject.render(**names)
        text = template.render(**names)
        return layout.render(**names, content=text) if layout is not None else text

    return render


def _context(n: int) -> dict[str, Any]:
    return {
        "customer": {"id": n, "first_name": f"Name {n}", "country": "PL"},
        "trigger": {"event": "Signed Up", "plan": "pro"},
        "journey": {"id": "welcome"},
        "topic": {"id": "lifecycle", "name": "Newsletters"},
        "now": _NOW,
        "zone": "Europe/Warsaw",
    }
