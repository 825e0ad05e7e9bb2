"""Finds addresses in what a message prints: in running text, in style sheets, in lists of pictures.

Mail programs and phones make links of addresses that are printed as text, also of names without a scheme. Those that
come from data and are not allowed are printed so that they are read as before, and are no link. So are IP addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from keepers.render.link_hosts import DOT, NAME, is_name

BREAK = "\u200b"
"""ZERO WIDTH SPACE: not seen, and no part of a host"""
_PRINTED = re.compile(
    r"(?P<mail>[\w.+%-]{1,64}@" + NAME + r")"
    r"|(?P<opening>[a-z][a-z0-9+.-]{1,20}:[/\\]{2,}|https?:[/\\]?|(?<![/\\])[/\\]{2,}(?=" + NAME + r"))"
    r"""(?P<place>[^\s<>"',;|()/\\?#]*)"""
    rf"|(?P<ip4>(?<![\w-])(?<!\w{DOT})\d{{1,3}}(?:{DOT}\d{{1,3}}){{3}}(?![\w-]|{DOT}\w))"
    rf"|(?P<ip6>(?<![\w:-])(?=[0-9a-f]{{0,4}}:)[0-9a-f:]{{3,39}}(?![\w:-]|{DOT}\w))"
    r"|(?P<name>" + NAME + r")",
    re.IGNORECASE,
)
_REST = re.compile(r"""[^\s<>"',;|()]{0,2000}""")
"""of an address: what stands after it is looked at by itself"""
_DOT = re.compile(DOT)
_JOINT = re.compile(rf"{DOT}|:")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HIDING = re.compile(r"[\x00-\x1f\x7f]")
_DELIMITERS = re.compile(r"[\s<>\"']")
_IN_CSS = re.compile(
    r"""(?P<before>\b(?:url|src)\(\s*["']?|@import\s*["']?|["'])(?P<address>[^"')\s]+)""", re.IGNORECASE
)
_IN_LIST = re.compile(r"[^\s,]+")
Spans = Iterable[tuple[int, int]]


def without_links(text: str, values: Spans, is_printable: Callable[[str, bool], bool]) -> str:
    """A text whose values (start and end of each, in order) make no link that is not allowed.

    `is_printable` is asked for each address that a value, with what touches it, makes: the address, and whether it
    has a scheme. A refused one is printed without its scheme, and with a break after each dot of its host.
    """
    out: list[str] = []
    done = 0
    for start, end in values:
        if end <= done:
            continue
        left = start
        while left > done and not _DELIMITERS.match(text, left - 1):
            left -= 1
        found = _DELIMITERS.search(text, end)
        right = found.start() if found else len(text)
        window = text[left:right]
        if _JOINT.search(window) or "//" in window:
            out += (text[done:left], _printed(_CONTROL.sub("", window), is_printable))
            done = right
    return "".join((*out, text[done:])) if out else text


def _printed(text: str, is_printable: Callable[[str, bool], bool]) -> str:
    out: list[str] = []
    done = 0
    while (found := _PRINTED.search(text, done)) is not None:
        out.append(text[done : found.start()])
        end = found.end()
        bare = found["name"] or found["ip4"] or found["ip6"]
        if bare:
            is_host = is_name(bare) if found["name"] else found["ip4"] or _is_ip6(bare)
            out.append(_broken(bare) if is_host and not is_printable(bare, False) else bare)
        elif found["place"]:
            whole = _REST.match(text, end)
            if is_printable(found[0] + (whole[0] if whole else ""), True):
                out.append(text[found.start() : (end := whole.end() if whole else end)])
            else:
                out.append(_broken(found["place"]))
        else:
            out.append(found[0])
        done = end
    return "".join((*out, text[done:]))


def _is_ip6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _broken(host: str) -> str:
    """With a break after each dot, in an IPv6 address after each colon."""
    joint = _JOINT if host.startswith("[") or _is_ip6(host) else _DOT
    return joint.sub(lambda found: found[0] + BREAK, host)


def in_style(text: str, values: Spans, allowed: Callable[[str], str]) -> str:
    """CSS with each address replaced by what `allowed` makes of it. In values no sign is escaped by a backslash, and
    none is a control character: both hide addresses."""
    out: list[str] = []
    done = 0
    for start, end in values:
        out += (text[done:start], _plain_css(text[start:end]))
        done = end
    plain = "".join((*out, text[done:]))
    return _IN_CSS.sub(lambda found: found["before"] + allowed(found["address"]), plain)


def _plain_css(value: str) -> str:
    return _HIDING.sub("", value.replace("\\", ""))


def in_list(text: str, allowed: Callable[[str], str]) -> str:
    """As `in_style`, for the value of `srcset`: addresses and sizes between blanks and commas."""
    return _IN_LIST.sub(lambda found: allowed(found[0]), text)
