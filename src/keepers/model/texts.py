"""What every definition has in common: a name per locale and whose it is."""

from __future__ import annotations

from typing import Literal

Kind = Literal["person", "account"]
Text = str | dict[str, str]


def text_in(text: Text, locale: str = "en") -> str:
    """The text in a locale, falling back to English, then to whatever there is."""
    if isinstance(text, str):
        return text
    return text.get(locale) or text.get("en") or next(iter(text.values()), "")
