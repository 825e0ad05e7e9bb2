"""E-mail markup (MJML) to HTML, once per message and locale, with Liquid kept in place."""

from __future__ import annotations

import re

import mrml

from keepers.i18n.locales import RIGHT_TO_LEFT, language
from keepers.model.errors import Problem, nearest, problem
from keepers.render.assemble import Placeholders
from keepers.render.errors import RenderError
from keepers.render.liquid.tags import END_INLINE, INLINE
from keepers.render.plain_text import VOID

_OPTIONS = mrml.RenderOptions(fonts={})
"""no web fonts except by mj-font: a default would reveal readers to a third party"""
_COMMENT = re.compile(r"<!--(?!\[if\b|<!\[endif).*?-->", re.DOTALL)
_ROOT = re.compile(r"<mjml\b([^>]*)>")
_PLACE = re.compile(r"position (\d+):(\d+)")
_ELEMENT = re.compile(r"""<(/?)(mj-?[a-z-]*)((?:[^<>"']|"[^"]*"|'[^']*')*?)(/?)>""")
_TAG = re.compile(r"""<[a-zA-Z][a-zA-Z0-9-]*\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
_TRACK_OFF = re.compile(r"""\sdata-keepers-track=(["'])off\1""")
_HREF = re.compile(r"""\shref=(["'])""")
_TAG_NAME = re.compile(r"\{%-?\s*(\w+)\s*(.*?)-?%\}", re.DOTALL)
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_SELF_CLOSED = re.compile(r"[^<>]*/>")
_MOST_LEVELS = 200
_HEADS = frozenset({"", "mjml", "mj-head"})
_NO_TEXT = _HEADS | {
    *("mj-attributes", "mj-social", "mj-navbar", "mj-accordion", "mj-accordion-element", "mj-carousel"),
    *("mj-html-attributes", "mj-selector"),
}
"""elements that may contain only elements"""
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
"""prefix of the address of an element that is not tracked, since MJML drops the attribute"""


def is_mjml(text: str) -> bool:
    return "<mj" in text


def without_comments(placeholders: Placeholders) -> str:
    """The text with comments blanked; conditional comments for Outlook stay."""

    unclosed = placeholders.text.find("<!--", placeholders.text.rfind("-->") + 1)
    if unclosed >= 0:
        raise _fault(problem("<!-- is not closed by -->"), placeholders, unclosed)

    def blank(found: re.Match[str]) -> str:
        placeholders.drop(found[0])
        return re.sub(r"[^\n]", " ", found[0])

    return _COMMENT.sub(blank, placeholders.text)


def compile_mjml(placeholders: Placeholders, locale: str) -> str:
    """The HTML of MJML whose Liquid was replaced by words. Raises RenderError with part and line."""
    text = without_comments(placeholders)
    if "<mj-include" in text:
        raise _fault(
            problem("mj-include is not used here; write {{% render 'snippet' %}}"),
            placeholders,
            text.index("<mj-include"),
        )
    text, lifted = _arranged(text, placeholders)
    before, after = "", ""
    if not _ROOT.search(text):
        before, after = ("<mjml>", "</mjml>") if "<mj-body" in text else ("<mjml><mj-body>", "</mj-body></mjml>")
    base = before + text + after
    marked = _ROOT.sub(lambda m: f"<mjml{_with_language(m[1], locale)}>", base, count=1)
    marked = _ELEMENT.sub(_untracked, _TAG.sub(lambda m: _apart(m, placeholders), marked))
    _refuse_deep(marked, placeholders)
    made = lifted + _made(marked, base, len(before), placeholders)
    for piece in placeholders.missing(made):
        raise RenderError(
            problem(
                "MJML drops {tag} at this place; put it in a text, in the value of an attribute, or between "
                "sections, columns or their contents",
                tag=piece.text[:60],
            ),
            part=piece.part,
            line=piece.line or None,
        )
    return made


def _refuse_deep(text: str, placeholders: Placeholders) -> None:
    """The engine calls itself for each element inside another; some thousands would end the whole process."""
    depth = 0
    for tag in _ANY_TAG.finditer(text):
        if tag[1]:
            depth = max(depth - 1, 0)
        elif tag[2].lower() not in VOID:
            depth += 1
            if depth > _MOST_LEVELS:
                raise _fault(
                    problem("elements are nested deeper than {max_depth} levels", max_depth=_MOST_LEVELS),
                    placeholders,
                    min(tag.start(), len(placeholders.text)),
                )
            if _SELF_CLOSED.match(text, tag.end()):
                depth -= 1


def _made(text: str, base: str, shift: int, placeholders: Placeholders) -> str:
    try:
        made: str = mrml.to_html(text.strip(), render_options=_OPTIONS).content
    except OSError as error:
        place = _PLACE.search(_reason(base) or str(error))
        reason = str(error).replace(" in root template", "").partition(" at position")[0]
        if place is None:
            raise RenderError(
                problem("the MJML cannot be read ({reason}); is every element closed?", reason=reason), part="body"
            ) from None
        at = len(base.encode()[: int(place[1])].decode(errors="ignore")) - shift
        near = placeholders.put_back(placeholders.text[max(at, 0) : at + 60]).source.strip().partition("\n")[0][:60]
        raise _fault(
            problem("the MJML cannot be read near “{text}” ({reason})", text=near, reason=reason), placeholders, at
        ) from None
    except BaseException as error:
        # A panic of the engine is no Exception. It works on its own copy, so nothing is left behind.
        if type(error).__name__ != "PanicException":
            raise
        written = problem("the MJML cannot be compiled; a size or colour may not be what it should")
        raise RenderError(written, part="body") from None
    return made


def _reason(base: str) -> str:
    """The engine's error about the original text, whose offsets are those of the author."""
    try:
        mrml.to_html(base, render_options=_OPTIONS)
    except OSError as error:
        return str(error)
    return ""


def _arranged(text: str, placeholders: Placeholders) -> tuple[str, str]:
    """The text, of the same length, without Liquid where MJML allows none, and the Liquid to put in front.

    An {% assign %} in the head of a layout is kept, a snippet's tags there are dropped. Raises RenderError for other
    Liquid there, for unknown elements, and for unclosed ones.
    """
    lifted: list[str] = []
    out: list[str] = []
    open_: list[tuple[str, int]] = []
    at = 0
    for element in [*_ELEMENT.finditer(text), None]:
        between = text[at : element.start() if element else len(text)]
        parent = open_[-1][0] if open_ else ""
        if parent in _NO_TEXT and (open_ or _ROOT.search(text)):
            between = _cleared(between, parent, placeholders, lifted)
            if not between.strip():
                between = "\n" * len(between)  # the engine takes no other white space here
        out.append(between)
        if element is None:
            break
        closing, name, _, closed = element.groups()
        if name not in ELEMENTS:
            raise _fault(
                problem("“{name}” is no element of MJML.", near=nearest(name, ELEMENTS), name=name),
                placeholders,
                element.start(),
            )
        if closing:
            if not open_ or open_[-1][0] != name:
                raise _fault(_closes_nothing(name, open_[-1][0] if open_ else ""), placeholders, element.start())
            open_.pop()
        elif not closed:
            open_.append((name, element.start()))
        out.append(element[0])
        at = element.end()
    if open_:
        raise _fault(problem("<{name}> is not closed", name=open_[-1][0]), placeholders, open_[-1][1])
    return "".join(out), "".join(lifted)


def _cleared(text: str, parent: str, placeholders: Placeholders, lifted: list[str]) -> str:
    for word, piece in placeholders.found_in(text):
        found = _TAG_NAME.fullmatch(piece.text)
        name, rest = (found[1], found[2]) if found else ("", "")
        if name == END_INLINE or (name == INLINE and ":" not in rest):
            placeholders.drop(word)
        elif name == "assign" and parent in _HEADS:
            lifted.append(word)
        else:
            tag = piece.text[:60]
            reason = problem("{tag} cannot be outside of <mjml>", tag=tag)
            if parent:
                reason = problem(
                    "{tag} cannot be between the elements of {parent}; put it around the whole, or inside a value",
                    tag=tag,
                    parent=parent,
                )
            raise RenderError(reason, part=piece.part, line=piece.line or None)
        text = text.replace(word, " " * len(word))
    return text


def _untracked(element: re.Match[str]) -> str:
    if not _TRACK_OFF.search(element[3]):
        return element[0]
    return _HREF.sub(lambda m: m[0] + UNTRACKED, _TRACK_OFF.sub("", element[0]), count=1)


def _apart(tag: re.Match[str], placeholders: Placeholders) -> str:
    """An element's tag with blanks around Liquid among its attributes: {% if x %}class="y"{% endif %}."""
    if not placeholders.found_in(tag[0]):
        return tag[0]
    parts = _QUOTED.split(tag[0])
    for n in range(0, len(parts), 2):
        for word, _ in placeholders.found_in(parts[n]):
            if not parts[n].rstrip().endswith("="):
                parts[n] = parts[n].replace(word, f" {word} ")
    return "".join(parts)


def _with_language(attributes: str, locale: str) -> str:
    """The attributes of <mjml> with the message's language and direction, unless written."""
    written = attributes
    if "lang=" not in written:
        written += f' lang="{locale}"'
    if "dir=" not in written:
        written += f' dir="{"rtl" if language(locale) in RIGHT_TO_LEFT else "ltr"}"'
    return written


def _closes_nothing(name: str, inside: str) -> Problem:
    if not inside:
        return problem("</{name}> closes nothing", name=name)
    return problem("</{name}> closes nothing while {open} is open", name=name, open=inside)


def _fault(sentence: Problem, placeholders: Placeholders, offset: int) -> RenderError:
    part, line = placeholders.origin(offset)
    return RenderError(sentence, part=part, line=line)
