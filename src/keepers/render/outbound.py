"""Outgoing links of a message: UTM tags, click tracking, and links that are never changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from keepers.render.address_finding import in_list, in_style, without_links
from keepers.render.link_hosts import WrittenAddresses, host_of, is_allowed, normal_host
from keepers.render.links import LinkMaker

Utm = tuple[tuple[str, str], ...]
AddressKind = Literal["address", "list", "style", "text"]
"""what a value is: one address, several with sizes (`srcset`), CSS, or text that people read"""
NOWHERE = "#"
NOTHING_WRITTEN = WrittenAddresses()
_MOST_NAMED = 100
_MOST_LEFT_OUT = 100
_CONTROL = re.compile(r"[\x00-\x20\x7f]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_DANGEROUS = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})
OWN = ("unsubscribe", "preferences", "view")


class OwnLinks(Mapping[str, str]):
    """`links` of a template: unsubscribe, preferences, view. Made when first read."""

    def __init__(self, maker: LinkMaker | None) -> None:
        self.maker = maker
        self.made: set[str] = set()

    def __getitem__(self, key: str) -> str:
        if key not in OWN:
            raise KeyError(key)
        url: str = getattr(self.maker, key) if self.maker is not None else NOWHERE
        self.made.add(url)
        return url

    def __iter__(self) -> Iterator[str]:
        return iter(OWN)

    def __len__(self) -> int:
        return len(OWN)


class Outbound:
    """The outgoing links of one message, and the other addresses that it names."""

    def __init__(
        self,
        maker: LinkMaker | None,
        utm: Utm,
        written: WrittenAddresses = NOTHING_WRITTEN,
        *,
        allowed: Collection[str],
    ) -> None:
        """`written` is what the template itself says of addresses, `allowed` are the hosts that data may lead to."""
        self.maker = maker
        self.utm = utm
        self.left_out: dict[str, None] = {}
        """the hosts of links that lead nowhere, since nobody allowed them; `tel:` for those of another scheme"""
        self._written = written
        self._allowed = allowed
        self.own = OwnLinks(maker)
        self._done: dict[tuple[str, bool, int], str] = {}

    def follow(self, url: str, is_tracked: bool, own: int) -> str:
        """The address to write for a link to `url`, whose first `own` characters stand in the template."""
        key = url, is_tracked, own
        done = self._done.get(key)
        if done is None:
            done = self._done[key] = self._follow(url, is_tracked, own)
        return done

    def _follow(self, url: str, is_tracked: bool, own: int) -> str:
        target = harmless(url)
        if target == NOWHERE and (scheme := _SCHEME.match(_CONTROL.sub("", url))):
            self._leave_out(scheme[0].lower())
        if target in self.own.made:
            return target
        if not self._may_lead(target, own - (len(url) - len(url.lstrip()))):
            return NOWHERE
        if not is_tracked or not target[:8].lower().startswith(("http://", "https://")):
            return target
        target = tagged(target, self.utm)
        return target if self.maker is None else self.maker.click(target)

    def _may_lead(self, target: str, own: int) -> bool:
        host = host_of(target)
        if host is not None:
            refused = "" if is_allowed(host, self._written.hosts, self._allowed) else host or target[:_MOST_NAMED]
        elif scheme := _SCHEME.match(target):
            refused = "" if scheme.end() <= own or self._written.holds(target) else scheme[0].lower()
        else:
            # A page of the business's own site. Some mail programs take other words for a host.
            refused = "" if not target or own >= len(target) or target[0] in "/?#" else target[:_MOST_NAMED]
        if refused:
            self._leave_out(refused)
        return not refused

    def _leave_out(self, name: str) -> None:
        if len(self.left_out) < _MOST_LEFT_OUT:
            self.left_out[name] = None

    def value(self, kind: AddressKind, text: str, values: Sequence[tuple[int, int]]) -> str:
        """The value of an attribute, or a style sheet, with `values` (start and end of each) from data."""
        match kind:
            case "address":
                bare = _CONTROL.sub("%20", text.strip())
                return bare if self._may_lead(bare, values[0][0] - (len(text) - len(text.lstrip()))) else NOWHERE
            case "list":
                return in_list(text, self._embedded)
            case "style":
                return in_style(text, values, self._embedded)
            case "text":
                return self.printed(text, values)

    def _embedded(self, address: str) -> str:
        if host_of(address) is None and not _SCHEME.match(address):
            return address
        return address if self._may_lead(address, 0) else NOWHERE

    def printed(self, text: str, values: Iterable[tuple[int, int]]) -> str:
        """A text in which addresses that come from data are no links, but for those to allowed hosts."""
        return without_links(text, values, self._is_printable)

    def _is_printable(self, address: str, has_scheme: bool) -> bool:
        if not has_scheme:
            return is_allowed(normal_host(address), self._written.names, self._allowed)
        if address in self.own.made:
            return True
        host = host_of(address)
        if host is not None and is_allowed(host, self._written.hosts, self._allowed):
            return True
        if host is None and self._written.holds(address):
            return True
        self._leave_out(host or address[:_MOST_NAMED])
        return False


@lru_cache(maxsize=4096)
def harmless(url: str) -> str:
    """An address without white space at its ends or controls inside; `#` for one that would run code."""
    bare = _CONTROL.sub("", url)
    scheme = _SCHEME.match(bare)
    if scheme and scheme[1].lower() in _DANGEROUS:
        return NOWHERE
    return _CONTROL.sub("%20", url.strip()) if bare != url else url


@lru_cache(maxsize=8192)
def tagged(url: str, utm: Utm) -> str:
    """`url` with UTM tags: tags in its query stay as they are, and the fragment stays last."""
    if not utm:
        return url
    rest, hash_, fragment = url.partition("#")
    base, _, query = rest.partition("?")
    has = {part.partition("=")[0].lower() for part in query.split("&")}
    more = "&".join(f"utm_{key}={quote(value, safe='')}" for key, value in utm if value and f"utm_{key}" not in has)
    if not more:
        return url
    query = f"{query}&{more}" if query and not query.endswith("&") else query + more
    return f"{base}?{query}{hash_}{fragment}"
