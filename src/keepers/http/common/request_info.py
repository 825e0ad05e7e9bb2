"""The client of a public request: its IP address as a keyed hash, its language, its form fields."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import FormMultiDict
from litestar.exceptions import HTTPException

from keepers.app.public.link_owner import LinkRequest
from keepers.i18n.page_texts import choose_locale

MOST_FORM_BYTES = 64_000
LONGEST_USER_AGENT = 500
_LONGEST_ADDRESS = 64


def client_address(scope: Mapping[str, Any], proxies: int) -> str:
    """The client's address: the peer, or with `proxies` > 0 what the outermost trusted proxy saw; empty if unknown.

    Only the last `proxies` entries of X-Forwarded-For were written by trusted proxies; the others can be forged.
    """
    peer = scope.get("client")
    named = str(peer[0]) if peer else ""
    if proxies > 0:
        forwarded = [v.decode("latin-1") for k, v in scope["headers"] if k.lower() == b"x-forwarded-for"]
        chain = [part.strip() for part in ",".join(forwarded).split(",") if part.strip()]
        if chain:
            named = chain[max(len(chain) - proxies, 0)]
    try:
        return str(ip_address(named[:_LONGEST_ADDRESS].partition("%")[0]))
    except ValueError:
        return ""


def is_https(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the client speaks TLS, with us or with a proxy that says so. Who forges it harms only themselves."""
    forwarded = connection.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return connection.scope["scheme"] == "https" or forwarded == "https"


def page_locale(connection: ASGIConnection[Any, Any, Any, Any], own: str = "") -> str:
    """The language of the page for a request; `own` is the customer's locale where it is known."""
    return choose_locale(_asked_language(connection), own, connection.headers.get("accept-language", ""))


def link_request(connection: ASGIConnection[Any, Any, Any, Any], token: str) -> LinkRequest:
    """A signed link as it was opened."""
    accepted = _plain(connection.headers.get("accept-language", ""))
    return LinkRequest(token=token, language=_asked_language(connection), accept_language=accepted)


def _asked_language(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return _plain(connection.query_params.get("lang") or "")


async def form_of(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    """The fields of a posted form, URL-encoded or multipart; what cannot be read as a form has none.

    RFC 8058 wants one-click senders to use either encoding, and some send no content type at all.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        try:
            parts: FormMultiDict = await request.form()
        except HTTPException as error:
            if error.status_code == 413:
                raise
            return {}
        except (ValueError, LookupError):
            return {}
        names = set(parts.keys())
        return {name: [_plain(v) for v in parts.getall(name) if isinstance(v, str)] for name in names}
    body = await request.body()
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return {}
    return {name: list(map(_plain, values)) for name, values in fields.items()}


def _plain(value: str) -> str:
    """Without NUL characters, which no store takes."""
    return value.replace("\0", "")
