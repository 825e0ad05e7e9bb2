"""Mistakes and likely mistakes in a message, before it is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from keepers.i18n.findings import Sentence, as_written, sentence, with_nearest
from keepers.i18n.locales import choose, language
from keepers.model.channels import CHANNELS
from keepers.model.consent import Topic
from keepers.render.assemble import SourceText, rendered
from keepers.render.assemble import pieces as cut
from keepers.render.compose import DEFAULT_LOCALE, TEXT, CompiledMessage, compose
from keepers.render.definition import MessageTemplate, Snippet
from keepers.render.errors import RenderError
from keepers.render.liquid.usage import VariableRead, used
from keepers.render.outbound import OWN

Level = Literal["error", "warning"]
Remark = tuple[str, Level, Sentence]
"""field, level, sentence. The field is one of the message (`content.en.body`), or, for what is wrong in a snippet,
starts with its key: `snippet/footer.content.en`. Several messages may have the same remark on one snippet."""

VARIABLES: dict[str, tuple[str, ...] | None] = {
    "customer": None,
    "trigger": None,
    "run": None,
    "offer": ("code", "expires_at", "pool"),
    "account": None,
    "message": None,
    "journey": None,
    "broadcast": None,
    "topic": None,
    "company": ("name", "address", "url", "currency", "logo"),
    "links": OWN,
    "now": (),
    "zone": (),
    "locale": (),
    "forloop": None,
    "tablerowloop": None,
}
"""the variables of templates, and the fields of each; None for any"""
OF_TRIGGER = ("event", "time", "seq", "id")
MOST_HTML = 100_000
"""characters after which Gmail clips a message (102 KB)"""
_IMAGE = re.compile(r"""<(?:mj-image|mj-carousel-image|img)\b(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""", re.IGNORECASE)
_ALT = re.compile(r"\salt\s*=", re.IGNORECASE)
_PLAIN_HTTP = re.compile(r"""\s(?:href|src|background-url|background)\s*=\s*["']http://([^"'/\s]*)""", re.IGNORECASE)
_IDLE = re.compile(r"""\shref\s*=\s*(?:""|''|"#"|'#')""", re.IGNORECASE)


def check_message(
    message: MessageTemplate,
    snippets: Mapping[str, Snippet],
    known_traits: Collection[str] | None = None,
    known_properties: Collection[str] | None = None,
    *,
    topics: Mapping[str, Topic] | None = None,
) -> list[Remark]:
    """All remarks about a message, each once.

    `known_traits` and `known_properties` (of the events that start it) are those that have arrived; None skips these
    checks. `topics` tells marketing from transactional messages, and unknown topics.
    """
    locale_checks = _LocaleChecks(message, snippets, known_traits, known_properties)
    remarks = list(_of_topic(message, topics))
    topic = (topics or {}).get(message.topic)
    is_marketing = topic is None or topic.kind == "marketing"
    for locale in message.content:
        remarks += locale_checks.locale(locale, is_marketing=is_marketing)
    # By comparison: a problem in a sentence cannot be hashed.
    return [remark for n, remark in enumerate(remarks) if remark not in remarks[:n]]


def _part(snippets: Mapping[str, Snippet], locale: str, id_: str) -> SourceText | None:
    snippet = snippets.get(id_)
    if snippet is None:
        return None
    text = snippet.content
    if not isinstance(text, str):
        text = text[choose((locale,), text, DEFAULT_LOCALE)]
    return SourceText(f"snippet {id_}", text)


class _LocaleChecks:
    def __init__(
        self,
        message: MessageTemplate,
        snippets: Mapping[str, Snippet],
        traits: Collection[str] | None,
        properties: Collection[str] | None,
    ) -> None:
        self.message, self.snippets = message, snippets
        self.is_mail = CHANNELS[message.channel].is_mail
        self.known: dict[str, Collection[str] | None] = dict(VARIABLES)
        if traits is not None:
            self.known["customer"] = {"id", *traits}
        if properties is not None:
            self.known["trigger"] = {*OF_TRIGGER, *properties}

    def locale(self, locale: str, *, is_marketing: bool) -> Iterator[Remark]:
        try:
            parts = compose(self.message, locale, self.snippets)
        except RenderError as error:
            field = self._field(locale, error.part)
            yield field, "error", _sentence(error)
            return
        for name, part in parts.items():
            if name == "text" and self.is_mail and not self.message.content[locale].text:
                continue  # made from the body, which is checked
            yield from self._reads(locale, name, part)
        yield from self._snippets(locale)
        if not self.is_mail:
            return
        body = self.message.content[locale].body
        yield from ((f"content.{locale}.body", level, remark) for level, remark in _of_markup(body))
        page = parts["html"]
        if len(page.assembled.source) > MOST_HTML:
            yield f"content.{locale}.body", "warning", sentence("too_long")
        if "www.mailjet.com/images" in page.assembled.source:
            yield f"content.{locale}.body", "warning", sentence("mailjet_icons")
        if is_marketing and not any(
            read.path[:2] in (("links", "unsubscribe"), ("links", "preferences")) for read in used(page.template).reads
        ):
            yield f"content.{locale}.body", "warning", sentence("no_way_out")

    def _field(self, locale: str, part: str) -> str:
        kind, _, name = part.partition(" ")
        if kind in ("snippet", "layout") and name in self.snippets:
            content = self.snippets[name].content
            if isinstance(content, str):
                return f"snippet/{name}.content"
            return f"snippet/{name}.content.{choose((locale,), content, DEFAULT_LOCALE)}"
        return "layout" if kind == "layout" else f"content.{locale}.{part or 'body'}"

    def _reads(self, locale: str, name: str, part: CompiledMessage) -> Iterator[Remark]:
        found = used(part.template)
        for read in found.reads:
            where, line = part.assembled.origin(read.offset)
            for level, remark in self._read(read):
                yield self._field(locale, where or name), level, _at(line, remark)
        for filter_, offset in found.filters:
            if filter_ not in TEXT.filters:
                where, line = part.assembled.origin(offset)
                remark = with_nearest(sentence("unknown_filter", name=filter_), filter_, TEXT.filters)
                yield self._field(locale, where or name), "error", _at(line, remark)

    def _read(self, read: VariableRead) -> Iterator[tuple[Level, Sentence]]:
        root, *rest = read.path
        if root not in self.known:
            yield "error", with_nearest(sentence("unknown_variable", name=root), root, self.known)
            return
        fields = self.known[root]
        name = ".".join(rest)
        if rest and fields is not None and rest[0] not in fields and name not in fields:
            level: Level = "warning" if root in ("customer", "trigger") else "error"
            match root:
                case "customer":
                    remark = sentence("unseen_trait", name=rest[0])
                case "trigger":
                    remark = sentence("unseen_property", name=rest[0])
                case _:
                    remark = sentence("unknown_field", name=rest[0], root=root)
            yield level, with_nearest(remark, rest[0], fields)
        elif root == "customer" and rest and rest[0] != "id" and not read.has_fallback:
            yield "warning", sentence("gap", path=".".join(read.path))

    def _snippets(self, locale: str) -> Iterator[Remark]:
        """Languages a snippet lacks, and markup where it cannot be."""
        names = _rendered_in(self.message, locale, self.snippets)
        for name in names:
            content = self.snippets[name].content
            if isinstance(content, dict) and language(choose((locale,), content, "")) != language(locale):
                instead = choose((locale,), content, DEFAULT_LOCALE)
                yield f"snippet/{name}.content", "warning", sentence("snippet_no_text", locale=locale, instead=instead)
            text = content if isinstance(content, str) else "".join(content.values())
            if "<mj" in text and not self.is_mail:
                remark = sentence("snippet_markup", name=name, channel=self.message.channel)
                yield f"content.{locale}", "error", remark


def _rendered_in(message: MessageTemplate, locale: str, snippets: Mapping[str, Snippet]) -> dict[str, None]:
    body = message.content[locale]
    waiting = [SourceText("", getattr(body, name)) for name in ("subject", "preheader", "body", "text", "title", "url")]
    names: dict[str, None] = {}
    if message.layout in snippets:
        names[message.layout] = None
        layout = _part(snippets, locale, message.layout)
        waiting += [layout] if layout else []
    while waiting:
        for piece in cut(waiting.pop()):
            id_ = rendered(piece.text) if piece.is_liquid else None
            if id_ is not None and id_ in snippets and id_ not in names:
                names[id_] = None
                part = _part(snippets, locale, id_)
                waiting += [part] if part else []
    return names


def _of_topic(message: MessageTemplate, topics: Mapping[str, Topic] | None) -> Iterator[Remark]:
    if topics is None:
        return
    topic = topics.get(message.topic)
    if topic is None:
        yield "topic", "error", with_nearest(sentence("unknown_topic", name=message.topic), message.topic, topics)
    elif message.channel not in topic.channels:
        offered = ", ".join(topic.channels)
        remark = sentence("topic_channel", topic=topic.id, channel=message.channel, offered=offered)
        yield "channel", "warning", remark


def _of_markup(text: str) -> Iterator[tuple[Level, Sentence]]:
    """Pictures without a text, addresses without encryption, links to nowhere; lines are those of the text."""
    masked = _masked(text)
    for image in _IMAGE.finditer(masked):
        if not _ALT.search(image[0]):
            line = masked.count("\n", 0, image.start()) + 1
            yield "warning", _at(line, sentence("no_alt"))
    for link in _PLAIN_HTTP.finditer(masked):
        line = masked.count("\n", 0, link.start()) + 1
        yield "warning", _at(line, sentence("plain_http", host=link[1]))
    for link in _IDLE.finditer(masked):
        line = masked.count("\n", 0, link.start()) + 1
        yield "warning", _at(line, sentence("idle_link"))


def _masked(text: str) -> str:
    """The text with Liquid masked, of the same length and lines, so that quotes in it end no attribute."""
    try:
        return "".join(re.sub(r"[^\n]", "~", p.text) if p.is_liquid else p.text for p in cut(SourceText("", text)))
    except RenderError:
        return text


def _at(line: int | None, remark: Sentence) -> Sentence:
    return sentence("at_line", line=line, sentence=remark) if line else remark


def _sentence(error: RenderError) -> Sentence:
    return _at(error.line, as_written("template_error", error.reason))
