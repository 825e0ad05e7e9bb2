"""Outgoing links of a message: UTM tags, click tracking, and links that are never changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from keepers.render.link_hosts import host_of, is_allowed
from keepers.render.links import LinkMaker

Utm = tuple[tuple[str, str], ...]
NOWHERE = "#"
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
    """The outgoing links of one message."""

    def __init__(
        self, maker: LinkMaker | None, utm: Utm, written: Collection[str] = (), allowed: Collection[str] | None = None
    ) -> None:
        """`written` are the hosts that the template writes out, `allowed` those that data may lead to; None for any."""
        self.maker = maker
        self.utm = utm
        self.left_out: dict[str, None] = {}
        """the hosts of links that lead nowhere, since nobody allowed them"""
        self._written = written
        self._allowed = allowed
        self.own = OwnLinks(maker)
        self._done: dict[tuple[str, bool], str] = {}

    def follow(self, url: str, is_tracked: bool) -> str:
        """The address to write for a link to `url`."""
        done = self._done.get((url, is_tracked))
        if done is None:
            done = self._done[url, is_tracked] = self._follow(url, is_tracked)
        return done

    def _follow(self, url: str, is_tracked: bool) -> str:
        target = harmless(url)
        if target in self.own.made:
            return target
        host = host_of(target)
        if host is not None and self._allowed is not None and not is_allowed(host, self._written, self._allowed):
            self.left_out[host] = None
            return NOWHERE
        if not is_tracked or not target[:8].lower().startswith(("http://", "https://")):
            return target
        target = tagged(target, self.utm)
        return target if self.maker is None else self.maker.click(target)


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
