"""The plain-text part of an e-mail, made from its HTML once: Liquid in it is rendered per customer as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"address", "article", "blockquote", "center", "dd", "div", "dl", "dt", "figure", "footer", "form", "header"}
    | {"main", "nav", "ol", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul", "li"}
)
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "hr"})
_SILENT = frozenset({"head", "script", "style", "title", "template", "noscript", "svg"})
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all")
_SPACE = re.compile(r"[ \t\r\n\f\u00a0\u200b\u200c\u00ad\u034f]+")
VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_PLAIN_SCHEMES = ("mailto:", "tel:", "sms:")


def to_text(html: str, silent: re.Pattern[str] | None = None) -> str:
    """HTML as text: paragraphs, lists, cells side by side, links as “label (address)”, pictures as their alt text.

    Hidden elements (preheaders) are left out. `silent` finds words that print nothing, such as placeholders of {% if
    %}: they are kept, and no blank is written for them.
    """
    reading = _Reading(silent)
    end = html.rfind(">") + 1
    unclosed = html.find("<", end)  # the parser would look for its end again and again
    reading.feed(html if unclosed < 0 else html[:unclosed])
    reading.close()
    return tidy("".join(reading.out))


def tidy(text: str) -> str:
    """Lines without blanks at their ends, at most one empty line in a row, none at the ends."""
    kept: list[str] = []
    for line in text.split("\n"):
        bare = line.rstrip(" \t")
        if bare or not kept or kept[-1]:
            kept.append(bare)
    return "\n".join(kept).strip() + "\n"


class _Reading(HTMLParser):
    def __init__(self, silent_words: re.Pattern[str] | None) -> None:
        super().__init__(convert_charrefs=True)
        self.silent_words = silent_words
        self.out: list[str] = []
        self.silent: list[str] = []
        """open elements from the outermost that is not shown"""
        self.links: list[tuple[str, int]] = []
        """address, and where in `out` its label begins"""
        self.ends_blank = self.ends_line = True
        self.numbers: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {k: v or "" for k, v in attrs}
        if self.silent or tag in _SILENT or _HIDDEN.search(attributes.get("style", "")) or "hidden" in attributes:
            if tag not in VOID:
                self.silent.append(tag)
            return
        if tag == "br":
            self._break()
        elif tag == "hr":
            self._paragraph()
            self._text("---")
            self._paragraph()
        elif tag == "img":
            if attributes.get("alt"):
                self._text(attributes["alt"])
        elif tag == "a":
            self.links.append((attributes.get("href", "").strip(), len(self.out)))
        elif tag in ("td", "th"):
            if not self.ends_blank:
                self._raw(" ")
        elif tag in _PARAGRAPHS:
            self._paragraph()
            if tag in ("ul", "ol"):
                self.numbers.append(0 if tag == "ol" else None)
        elif tag in _BLOCKS:
            self._line()
        if tag == "li":
            self._item()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent:
            if tag in self.silent:
                del self.silent[len(self.silent) - 1 - self.silent[::-1].index(tag) :]
            return
        if tag == "a" and self.links:
            self._link(*self.links.pop())
        elif tag in _PARAGRAPHS:
            if tag in ("ul", "ol") and self.numbers:
                self.numbers.pop()
            self._paragraph()
        elif tag in _BLOCKS:
            self._line()

    def handle_data(self, data: str) -> None:
        if self.silent:
            return
        if self.silent_words is None:
            self._text(data)
            return
        at = 0
        for word in self.silent_words.finditer(data):
            self._text(data[at : word.start()])
            self.out.append(word[0])
            at = word.end()
        self._text(data[at:])

    def _text(self, data: str) -> None:
        text = _SPACE.sub(" ", data)
        if self.ends_blank:
            text = text.lstrip(" ")
        if text:
            self._raw(text)

    def _raw(self, text: str) -> None:
        self.out.append(text)
        self.ends_blank = text.endswith((" ", "\n"))
        self.ends_line = text.endswith("\n")

    def _line(self) -> None:
        if self.out and not self.ends_line:
            self._raw("\n")

    def _break(self) -> None:
        self._raw("\n")

    def _paragraph(self) -> None:
        if self.out:
            self._line()
            self._raw("\n")

    def _item(self) -> None:
        if self.numbers and self.numbers[-1] is not None:
            self.numbers[-1] += 1
            self._raw(f"{self.numbers[-1]}. ")
        else:
            self._raw("- ")

    def _link(self, href: str, start: int) -> None:
        label = "".join(self.out[start:]).strip()
        bare = href.removeprefix("mailto:").removeprefix("tel:")
        if not href or href.startswith("#") or not label or label in (href, bare):
            return
        tail = self.out[-1]
        if tail.endswith(("\n", " ")):
            self.out[-1] = tail.rstrip()
        shown = bare if href.startswith(_PLAIN_SCHEMES) else href
        self._raw(f" ({shown})")
