"""E-mails of two lines, for tests."""

from __future__ import annotations

from typing import Any

from keepers.model.message import Content
from keepers.render.definition import MessageTemplate, parse_message, parse_snippet
from keepers.render.links import LinkSigner
from keepers.render.renderer import Renderer

LINKS = LinkSigner(b"k" * 32, "https://k.example")
HOSTS = ("shop.example", "k.example")
KEY = "welcome:1:hello:1:email:x"


def section(text: str) -> str:
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"


def email(body: str, **more: Any) -> MessageTemplate:
    """An e-mail in English with this body; fields of the content or of the message in `more`."""
    content = {k: more.pop(k) for k in ("subject", "preheader", "text") if k in more}
    fields = {
        "id": "m",
        "channel": "email",
        "topic": "news",
        "content": {"en": {"subject": "S", "body": body, **content}},
    }
    return parse_message({**fields, **more})


def renderer(message: MessageTemplate, shared: dict[str, Any] | None = None, **snippets: Any) -> Renderer:
    found = {k: parse_snippet({"id": k, "content": v}) for k, v in snippets.items()}
    return Renderer({message.id: message}, found, shared=shared or {}, link_hosts=HOSTS)


def rendered(body: str, context: dict[str, Any] | None = None, *, tracked: bool = False, **more: Any) -> Content:
    """An e-mail of one body, rendered. `snippets` in `more` are its snippets."""
    snippets = more.pop("snippets", {})
    links = LINKS.of(KEY, 7, "en") if tracked else None
    return renderer(email(body, **more), **snippets).render("m", context or {}, ["en"], links)


def inside(content: Content) -> str:
    """What the page holds of the last section's text."""
    page = content.html
    return page[page.index("<body") :]
