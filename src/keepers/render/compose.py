"""Compiles the templates of a message in one locale: subject, HTML, text and the other parts of its channel."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from liquid import BoundTemplate
from liquid.exceptions import LiquidError
from msgspec import Struct

from keepers.i18n.locales import choose
from keepers.model.channels import CHANNELS
from keepers.model.errors import Problem, nearest, problem, problem_as_written
from keepers.render import mjml
from keepers.render.assemble import (
    Piece,
    Placeholders,
    SourceText,
    TemplateSource,
    assemble,
    holds_content,
    plain,
)
from keepers.render.attributes import with_links, wrapped_link
from keepers.render.definition import MessageTemplate, Snippet
from keepers.render.errors import RenderError
from keepers.render.link_hosts import WrittenAddresses, written_addresses
from keepers.render.liquid.filters import register
from keepers.render.liquid.sandbox import Sandbox
from keepers.render.liquid.tags import InlineTag, LinkTag, ValueTag
from keepers.render.plain_text import to_text

_BODY = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"']+")
_ENDS = ".,;:!?)]»”’"
_HIDDEN = "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all;"
_PADDING = "&#847;&zwnj;&nbsp;" * 60
"""keeps the text after it out of the preview line of mail programs"""


class CompiledMessage(Struct, frozen=True):
    """One part of a message, compiled."""

    template: BoundTemplate
    assembled: TemplateSource
    written: WrittenAddresses
    """the addresses that its text writes out"""


def _sandbox(*, autoescape: bool) -> Sandbox:
    made = Sandbox(autoescape=autoescape)
    register(made)
    made.add_tag(InlineTag)
    made.add_tag(LinkTag)
    made.add_tag(ValueTag)
    del made.tags["render"]  # inserted before compiling
    return made


DEFAULT_LOCALE = "en"
"""whose text is taken where a language has none, unless the workspace names another"""
HTML = _sandbox(autoescape=True)
TEXT = _sandbox(autoescape=False)


def compose(
    message: MessageTemplate, locale: str, snippets: Mapping[str, Snippet], default_locale: str = DEFAULT_LOCALE
) -> dict[str, CompiledMessage]:
    """The parts of a message by name. Raises RenderError naming message, locale, part and line."""
    try:
        return _Composing(message, locale, snippets, default_locale).parts()
    except RenderError as error:
        raise error.within(message.id, locale) from None


class _Composing:
    def __init__(
        self, message: MessageTemplate, locale: str, snippets: Mapping[str, Snippet], default_locale: str
    ) -> None:
        self.message, self.locale, self.snippets, self.default = message, locale, snippets, default_locale
        self.body = message.content[locale]
        self.kind = CHANNELS[message.channel]

    def parts(self) -> dict[str, CompiledMessage]:
        if self.kind.is_mail:
            return self._email()
        # An SMS is paid by length: its addresses stay as they are.
        has_links = not self.kind.is_paid_by_length
        found = {"text": self._text("text", has_links=has_links)}
        if self.body.title:
            found["title"] = self._text("title")
        for name in ("icon", "image", "url"):
            if getattr(self.body, name):
                found[name] = self._address(name, is_tracked=name == "url")
        return found

    def _email(self) -> dict[str, CompiledMessage]:
        found = {"subject": self._text("subject")}
        assembled = self._assembled("body", self._layout())
        placeholders = Placeholders(assembled)
        if mjml.is_mjml(placeholders.text):
            page = mjml.compile_mjml(placeholders, self.locale)
        else:
            page = mjml.without_comments(placeholders)
        page = with_links(page, placeholders)
        found["html"] = self._compiled(HTML, placeholders.put_back(self._with_preheader(page, placeholders)), "body")
        if self.body.text:
            found["text"] = self._text("text", has_links=True)
        else:
            found["text"] = self._compiled(TEXT, placeholders.put_back(to_text(page, placeholders.silent())), "body")
        return found

    def _layout(self) -> SourceText | None:
        name = self.message.layout
        if not name:
            return None
        part = self._snippet(name, f"layout {name}")
        if part is None:
            raise RenderError(
                problem("there is no snippet “{name}”.", near=nearest(name, self.snippets), name=name), part="layout"
            )
        if not holds_content(part):
            raise RenderError(problem("a layout needs {{{{ content }}}} where the body goes"), part=part.name)
        return part

    def _snippet(self, name: str, called: str = "") -> SourceText | None:
        snippet = self.snippets.get(name)
        if snippet is None:
            return None
        text = snippet.content
        if not isinstance(text, str):
            text = text[choose((self.locale,), text, self.default)]
        return SourceText(called or f"snippet {name}", text)

    def _assembled(self, name: str, layout: SourceText | None = None) -> list[Piece]:
        part = SourceText(name, getattr(self.body, name))
        return assemble(part, layout, self._snippet)

    def _text(self, name: str, *, has_links: bool = False) -> CompiledMessage:
        assembled = self._assembled(name)
        if not has_links:
            return self._compiled(TEXT, plain(assembled), name)
        placeholders = Placeholders(assembled)
        return self._compiled(
            TEXT, placeholders.put_back(_URL.sub(lambda m: _linked_text(m[0], placeholders), placeholders.text)), name
        )

    def _address(self, name: str, *, is_tracked: bool) -> CompiledMessage:
        placeholders = Placeholders(self._assembled(name))
        address = placeholders.text.strip()
        return self._compiled(
            TEXT, placeholders.put_back(wrapped_link(address, placeholders, is_tracked=is_tracked)), name
        )

    def _with_preheader(self, page: str, placeholders: Placeholders) -> str:
        if not self.body.preheader:
            return page
        text = "".join(
            placeholders.word(piece) if piece.is_liquid else html.escape(piece.text)
            for piece in self._assembled("preheader")
        )
        hidden = f'<div style="{_HIDDEN}">{text}{_PADDING}</div>'
        start = _BODY.search(page)
        at = start.end() if start else 0
        return page[:at] + hidden + page[at:]

    def _compiled(self, sandbox: Sandbox, assembled: TemplateSource, part: str) -> CompiledMessage:
        try:
            written = written_addresses(assembled.source, assembled.own_texts())
            return CompiledMessage(sandbox.compiled(assembled.source, part), assembled, written)
        except LiquidError as error:
            raise located(error, assembled, part, sandbox) from None


def located(error: LiquidError, assembled: TemplateSource, part: str, sandbox: Sandbox = TEXT) -> RenderError:
    """A Liquid error as a RenderError with the part and line of its source."""
    offset = error.token.start_index if error.token is not None else -1
    where, line = assembled.origin(offset) if offset >= 0 else assembled.unclosed()
    if not where:
        where, line = _faulty_piece(assembled, sandbox)
    reason = error.args[0] if error.args and isinstance(error.args[0], Problem) else None
    text: Problem = reason or problem_as_written(str(error.message or type(error).__name__))
    return RenderError(text, part=where or part, line=line)


def _faulty_piece(assembled: TemplateSource, sandbox: Sandbox) -> tuple[str, int | None]:
    """The first piece of Liquid that is wrong by itself: the parser does not locate an end that comes too soon."""
    for source, piece in assembled.alone():
        try:
            sandbox.from_string(source)
        except LiquidError:
            return piece.part, piece.line or None
    return "", None


def _linked_text(url: str, placeholders: Placeholders) -> str:
    end = len(url.rstrip(_ENDS))
    if not placeholders.closes_itself(url):
        # {% if x %}https://… {% endif %} with nothing between: the address ends where the block does.
        silent = placeholders.silent().search(url)
        end = min(end, silent.start() if silent else end)
    return wrapped_link(url[:end], placeholders, is_tracked=True) + url[end:]
