"""Which pages of other sites may send and read (CORS): one rule for events and for the calls of sites and apps.

No cookies are used, so any page may call; what may be done is decided by keys and signatures. The answer to a key that
is for some sites is readable by those alone, whether it lets in or refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keepers.model.web_origins import is_allowed, origin_of_page

_ALLOWED = "Access-Control-Allow-Origin"
PREFLIGHT = {
    _ALLOWED: "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, x-requested-with",
    "Access-Control-Max-Age": "86400",
}
"""headers of the answer to a browser that asks first"""


def readable_by(origins: Collection[str], headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of an answer. `origins` are those of the key that was sent, none for any; `headers` of the request have
    names in lower case."""
    if not origins:
        return {_ALLOWED: "*"}
    origin = headers.get("origin", "")
    return {"Vary": "Origin"} | ({_ALLOWED: origin} if is_allowed(origin, origins) else {})


def origin_of(headers: Mapping[str, str]) -> str:
    """The origin of the page that sent a request, by Origin or else Referer; empty where no page says so."""
    return headers.get("origin") or origin_of_page(headers.get("referer") or "")
