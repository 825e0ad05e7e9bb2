"""The choice of a customer's language, and of the locale for numbers and dates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur", "yi", "ps", "dv"})


def language(locale: str) -> str:
    """pt of pt-BR."""
    return locale.replace("_", "-").partition("-")[0].lower()


def choose(wanted: Sequence[str], available: Iterable[str], default: str = "en") -> str:
    """The fallback chain: each wanted locale, then its language, then that language of elsewhere; then the default
    likewise; then the first there is. Empty when nothing is available."""
    known = list(available)
    exact = {k.replace("_", "-").lower(): k for k in reversed(known)}
    for locale in (*wanted, default):
        if not locale:
            continue
        normal = locale.replace("_", "-").lower()
        while normal:
            if normal in exact:
                return exact[normal]
            normal = normal.rpartition("-")[0]
        found = next((k for k in known if language(k) == language(locale)), None)
        if found:
            return found
    return known[0] if known else ""


def written_form(wanted: Sequence[str], chosen: str) -> str:
    """The locale for numbers and dates: the customer's own (en-GB) where the text chosen (en) is in that language."""
    return next((w.replace("_", "-") for w in wanted if w and language(w) == language(chosen)), chosen)


@lru_cache(maxsize=512)
def babel_locale(name: str) -> Locale:
    """The nearest locale CLDR knows; English for none."""
    from babel import Locale, UnknownLocaleError  # read at first use: most commands write no date and no number

    normal = name.replace("-", "_")
    while normal:
        try:
            return Locale.parse(normal)
        except (UnknownLocaleError, ValueError):
            normal = normal.rpartition("_")[0]
    return Locale.parse("en")


@lru_cache(maxsize=512)
def own_name(name: str) -> str:
    """A language as it calls itself: Polski; its code where CLDR does not know it."""
    locale = babel_locale(name)
    if language(locale.language) != language(name):
        return name
    shown = locale.get_language_name(locale) or name
    return shown[:1].upper() + shown[1:]
