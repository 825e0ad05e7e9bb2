"""Bars and tables."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from msgspec import Struct

out = Console(highlight=False, soft_wrap=False)


BAR = 40


COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green", "bright_yellow", "white")


def bar(share: float, colour: str, width: int = BAR) -> str:
    """A bar with eighths, as markup."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return f"[{colour}]{'█' * whole}{' ▏▎▍▌▋▊▉'[rest] if rest else ''}[/]"


def fields(answer: Struct) -> None:
    """A short answer in one line: each field with its value."""
    values = {name: getattr(answer, name) for name in answer.__struct_fields__}
    out.print(escape(", ".join(f"{name}: {as_text(value)}" for name, value in values.items())))


def as_text(value: Any) -> str:
    """A value as people write it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "–"
        case datetime():
            return format_instant(value)
        case _:
            return str(value)
