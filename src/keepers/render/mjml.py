"""E-mail markup (MJML) to HTML, once per message and locale, with Liquid kept in place."""

from __future__ import annotations

import re

import mrml

from keepers.render.errors import RenderError
from keepers.render.locales import RIGHT_TO_LEFT, language
from keepers.render.weave import Words

_OPTIONS = mrml.RenderOptions(fonts={})
"""No web fonts but those a letter asks for by mj-font: a default would tell a third party who reads."""
_COMMENT = re.compile(r"<!--(?!\[if\b|<!\[endif).*?-->", re.DOTALL)
_ROOT = re.compile(r"<mjml\b([^>]*)>")
_PLACE = re.compile(r"position (\d+):(\d+)")
_UNTRACKED = re.compile(
    r"""(<mj-[a-z-]+\b(?:[^>"']|"[^"]*"|'[^']*')*?)\sdata-keepers-track=(["'])off\2((?:[^>"']|"[^"]*"|'[^']*')*>)"""
)
_HREF = re.compile(r"""\shref=(["'])""")
UNTRACKED = "keepers-untracked:"
"""stands before the address of an MJML element that asks not to be tracked: MJML would drop the attribute"""


def is_mjml(text: str) -> bool:
    return "<mj" in text


def compile_mjml(words: Words, locale: str) -> str:
    """The HTML of MJML whose Liquid was swapped for words. Raises RenderError with part and line."""
    text = without_comments(words)
    if "<mj-include" in text:
        raise RenderError("mj-include is not used here; write {% render 'snippet' %}", part="body")
    if not _ROOT.search(text):
        text = f"<mjml>{text}</mjml>" if "<mj-body" in text else f"<mjml><mj-body>{text}</mj-body></mjml>"
    text = _ROOT.sub(lambda m: f"<mjml{_told(m[1], locale)}>", text, count=1)
    text = _UNTRACKED.sub(lambda m: _HREF.sub(lambda h: h[0] + UNTRACKED, m[1] + m[3], count=1), text)
    try:
        made: str = mrml.to_html(text, render_options=_OPTIONS).content
    except OSError as error:
        raise _refused(str(error), text, words) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RenderError("the MJML cannot be compiled; a size or colour may not be what it should", part="body") from (
            None
        )
    lost = words.missing(made)
    if lost:
        piece = lost[0]
        raise RenderError(
            f"{piece.text[:60]} stands where MJML drops it; put it in a text, in the value of an attribute, "
            "or between sections, columns or what they hold",
            part=piece.part,
            line=piece.line or None,
        )
    return made


def without_comments(words: Words) -> str:
    """The text without what its authors told each other; conditional comments for Outlook stay."""
    for comment in _COMMENT.finditer(words.text):
        words.drop(comment[0])
    return _COMMENT.sub("", words.text)


def _told(attributes: str, locale: str) -> str:
    """The letter's language and direction, unless the author says them."""
    said = attributes
    if "lang=" not in said:
        said += f' lang="{locale}"'
    if "dir=" not in said:
        said += f' dir="{"rtl" if language(locale) in RIGHT_TO_LEFT else "ltr"}"'
    return said


def _refused(error: str, text: str, words: Words) -> RenderError:
    found = _PLACE.search(error)
    reason = error.replace(" in root template", "").partition(" at position")[0]
    if found is None:
        return RenderError(f"the MJML cannot be read ({reason}); is every element closed?", part="body")
    at, end = int(found[1]), int(found[2])
    before = words.in_(text[:at])
    part, line = (before[-1].part, before[-1].line) if before else ("body", text.count("\n", 0, at) + 1)
    near = words.put_back(text[at : max(end, at + 30)]).source.strip()[:60]
    return RenderError(f"the MJML cannot be read near “{near}” ({reason})", part=part, line=line or None)
