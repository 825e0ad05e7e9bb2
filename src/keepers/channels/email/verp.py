"""Variable envelope return paths: every message bounces to an address of its own, which cannot be forged."""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode
from hashlib import sha256

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MAC_LETTERS = 12
"""60 bits: forging one return path takes 2**59 mails on average"""
_LOCAL_OCTETS = 64
"""RFC 5321 section 4.5.3.1.1"""


class Verp:
    """Makes and reads return paths such as `bounces+k.1f3a….q2w4e6r8t0zz@bounce.shop.example`.

    Mail servers may change the case of a local part, so tokens are lower case: a key of `[a-z0-9._-]` is used as it is
    (`k.`), any other in base 32 (`b.`). Beside the prefix `bounces` there is room for 40 bytes of the former and 25 of
    the latter; a longer key gets the plain return path, and so does every key without a secret.
    """

    def __init__(self, secret: bytes, domain: str, prefix: str = "bounces") -> None:
        self.secret = secret
        self.domain = domain
        self.prefix = prefix

    @property
    def can_sign(self) -> bool:
        """Whether there is a secret, so that every message has a return path of its own."""
        return bool(self.secret)

    def token(self, key: str) -> str:
        """The signed token of a message key; empty when it would not fit into a local part."""
        if not key or not self.secret:
            return ""
        if _PLAIN.fullmatch(key) and ".." not in key and not key.endswith("."):
            body = "k." + key
        else:
            body = "b." + b32encode(key.encode()).decode().rstrip("=").lower()
        token = f"{body}.{self._mac(body)}"
        return token if len(self.prefix) + 1 + len(token) <= _LOCAL_OCTETS else ""

    def return_path(self, token: str) -> str:
        """The envelope sender with a token of `token`, or the plain one for an empty token."""
        return f"{self.prefix}+{token}@{self.domain}" if token else f"{self.prefix}@{self.domain}"

    def read(self, text: str) -> str | None:
        """The key in a token or return path, or None when it is not one of ours, unchanged."""
        local = text.strip().strip("<>").partition("@")[0].lower()
        token = local.partition("+")[2] if "+" in local else local
        body, dot, mac = token.rpartition(".")
        if not dot or not token.isascii() or not self.secret or not hmac.compare_digest(mac, self._mac(body)):
            return None
        form, _, payload = body.partition(".")
        if form == "k":
            return payload
        try:
            return b32decode(payload.upper() + "=" * (-len(payload) % 8)).decode()
        except ValueError:
            return None

    def find(self, texts: list[str]) -> str | None:
        """The key in the first valid return path or token among some texts."""
        for text in texts:
            for word in re.findall(r"[kKbB]\.[A-Za-z0-9._-]+", text):
                key = self.read(word)
                if key is not None:
                    return key
        return None

    def _mac(self, body: str) -> str:
        digest = hmac.new(self.secret, b"verp:" + body.encode(), sha256).digest()
        return b32encode(digest).decode()[:_MAC_LETTERS].lower()
