"""The words of the public pages, and the language somebody is spoken to in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

import msgspec

from keepers.i18n.locales import LOCALES

NAMES = {"en": "English", "ru": "Русский", "pl": "Polski", "zh": "中文", "it": "Italiano"}
"""each language as it calls itself"""


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every text by key and locale; `{0}` stands for what is put in."""
    content = (resources.files("keepers.http.public.links") / "templates" / "words.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, dict[str, str]])


def said(key: str, locale: str, *values: object) -> str:
    """A text of the catalogue in one of the five languages."""
    return catalogue()[key][locale].format(*values) if values else catalogue()[key][locale]


def channel_name(channel: str, locale: str) -> str:
    """A channel in words; one the catalogue does not know goes by its id."""
    known = catalogue().get(f"channel_{channel}")
    return known[locale] if known else channel


def listed(names: Iterable[str], locale: str) -> str:
    """Names one after the other, as the language has it."""
    return ("、" if locale == "zh" else ", ").join(names)


def spoken(asked: str | None, own: str, accepted: str) -> str:
    """The language of a page: asked for by `?lang=`, else the customer's own, else the browser's, else English.

    `own` and `accepted` are a locale such as `pl-PL` and an Accept-Language header, either may be empty.
    """
    for locale in (asked or "", own):
        if (found := _supported(locale)) is not None:
            return found
    return next((found for tag in _ranked(accepted) if (found := _supported(tag)) is not None), "en")


def _supported(locale: str) -> str | None:
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LOCALES else None


def _ranked(accepted: str) -> Sequence[str]:
    """Language tags of an Accept-Language header (RFC 9110 §12.5.4), the most wanted first."""
    ranked: list[tuple[float, str]] = []
    for part in accepted[:500].split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:
            ranked.append((-weight, tag))
    return [tag for _, tag in sorted(ranked, key=lambda one: one[0])]
