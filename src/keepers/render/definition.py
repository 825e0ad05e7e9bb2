"""Messages and snippets as a playbook defines them: one text per locale, and how the message is sent."""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, cast
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from keepers.contact.rules import PRIORITIES, Priority
from keepers.model import fields
from keepers.model.channels import CHANNELS, WRITTEN_FOR
from keepers.model.errors import DefinitionError, nearest, problem
from keepers.model.fields import Text, join

UTM_KEYS = ("source", "medium", "campaign", "content", "term")
EXPIRES = timedelta(days=3)
MOST_TEXT = 200_000
"""bytes of one text of a message or snippet"""
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_](?:[A-Z][a-z]{3}|[A-Z]{2}|\d{3})){0,2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Body(Struct, frozen=True):
    """The texts of a message in one locale: Liquid throughout, and MJML in the `body` of an e-mail."""

    subject: str = ""
    preheader: str = ""
    body: str = ""
    text: str = ""
    title: str = ""
    url: str = ""
    icon: str = ""
    image: str = ""


class MessageTemplate(Struct, frozen=True):
    """One entry of `messages:`."""

    id: str
    channel: str
    topic: str
    content: dict[str, Body]
    """locale → texts, in the order written; the first is the last fallback"""
    name: Text = ""
    description: Text = ""
    priority: Priority | None = None
    """None for the journey's, or the usual one"""
    expires: timedelta = EXPIRES
    """not sent later than this after it was decided"""
    layout: str = ""
    """a snippet with {{ content }} around the body"""
    sender: str = ""
    """`from:` of the definition; empty for the channel's"""
    reply_to: str = ""
    utm: dict[str, str] | None = field(default_factory=dict)
    """what links are tagged with, over the defaults; None (`utm: false`) for no tags"""


class Snippet(Struct, frozen=True):
    """One entry of `snippets:`: a text used with {% render 'id' %}, or a layout around {{ content }}."""

    id: str
    content: str | dict[str, str]
    """one text for every locale, or one per locale"""
    name: Text = ""
    description: Text = ""


def parse_message(data: Any, zone: ZoneInfo | None = None, at: str = "") -> MessageTemplate:
    """One entry of `messages:`. Raises DefinitionError naming the field. `zone` is not needed."""
    allowed = (
        *("id", "name", "description", "channel", "topic", "priority", "expires", "layout", "from", "reply_to"),
        *("utm", "content"),
    )
    values = fields.mapping(data, allowed, at)
    channel = _choice(values.get("channel"), tuple(WRITTEN_FOR), join(at, "channel"), is_needed=True)
    if values.get("topic") is None:
        raise DefinitionError(problem("a message needs “topic”: what it is about, as customers choose it"), field=at)
    layout = values.get("layout")
    if layout is not None and not CHANNELS[channel].is_mail:
        raise DefinitionError(problem("only e-mails have a layout"), field=join(at, "layout"))
    return MessageTemplate(
        id=fields.parse_id(values.get("id"), join(at, "id")),
        channel=channel,
        topic=fields.parse_id(values["topic"], join(at, "topic")),
        content=_content(values.get("content"), channel, join(at, "content")),
        name=fields.text(values.get("name", ""), join(at, "name")),
        description=fields.text(values.get("description", ""), join(at, "description")),
        priority=cast(Priority, _choice(values["priority"], PRIORITIES, join(at, "priority")))
        if "priority" in values
        else None,
        expires=_expires(values.get("expires"), join(at, "expires")),
        layout="" if layout is None else fields.parse_id(layout, join(at, "layout")),
        sender=_mailbox(values.get("from"), join(at, "from")),
        reply_to=_mailbox(values.get("reply_to"), join(at, "reply_to")),
        utm=_utm(values.get("utm"), join(at, "utm")),
    )


def parse_snippet(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Snippet:
    """One entry of `snippets:`. Raises DefinitionError naming the field. `zone` is not needed."""
    values = fields.mapping(data, ("id", "name", "description", "content"), at)
    content, here = values.get("content"), join(at, "content")
    if isinstance(content, dict) and content:
        texts: str | dict[str, str] = {_locale(k, here): _template(v, join(here, str(k))) for k, v in content.items()}
    elif isinstance(content, str):
        texts = _template(content, here)
    else:
        raise DefinitionError(
            problem("a snippet needs “content”: a text, or one per locale as {{en: …, ru: …}}"), field=here
        )
    return Snippet(
        id=fields.parse_id(values.get("id"), join(at, "id")),
        content=texts,
        name=fields.text(values.get("name", ""), join(at, "name")),
        description=fields.text(values.get("description", ""), join(at, "description")),
    )


def _content(data: Any, channel: str, at: str) -> dict[str, Body]:
    if not isinstance(data, dict) or not data:
        raise DefinitionError(
            problem("a message needs “content”: what it says per locale, as {{en: {{…}}, ru: {{…}}}}"), field=at
        )
    if set(data) & {"subject", "preheader", "body", "text", "title", "url"}:
        raise DefinitionError(problem("write what it says under a locale, as in content: {{en: {{…}}}}"), field=at)
    return {_locale(key, at): _body(value, channel, join(at, str(key))) for key, value in data.items()}


def _body(data: Any, channel: str, at: str) -> Body:
    kind = CHANNELS[channel]
    parts = fields.mapping(data, kind.parts, at)
    for name in kind.required:
        if isinstance(parts.get(name, ""), str) and not parts.get(name, "").strip():
            raise DefinitionError(
                problem("a message by {channel} needs “{name}”", channel=channel, name=name), field=join(at, name)
            )
    return Body(**{name: _template(value, join(at, name)) for name, value in parts.items()})


def _template(data: Any, at: str) -> str:
    if not isinstance(data, str):
        raise DefinitionError(problem("expected a text; put it in quotes if it looks like something else"), field=at)
    if len(data.encode(errors="replace")) > MOST_TEXT:
        raise DefinitionError(
            problem("longer than {most_text:,} bytes; mailboxes cut such messages off", most_text=MOST_TEXT), field=at
        )
    return data


def _locale(key: Any, at: str) -> str:
    if not isinstance(key, str) or not _LOCALE.fullmatch(key):
        raise DefinitionError(problem("“{key}” is no locale; write en, pl or pt-BR", key=key), field=at)
    return key.replace("_", "-")


def _choice(data: Any, allowed: tuple[str, ...], at: str, is_needed: bool = False) -> str:
    if data in allowed:
        return cast(str, data)
    if data is None and is_needed:
        raise DefinitionError(problem("a message needs “channel”: {allowed}", allowed=", ".join(allowed)), field=at)
    raise DefinitionError(
        problem(
            "“{data}” is none of {allowed}.", near=nearest(str(data), allowed), data=data, allowed=", ".join(allowed)
        ),
        field=at,
    )


def _expires(data: Any, at: str) -> timedelta:
    span = EXPIRES if data is None else fields.duration(data, at)
    if span <= timedelta(0):
        raise DefinitionError(problem("a message that expires at once is never sent; write 3d"), field=at)
    return span


def _mailbox(data: Any, at: str) -> str:
    if data is None:
        return ""
    address = parseaddr(data)[1] if isinstance(data, str) and not _CONTROL.search(data) else ""
    if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise DefinitionError(problem("expected an address, such as Shop <hello@shop.example>"), field=at)
    return cast(str, data)


def _utm(data: Any, at: str) -> dict[str, str] | None:
    if data is False:
        return None
    if data is None or data is True:
        return {}
    values = fields.mapping(data, UTM_KEYS, at)
    for key, value in values.items():
        if not isinstance(value, str) or _CONTROL.search(value):
            raise DefinitionError(problem("expected a short text"), field=join(at, key))
    return dict(values)
