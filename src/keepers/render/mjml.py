"""E-mail markup (MJML) to HTML, once per message and locale, with Liquid kept in place."""

from __future__ import annotations

import re

import mrml

from keepers.i18n.locales import RIGHT_TO_LEFT, language
from keepers.model.errors import nearest
from keepers.render.assemble import Placeholders
from keepers.render.errors import RenderError
from keepers.render.liquid.tags import END_INLINE, INLINE

_OPTIONS = mrml.RenderOptions(fonts={})
"""No web fonts but those a letter asks for by mj-font: a default would tell a third party who reads."""
_COMMENT = re.compile(r"<!--(?!\[if\b|<!\[endif).*?-->", re.DOTALL)
_ROOT = re.compile(r"<mjml\b([^>]*)>")
_PLACE = re.compile(r"position (\d+):(\d+)")
_ELEMENT = re.compile(r"""<(/?)(mj-?[a-z-]*)((?:[^<>"']|"[^"]*"|'[^']*')*?)(/?)>""")
_TAG = re.compile(r"""<[a-zA-Z][a-zA-Z0-9-]*\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
_TRACK_OFF = re.compile(r"""\sdata-keepers-track=(["'])off\1""")
_HREF = re.compile(r"""\shref=(["'])""")
_TAG_NAME = re.compile(r"\{%-?\s*(\w+)\s*(.*?)-?%\}", re.DOTALL)
_HEADS = frozenset({"", "mjml", "mj-head"})
_NO_TEXT = _HEADS | {
    *("mj-attributes", "mj-social", "mj-navbar", "mj-accordion", "mj-accordion-element", "mj-carousel"),
    *("mj-html-attributes", "mj-selector"),
}
"""elements between whose elements nothing else may stand"""
ELEMENTS = {
    "mjml",
    *(
        "mj-accordion",
        "mj-accordion-element",
        "mj-accordion-text",
        "mj-accordion-title",
        "mj-all",
        "mj-attributes",
        "mj-body",
    ),
    *("mj-breakpoint", "mj-button", "mj-carousel", "mj-carousel-image", "mj-class", "mj-column", "mj-divider"),
    *("mj-font", "mj-group", "mj-head", "mj-hero", "mj-html-attribute", "mj-html-attributes", "mj-image"),
    *("mj-navbar", "mj-navbar-link", "mj-preview", "mj-raw", "mj-section", "mj-selector", "mj-social"),
    *("mj-social-element", "mj-spacer", "mj-style", "mj-table", "mj-text", "mj-title", "mj-wrapper"),
}
UNTRACKED = "keepers-untracked:"
"""stands before the address of an MJML element that asks not to be tracked: MJML would drop the attribute"""


def is_mjml(text: str) -> bool:
    return "<mj" in text


def without_comments(words: Placeholders) -> str:
    """The text without what its authors told each other, blanks in its stead; comments for Outlook stay."""

    unclosed = words.text.find("<!--", words.text.rfind("-->") + 1)
    if unclosed >= 0:
        raise _fault("<!-- is not closed by -->", words, unclosed)

    def blank(found: re.Match[str]) -> str:
        words.drop(found[0])
        return re.sub(r"[^\n]", " ", found[0])

    return _COMMENT.sub(blank, words.text)


def compile_mjml(words: Placeholders, locale: str) -> str:
    """The HTML of MJML whose Liquid was swapped for words. Raises RenderError with part and line."""
    text = without_comments(words)
    if "<mj-include" in text:
        raise _fault("mj-include is not used here; write {% render 'snippet' %}", words, text.index("<mj-include"))
    text, lifted = _arranged(text, words)
    before, after = "", ""
    if not _ROOT.search(text):
        before, after = ("<mjml>", "</mjml>") if "<mj-body" in text else ("<mjml><mj-body>", "</mj-body></mjml>")
    base = before + text + after
    told = _ROOT.sub(lambda m: f"<mjml{_told(m[1], locale)}>", base, count=1)
    told = _ELEMENT.sub(_untracked, _TAG.sub(lambda m: _apart(m, words), told))
    made = lifted + _made(told, base, len(before), words)
    for piece in words.missing(made):
        raise RenderError(
            f"{piece.text[:60]} stands where MJML drops it; put it in a text, in the value of an attribute, "
            "or between sections, columns or what they hold",
            part=piece.part,
            line=piece.line or None,
        )
    return made


def _made(text: str, base: str, shift: int, words: Placeholders) -> str:
    try:
        made: str = mrml.to_html(text.strip(), render_options=_OPTIONS).content
    except OSError as error:
        place = _PLACE.search(_reason(base) or str(error))
        reason = str(error).replace(" in root template", "").partition(" at position")[0]
        if place is None:
            raise RenderError(f"the MJML cannot be read ({reason}); is every element closed?", part="body") from None
        at = len(base.encode()[: int(place[1])].decode(errors="ignore")) - shift
        near = words.put_back(words.text[max(at, 0) : at + 60]).source.strip().partition("\n")[0][:60]
        raise _fault(f"the MJML cannot be read near “{near}” ({reason})", words, at) from None
    except BaseException as error:
        # A panic of the engine is no Exception. Nothing of it is left behind: it works on its own copy.
        if type(error).__name__ != "PanicException":
            raise
        reason = "the MJML cannot be compiled; a size or colour may not be what it should"
        raise RenderError(reason, part="body") from None
    return made


def _reason(base: str) -> str:
    """The engine's complaint about the text as written, where offsets are those of the author."""
    try:
        mrml.to_html(base, render_options=_OPTIONS)
    except OSError as error:
        return str(error)
    return ""


def _arranged(text: str, words: Placeholders) -> tuple[str, str]:
    """The text without Liquid where MJML allows none, of the same length, and what is to stand before everything.

    An {% assign %} of a layout's head is worth keeping, a snippet's scope there holds nothing. Raises RenderError for
    other Liquid there, for elements that are not MJML's, and for those not closed.
    """
    lifted: list[str] = []
    out: list[str] = []
    open_: list[tuple[str, int]] = []
    at = 0
    for element in [*_ELEMENT.finditer(text), None]:
        between = text[at : element.start() if element else len(text)]
        parent = open_[-1][0] if open_ else ""
        if parent in _NO_TEXT and (open_ or _ROOT.search(text)):
            between = _cleared(between, parent, words, lifted)
            if not between.strip():
                between = "\n" * len(between)  # the engine takes no other white space here
        out.append(between)
        if element is None:
            break
        closing, name, _, closed = element.groups()
        if name not in ELEMENTS:
            raise _fault(f"“{name}” is no element of MJML.{nearest(name, ELEMENTS)}", words, element.start())
        if closing:
            if not open_ or open_[-1][0] != name:
                inside = f" while {open_[-1][0]} is open" if open_ else ""
                raise _fault(f"</{name}> closes nothing{inside}", words, element.start())
            open_.pop()
        elif not closed:
            open_.append((name, element.start()))
        out.append(element[0])
        at = element.end()
    if open_:
        raise _fault(f"<{open_[-1][0]}> is not closed", words, open_[-1][1])
    return "".join(out), "".join(lifted)


def _cleared(text: str, parent: str, words: Placeholders, lifted: list[str]) -> str:
    for word, piece in words.found_in(text):
        tag = _TAG_NAME.fullmatch(piece.text)
        name, rest = (tag[1], tag[2]) if tag else ("", "")
        if name == END_INLINE or (name == INLINE and ":" not in rest):
            words.drop(word)
        elif name == "assign" and parent in _HEADS:
            lifted.append(word)
        else:
            place = (
                f"between the elements of {parent}; put it around the whole, or inside a value"
                if parent
                else ("outside of <mjml>")
            )
            raise RenderError(f"{piece.text[:60]} cannot stand {place}", part=piece.part, line=piece.line or None)
        text = text.replace(word, " " * len(word))
    return text


def _untracked(element: re.Match[str]) -> str:
    if not _TRACK_OFF.search(element[3]):
        return element[0]
    return _HREF.sub(lambda m: m[0] + UNTRACKED, _TRACK_OFF.sub("", element[0]), count=1)


def _apart(tag: re.Match[str], words: Placeholders) -> str:
    """An element's tag with blanks around Liquid that stands among its attributes: {% if x %}class="y"{% endif %}."""
    if not words.found_in(tag[0]):
        return tag[0]
    parts = _QUOTED.split(tag[0])
    for n in range(0, len(parts), 2):
        for word, _ in words.found_in(parts[n]):
            if not parts[n].rstrip().endswith("="):
                parts[n] = parts[n].replace(word, f" {word} ")
    return "".join(parts)


def _told(attributes: str, locale: str) -> str:
    """The letter's language and direction, unless the author says them."""
    said = attributes
    if "lang=" not in said:
        said += f' lang="{locale}"'
    if "dir=" not in said:
        said += f' dir="{"rtl" if language(locale) in RIGHT_TO_LEFT else "ltr"}"'
    return said


def _fault(sentence: str, words: Placeholders, offset: int) -> RenderError:
    part, line = words.origin(offset)
    return RenderError(sentence, part=part, line=line)
