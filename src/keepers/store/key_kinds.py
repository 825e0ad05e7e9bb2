"""What a key lets in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from keepers.model.trust import Trust

KeyKind = Literal["write", "server", "secret"]
TRUST_OF: Mapping[KeyKind, Trust] = {"write": "public", "server": "server", "secret": "server"}
"""how far what comes by a key is trusted"""
