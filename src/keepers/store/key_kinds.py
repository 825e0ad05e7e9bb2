"""What a key lets in."""

from __future__ import annotations

from typing import Literal, get_args

KeyKind = Literal["write", "server", "secret"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
SENDER_KINDS: tuple[KeyKind, ...] = ("write", "server")
"""that send events and call for a site"""
SERVER_KINDS: tuple[KeyKind, ...] = ("server",)
SECRET_KINDS: tuple[KeyKind, ...] = ("secret",)
Scope = Literal["collect", "read", "send", "manage"]
"""a permission that a key grants"""
SCOPES: dict[KeyKind, tuple[Scope, ...]] = {
    "write": ("collect",),
    "server": ("collect",),
    "secret": ("read", "send", "manage"),
}
"""kind of key → what it may grant; it grants all of that unless less was chosen"""
