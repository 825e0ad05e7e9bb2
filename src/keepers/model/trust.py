"""Whose word an event is. A public key stands in every visitor's browser, so what it brings is nobody's word."""

from __future__ import annotations

from typing import Literal

Trust = Literal["public", "server", "own"]
"""`public` came by a write key, `server` by a server key or an import, `own` is made by Keepers itself."""


Accepted = Literal["any", "server"]
"""what a definition accepts: every event, or only those that are trusted"""


def is_trusted(trust: Trust) -> bool:
    """Whether it may decide by itself: about addresses, purchases, and what starts transactional messages."""
    return trust != "public"
