"""The headers that every answer has for browsers: one table, added where an answer leaves.

What a handler says itself stays: the public pages have policies of their own, with the hash of their style.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]
_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STATUS_PAGE = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
ALWAYS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", _NOTHING),
    (b"cache-control", b"no-store"),
)
"""of answers whose path is not in the table: no page of any site may embed them, run them or keep them"""
BY_PATH: dict[str, dict[bytes, bytes]] = {
    "/": {b"content-security-policy": _STATUS_PAGE},
    "/login": {b"content-security-policy": _STATUS_PAGE},
    # Files of the package, the same for everybody.
    "/page/": {b"cache-control": b"no-cache"},
}
"""path → headers in place of those of `ALWAYS`; one that ends with a slash and goes on is for all below it"""
HTTPS: Headers = ((b"strict-transport-security", b"max-age=31536000"),)
"""where the public address is https: for a year. Other hosts below it are their owner's to decide"""

Send = Callable[[Any], Awaitable[None]]


class SecurityHeaders:
    """Adds the headers to answers. `is_https`: whether the workspace's public address is."""

    def __init__(self, *, is_https: bool) -> None:
        more = HTTPS if is_https else ()
        self._usual = (*ALWAYS, *more)
        self._by_path = {
            path: (*((name, other.get(name, value)) for name, value in ALWAYS), *more)
            for path, other in BY_PATH.items()
        }
        self._folders = tuple(path for path in BY_PATH if path.endswith("/") and path != "/")

    def of(self, path: str) -> Headers:
        """The headers of an answer from a path."""
        folder = next((one for one in self._folders if path.startswith(one)), path)
        return self._by_path.get(folder, self._usual)

    def adding(self, path: str, send: Send) -> Send:
        """`send`, with the headers added that an answer has not."""
        headers = self.of(path)

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                named = {name.lower() for name, _ in own}
                message = {**message, "headers": [*own, *(one for one in headers if one[0] not in named)]}
            await send(message)

        return sending
