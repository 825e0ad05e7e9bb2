"""Bars, tables, names."""

from __future__ import annotations

from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=False)


BAR = 40


COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green", "bright_yellow", "white")


def name_of(item: dict[str, Any], locale: str = "en") -> str:
    """A definition's name in a language, or its id."""
    name = item.get("name") or ""
    if isinstance(name, dict):
        name = name.get(locale) or name.get("en") or ""
    return str(name or item.get("stage") or item.get("id") or "")


def bar(share: float, colour: str, width: int = BAR) -> str:
    """A bar with eighths, as markup."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return f"[{colour}]{'█' * whole}{' ▏▎▍▌▋▊▉'[rest] if rest else ''}[/]"
