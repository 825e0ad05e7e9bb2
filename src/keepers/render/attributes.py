"""Wraps the addresses of a page in tags, once per message and locale: links, and attributes that hold Liquid."""

from __future__ import annotations

import re

from keepers.render import mjml
from keepers.render.assemble import Placeholders
from keepers.render.liquid.tags import END_LINK, END_VALUE, LINK, VALUE
from keepers.render.outbound import AddressKind

# No < inside a value: an unclosed one would be read to the end from every place.
_TAG = re.compile(r"""<(?P<name>[a-zA-Z][\w:-]*)(?=[\s/>])(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_ATTRIBUTE = re.compile(
    r"""(?<![^\s"'/])(?P<name>[^\s"'<>/=]+)(?P<is>\s*=\s*)"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'<>]+))"""
)
_TRACK_OFF = re.compile(r"""\sdata-keepers-track=(?:"off"|'off'|off\b)""", re.IGNORECASE)
_STYLE = re.compile(r"<style\b[^<>]*>", re.IGNORECASE)
_STYLE_ENDS = re.compile(r"</style\b", re.IGNORECASE)
_LINKS = frozenset({"a", "area"})
_KINDS: dict[str, AddressKind] = {
    **dict.fromkeys(("href", "src", "background", "poster", "action", "formaction", "data", "cite"), "address"),
    **dict.fromkeys(("longdesc", "lowsrc", "dynsrc", "codebase", "xlink:href", "manifest"), "address"),
    **dict.fromkeys(("srcset", "imagesrcset", "ping", "archive"), "list"),
    "style": "style",
}  # fmt: skip
"""what the value of an attribute is; of all others, text"""
_UNTOUCHED = ("#", "mailto:", "tel:", "sms:")
_OWN = re.compile(r"\{\{-?\s*links\s*\.")


def with_links(page: str, placeholders: Placeholders) -> str:
    """A page whose links are followed, and whose other attributes lead, by their data, to allowed hosts only."""
    out: list[str] = []
    at = 0
    while (style := _STYLE.search(page, at)) is not None:
        ends = _STYLE_ENDS.search(page, style.end())
        end = ends.start() if ends else len(page)
        out += (
            _with_tags(page[at : style.end()], placeholders),
            _guarded(page[style.end() : end], "style raw", placeholders),
        )
        at = end
    return "".join((*out, _with_tags(page[at:], placeholders)))


def wrapped_link(url: str, placeholders: Placeholders, *, is_tracked: bool) -> str:
    """An address that is followed when the message is rendered."""
    return _wrapped(url, f"{LINK} {'on' if is_tracked else 'off'}", END_LINK, placeholders)


def _with_tags(page: str, placeholders: Placeholders) -> str:
    return _TAG.sub(lambda found: _with_attributes(found, placeholders), page)


def _with_attributes(found: re.Match[str], placeholders: Placeholders) -> str:
    tag = found[0]
    is_link = found["name"].lower() in _LINKS
    if not is_link and not placeholders.in_(tag):
        return tag
    is_tracked = not _TRACK_OFF.search(tag) if is_link else False
    if is_link and not is_tracked:
        tag = _TRACK_OFF.sub("", tag)

    def attribute(one: re.Match[str]) -> str:
        name = one["name"].lower()
        value = one["double"] if one["double"] is not None else one["single"]
        if value is None:
            value = one["bare"]
        if is_link and name == "href":
            made = _target(value, placeholders, is_tracked)
        else:
            made = _guarded(value, _KINDS.get(name, "text"), placeholders)
        if made == value and one["bare"] is None:
            return one[0]
        quote = "'" if '"' in made else '"'
        return f"{one['name']}{one['is']}{quote}{made}{quote}"

    return _ATTRIBUTE.sub(attribute, tag)


def _target(url: str, placeholders: Placeholders, is_tracked: bool) -> str:
    if url.startswith(mjml.UNTRACKED):
        url, is_tracked = url.removeprefix(mjml.UNTRACKED), False
    if not url.strip() or url.strip().lower().startswith(_UNTOUCHED):
        return url
    first = placeholders.in_(url)[:1]
    if first and _OWN.match(first[0].text):
        is_tracked = False
    return wrapped_link(url, placeholders, is_tracked=is_tracked)


def _guarded(text: str, kind: str, placeholders: Placeholders) -> str:
    # What is begun in a value and ended outside of it is checked as text, where it is printed.
    if not placeholders.in_(text) or not placeholders.closes_itself(text):
        return text
    return _wrapped(text, f"{VALUE} {kind}", END_VALUE, placeholders)


def _wrapped(text: str, opening: str, closing: str, placeholders: Placeholders) -> str:
    inside = placeholders.in_(text)
    like = inside[0] if inside else None
    return f"{placeholders.tag(f'{{% {opening} %}}', like)}{text}{placeholders.tag(f'{{% {closing} %}}', like)}"
