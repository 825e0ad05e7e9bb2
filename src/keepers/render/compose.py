"""Makes ready-to-render templates of a message in one locale: subject, HTML, text and what else its channel takes."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from liquid import BoundTemplate
from liquid.exceptions import LiquidError
from msgspec import Struct

from keepers.i18n.locales import choose
from keepers.model.channels import CHANNELS
from keepers.render import mjml
from keepers.render.assemble import (
    Piece,
    Placeholders,
    SourceText,
    TemplateSource,
    holds_content,
    plain,
    unknown_snippet,
    weave,
)
from keepers.render.definition import MessageTemplate, Snippet
from keepers.render.errors import RenderError
from keepers.render.liquid.filters import register
from keepers.render.liquid.sandbox import Sandbox
from keepers.render.liquid.tags import END_LINK, LINK, InlineTag, LinkTag
from keepers.render.plain_text import to_text

# No < inside a value: what is never closed would be read to the end from every place.
_ANCHOR = re.compile(r"""<(?:a|area)\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""", re.IGNORECASE)
_HREF = re.compile(r"""(\shref=)(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_TRACK_OFF = re.compile(r"""\sdata-keepers-track=(?:"off"|'off'|off\b)""", re.IGNORECASE)
_UNTOUCHED = ("#", "mailto:", "tel:", "sms:")
_OWN = re.compile(r"\{\{-?\s*links\s*\.")
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"']+")
_ENDS = ".,;:!?)]»”’"
_HIDDEN = "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all;"
_PADDING = "&#847;&zwnj;&nbsp;" * 60
"""keeps what follows out of a mailbox's preview line"""


class CompiledMessage(Struct, frozen=True):
    """One part of a message, ready to be rendered as often as wanted."""

    template: BoundTemplate
    woven: TemplateSource


def _sandbox(*, autoescape: bool) -> Sandbox:
    made = Sandbox(autoescape=autoescape)
    register(made)
    made.add_tag(InlineTag)
    made.add_tag(LinkTag)
    del made.tags["render"]  # put in place before compiling
    return made


HTML = _sandbox(autoescape=True)
TEXT = _sandbox(autoescape=False)


def compose(
    message: MessageTemplate, locale: str, snippets: Mapping[str, Snippet], default_locale: str = "en"
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
        for name in ("title", "icon", "image"):
            if getattr(self.body, name):
                found[name] = self._text(name)
        if self.body.url:
            found["url"] = self._address()
        return found

    def _email(self) -> dict[str, CompiledMessage]:
        found = {"subject": self._text("subject")}
        woven = self._woven("body", self._layout())
        words = Placeholders(woven)
        if mjml.is_mjml(words.text):
            page = mjml.compile_mjml(words, self.locale)
        else:
            page = mjml.without_comments(words)
        page = _with_links(page, words)
        found["html"] = self._compiled(HTML, words.put_back(self._with_preheader(page, words)), "body")
        if self.body.text:
            found["text"] = self._text("text", has_links=True)
        else:
            found["text"] = self._compiled(TEXT, words.put_back(to_text(page, words.silent())), "body")
        return found

    def _layout(self) -> SourceText | None:
        name = self.message.layout
        if not name:
            return None
        part = self._snippet(name, f"layout {name}")
        if part is None:
            raise RenderError(unknown_snippet(name, self.snippets), part="layout")
        if not holds_content(part):
            raise RenderError("a layout needs {{ content }} where the body goes", part=part.name)
        return part

    def _snippet(self, name: str, called: str = "") -> SourceText | None:
        snippet = self.snippets.get(name)
        if snippet is None:
            return None
        text = snippet.content
        if not isinstance(text, str):
            text = text[choose((self.locale,), text, self.default)]
        return SourceText(called or f"snippet {name}", text)

    def _woven(self, name: str, layout: SourceText | None = None) -> list[Piece]:
        part = SourceText(name, getattr(self.body, name))
        return weave(part, layout, self._snippet)

    def _text(self, name: str, *, has_links: bool = False) -> CompiledMessage:
        woven = self._woven(name)
        if not has_links:
            return self._compiled(TEXT, plain(woven), name)
        words = Placeholders(woven)
        return self._compiled(TEXT, words.put_back(_URL.sub(lambda m: _linked_text(m[0], words), words.text)), name)

    def _address(self) -> CompiledMessage:
        words = Placeholders(self._woven("url"))
        return self._compiled(TEXT, words.put_back(_wrapped(words.text.strip(), words, is_tracked=True)), "url")

    def _with_preheader(self, page: str, words: Placeholders) -> str:
        if not self.body.preheader:
            return page
        text = "".join(
            words.word(piece) if piece.is_liquid else html.escape(piece.text) for piece in self._woven("preheader")
        )
        hidden = f'<div style="{_HIDDEN}">{text}{_PADDING}</div>'
        start = _BODY.search(page)
        at = start.end() if start else 0
        return page[:at] + hidden + page[at:]

    def _compiled(self, sandbox: Sandbox, woven: TemplateSource, part: str) -> CompiledMessage:
        try:
            return CompiledMessage(sandbox.compiled(woven.source, part), woven)
        except LiquidError as error:
            raise told(error, woven, part, sandbox) from None


def told(error: LiquidError, woven: TemplateSource, part: str, sandbox: Sandbox = TEXT) -> RenderError:
    """A Liquid error as a sentence with the part and line it was written in."""
    offset = error.token.start_index if error.token is not None else -1
    where, line = woven.origin(offset) if offset >= 0 else woven.unclosed()
    if not where:
        where, line = _culprit(woven, sandbox)
    return RenderError(str(error.message or type(error).__name__), part=where or part, line=line)


def _culprit(woven: TemplateSource, sandbox: Sandbox) -> tuple[str, int | None]:
    """The first piece of Liquid that is wrong by itself: the parser does not place an end that comes too soon."""
    for source, piece in woven.alone():
        try:
            sandbox.from_string(source)
        except LiquidError:
            return piece.part, piece.line or None
    return "", None


def _with_links(page: str, words: Placeholders) -> str:
    def anchor(found: re.Match[str]) -> str:
        tag = found[0]
        is_tracked = not _TRACK_OFF.search(tag)
        if not is_tracked:
            tag = _TRACK_OFF.sub("", tag)
        return _HREF.sub(lambda m: f'{m[1]}"{_target(m[2] or m[3] or m[4] or "", words, is_tracked)}"', tag, count=1)

    return _ANCHOR.sub(anchor, page)


def _target(url: str, words: Placeholders, is_tracked: bool) -> str:
    if url.startswith(mjml.UNTRACKED):
        url, is_tracked = url.removeprefix(mjml.UNTRACKED), False
    if not url.strip() or url.strip().lower().startswith(_UNTOUCHED):
        return url
    first = words.in_(url)[:1]
    if first and _OWN.match(first[0].text):
        is_tracked = False
    return _wrapped(url, words, is_tracked=is_tracked)


def _wrapped(url: str, words: Placeholders, *, is_tracked: bool) -> str:
    inside = words.in_(url)
    like = inside[0] if inside else None
    opening = words.tag("{% " + LINK + (" on" if is_tracked else " off") + " %}", like)
    return f"{opening}{url}{words.tag('{% ' + END_LINK + ' %}', like)}"


def _linked_text(url: str, words: Placeholders) -> str:
    end = len(url.rstrip(_ENDS))
    if not words.closes_itself(url):
        # {% if x %}https://… {% endif %} with nothing between: the address ends where the block does.
        silent = words.silent().search(url)
        end = min(end, silent.start() if silent else end)
    return _wrapped(url[:end], words, is_tracked=True) + url[end:]
