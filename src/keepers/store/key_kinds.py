"""What a key lets in."""

from __future__ import annotations

from typing import Literal

KeyKind = Literal["write", "server", "secret"]
Scope = Literal["collect", "read", "send", "manage"]
"""a permission that a key grants"""
SCOPES: dict[KeyKind, tuple[Scope, ...]] = {
    "write": ("collect",),
    "server": ("collect",),
    "secret": ("read", "send", "manage"),
}
"""kind of key → what it may grant; it grants all of that unless less was chosen"""
