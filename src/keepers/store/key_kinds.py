"""What a key lets in."""

from __future__ import annotations

from typing import Literal

KeyKind = Literal["write", "server", "secret"]
