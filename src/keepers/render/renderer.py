"""Renders a message for one customer. Previews, test sends and deliveries all use it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from zoneinfo import ZoneInfo

from liquid import escape
from liquid.exceptions import LiquidError

from keepers.i18n.locales import choose, written_form
from keepers.model.channels import CHANNELS
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.message import Content
from keepers.model.moments import parse_zone
from keepers.render.compose import CompiledMessage, compose, located
from keepers.render.definition import MessageTemplate, Snippet
from keepers.render.errors import RenderError
from keepers.render.link_hosts import WrittenAddresses, normal_host, written_addresses
from keepers.render.links import LinkMaker
from keepers.render.liquid.context import MessageContext
from keepers.render.liquid.sandbox import run
from keepers.render.outbound import Outbound, Utm
from keepers.render.plain_text import tidy

MOST_SUBJECT = 400
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ONE_LINE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_DATA = ("icon", "image")


class Renderer:
    """Renders the messages of one version of a playbook; each is compiled once per locale, when first needed.

    `shared` are variables of every template, such as `company`. `link_hosts` are the hosts that a customer's or an
    event's data may lead to, those below them too. `clock` measures the rendering time.
    """

    def __init__(
        self,
        messages: Mapping[str, MessageTemplate],
        snippets: Mapping[str, Snippet],
        default_locale: str = "en",
        shared: Mapping[str, Any] | None = None,
        *,
        link_hosts: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.messages = messages
        self.snippets = snippets
        self.default_locale = default_locale
        self.shared = dict(shared or {})
        self._link_hosts = frozenset(map(normal_host, link_hosts))
        self._shared_names = written_addresses("", _texts_in(self.shared)).names
        self._clock = clock
        self._compiled: dict[tuple[str, str], dict[str, CompiledMessage]] = {}
        self._written: dict[tuple[str, str], WrittenAddresses] = {}
        """what the texts of a message in a locale say of addresses, with the names in what all share"""

    def render(
        self, message_id: str, context: Mapping[str, Any], locales: Sequence[str], links: LinkMaker | None
    ) -> Content:
        """What a customer gets. `locales` are those wanted, best first; `links` None makes a preview without tracking.

        `context` holds `customer`, `trigger`, `run`, `offer` … as templates name them; `now` (naive UTC) and `zone`
        (IANA) decide how dates are written. Raises NotFoundError, RenderError naming message, locale, part and line.
        """
        message = self.messages.get(message_id)
        if message is None:
            raise NotFoundError(
                problem("There is no message “{name}”.", near=nearest(message_id, self.messages), name=message_id)
            )
        locale = choose(locales, message.content, self.default_locale)
        parts = self.compiled(message, locale)
        rendering = MessageContext(
            written_form(locales, locale),
            Outbound(
                links, _utm(message, context), self._own_in(message.id, locale, context), allowed=self._link_hosts
            ),
            clock=self._clock,
            now=_moment(context.get("now")),
            zone=_zone(context.get("zone")),
            currency=_currency(context, self.shared),
        )
        variables = {**self.shared, **context, "locale": locale, "links": rendering.outbound.own}
        try:
            texts = {name: _rendered(name, part, variables, rendering) for name, part in parts.items()}
        except RenderError as error:
            raise error.within(message_id, locale) from None
        return _content(texts, locale, rendering.outbound)

    def _own_in(self, message_id: str, locale: str, context: Mapping[str, Any]) -> WrittenAddresses:
        """What is the business's own: what the message writes, what all share, and the code of an offer, which is
        copied into a shop's form and stays as it is."""
        own = self._written[message_id, locale]
        names = written_addresses("", _texts_in(context.get("offer"))).names
        return own | WrittenAddresses(names=names) if names else own

    def compiled(self, message: MessageTemplate, locale: str) -> dict[str, CompiledMessage]:
        """A message's parts, compiled. Raises RenderError."""
        key = message.id, locale
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = compose(message, locale, self.snippets, self.default_locale)
            shared = WrittenAddresses(names=self._shared_names)
            self._written[key] = reduce(or_, (part.written for part in found.values()), shared)
        return found


def _rendered(name: str, part: CompiledMessage, variables: Mapping[str, Any], rendering: MessageContext) -> str:
    try:
        text = run(part.template, variables, rendering)
    except LiquidError as error:
        raise located(error, part.assembled, name) from None
    except RecursionError:
        raise RenderError(problem("the data is nested too deeply"), part=name) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RenderError(problem("a value does not fit a filter ({reason})", reason=error), part=name) from None
    if name == "text":
        return tidy(_CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    if name == "html":
        return (
            text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") if "\r" in text or "\0" in text else text
        )
    return _one_line(text)


def _one_line(text: str) -> str:
    """A text on one line, so that no header can be injected through it."""
    line = _ONE_LINE.sub(" ", text[: 10 * MOST_SUBJECT]).strip()
    return line if len(line) <= MOST_SUBJECT else line[: MOST_SUBJECT - 1] + "…"


def _texts_in(value: object) -> Iterator[str]:
    """The texts in nested data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(one)


def _content(texts: dict[str, str], locale: str, outbound: Outbound) -> Content:
    page, maker = texts.get("html", ""), outbound.maker
    if page and maker is not None and (pixel := maker.open_pixel):
        image = f'<img src="{escape(pixel)}" width="1" height="1" alt="" style="display:block;border:0;">'
        at = page.rfind("</body>")
        page = page + image if at < 0 else page[:at] + image + page[at:]
    return Content(
        subject=texts.get("subject", ""),
        html=page,
        text=texts.get("text", ""),
        title=texts.get("title", ""),
        url=texts.get("url", ""),
        locale=locale,
        data={name: texts[name] for name in _DATA if texts.get(name)},
        left_out=tuple(outbound.left_out),
    )


def _utm(message: MessageTemplate, context: Mapping[str, Any]) -> Utm:
    if message.utm is None or (CHANNELS[message.channel].is_paid_by_length and not message.utm):
        return ()
    campaign = context.get("journey")
    if isinstance(campaign, Mapping):
        campaign = campaign.get("id")
    values = {"source": "keepers", "medium": message.channel, "campaign": str(campaign or message.id)}
    return tuple({**values, **message.utm}.items())


def _currency(context: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    for holder in (context.get("trigger"), context.get("company"), shared.get("company")):
        if isinstance(holder, Mapping) and isinstance(holder.get("currency"), str):
            return str(holder["currency"])
    return ""


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _zone(value: Any) -> ZoneInfo | None:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return parse_zone(value) if value else None
    except UserError:
        return None
