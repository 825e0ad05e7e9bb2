"""Event intake: Segment's HTTP Tracking API at /v1, answered only after the events are on disk.

It speaks ASGI directly: the body's bytes go to the parser and the inbox untouched, and answers are ready bytes.

Answers. 200 `{"success": true}` when all was kept; 200 `{"success": false, "accepted": n, "errors": [{"index",
"reason"}], "further_errors": m}` when some items of a batch were refused, of whom the first twenty are listed, and the
rest kept; else an error with `success`, `code` and `message` (and the errors where items have reasons): 400 nothing
usable, 401 unknown key, 403 a key that may not, 405, 413 too large, 415 unknown encoding, 429 too much at once, 503 the
store failed.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from litestar.types import HTTPScope, Receive, Send

from keepers.app.access.key_ring import KeyRefusedError
from keepers.app.operations.events import EventIntake
from keepers.app.public.rate_limit import TooManyError
from keepers.http.common.auth import token_in
from keepers.http.common.cors import PREFLIGHT, origin_of, readable_by
from keepers.http.common.metrics import ServerMetrics
from keepers.http.common.problems import OWN_MISTAKE, STATUSES
from keepers.http.common.request_info import client_address
from keepers.http.common.security_headers import Headers
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.problems import problem_text
from keepers.model.errors import KeepersError, Problem, problem
from keepers.model.event import BATCHES, CALLS, SHORT, ParsedRequest, call_of

_SUCCESS = b'{"success":true}'
_SUCCESS_BODY: Any = {"type": "http.response.body", "body": _SUCCESS}
MOST_LISTED = 20
"""reasons in an answer; of further refused items their number"""
PATHS = frozenset(f"/v1/{name}{end}" for name in (*CALLS, *SHORT) for end in ("", "/"))
log = logging.getLogger("keepers")


class _Answer(Exception):  # noqa: N818 - not always an error
    """Ends the handling of a request with this status and body."""

    def __init__(self, status: int, code: str, message: object, parsed: ParsedRequest | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problem = message
        self.parsed = parsed
        self.headers: list[tuple[bytes, bytes]] = [(b"retry-after", b"1")] if status in (429, 503) else []
        if status == 401:
            self.headers.append((b"www-authenticate", b'Basic realm="write key"'))

    def body(self, locale: str) -> dict[str, Any]:
        """What is sent, in a language."""
        sent = {"success": False, "code": self.code, "message": problem_text(self.problem, locale)}
        return sent if self.parsed is None else {**sent, "accepted": 0, **_errors(self.parsed, locale)}


def _answer_of(error: Exception) -> _Answer:
    if not isinstance(error, KeepersError):
        log.error("A call to /v1 failed: %s", type(error).__name__, exc_info=error)
        mistake: Problem = OWN_MISTAKE
        return _Answer(500, "internal", mistake)
    status = STATUSES.get(error.code, 400)
    if isinstance(error, TooManyError):
        answer = _Answer(429, error.code, error.problem)
        answer.headers = [(b"retry-after", str(error.wait_s).encode())]
        return answer
    if status == 401:
        what = problem("{what} Send it as the user name of Basic authentication.", what=error.problem)
        return _Answer(status, error.code, what)
    return _Answer(status, error.code, error.problem)


class _Sent:
    """What is known of a request, also when it is refused."""

    def __init__(self) -> None:
        self.origins: Collection[str] = ()
        """of the sites that its key is for"""


class _WriteKey(msgspec.Struct):
    writeKey: str | None = None  # noqa: N815 - the name on the wire


class Tracking:
    """Handles every /v1 call. One per server; all state is in its parts."""

    def __init__(
        self,
        events: EventIntake,
        figures: ServerMetrics,
        clock: Callable[[], datetime],
        proxies: int = 0,
        headers: Headers = (),
    ) -> None:
        """`headers` are added to every answer."""
        self._usual = [*headers, (b"content-type", b"application/json")]
        self._success_start: Any = {
            "type": "http.response.start",
            "status": 200,
            "headers": [*self._usual, *_encoded(readable_by((), {})), _length(_SUCCESS)],
        }
        """for a key of any site, which most are"""
        self._events = events
        self._figures = figures
        self._clock = clock
        self._proxies = proxies
        self._limits = events.limits
        self._write_key = msgspec.json.Decoder(_WriteKey)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """One request, from its first byte to its answer."""
        call = call_of(scope["path"]) or "other"
        if scope["method"] == "OPTIONS":
            await _send(send, 204, [*self._usual, *_encoded(PREFLIGHT)], b"")
            return
        headers = _headers(scope)
        sent = _Sent()
        try:
            parsed = await self._accept(scope, receive, call, headers, sent)
        except Exception as refused:  # noqa: BLE001 - the last place that can give a reason in the wire's form
            answer = refused if isinstance(refused, _Answer) else _answer_of(refused)
            origins = refused.origins if isinstance(refused, KeyRefusedError) else sent.origins
            cors = _encoded(readable_by(origins, headers))
            self._figures.answered(call, answer.status)
            self._figures.refused.inc(len(answer.parsed.errors) if answer.parsed is not None else 0)
            body = msgspec.json.encode(answer.body(_locale_of(headers)))
            await _send(send, answer.status, [*self._usual, *cors, *answer.headers], body)
            return
        self._figures.answered(call, 200)
        self._figures.accepted.inc(len(parsed.items))
        if not parsed.errors and not sent.origins:
            await send(self._success_start)
            await send(_SUCCESS_BODY)
            return
        cors = _encoded(readable_by(sent.origins, headers))
        if not parsed.errors:
            await _send(send, 200, [*self._usual, *cors], _SUCCESS)
            return
        self._figures.refused.inc(len(parsed.errors))
        errors = _errors(parsed, _locale_of(headers))
        body = msgspec.json.encode({"success": False, "accepted": len(parsed.items), **errors})
        await _send(send, 200, [*self._usual, *cors], body)

    async def _accept(
        self, scope: HTTPScope, receive: Receive, call: str, headers: Mapping[str, str], sent: _Sent
    ) -> ParsedRequest:
        """What of the request was kept; `sent` gets the origins of its key once that is known."""
        if scope["method"] != "POST":
            raise _Answer(405, "method", problem("Events are sent by POST."))
        received_at = self._clock()
        most = self._limits.batch_bytes if call in BATCHES else self._limits.event_bytes
        address = client_address(scope, self._proxies)
        sender = partial(self._events.sender, now=received_at, call=call, origin=origin_of(headers), address=address)
        authorization = headers.get("authorization")
        key = None
        if authorization is not None:
            # A key in the header is verified before the body is read.
            key = await sender(token_in(authorization))
            sent.origins = key.origins
        body = _plain(headers.get("content-encoding", ""), await _body(receive, headers, most), most)
        if key is None:
            key = await sender(self._key_in(body))
            sent.origins = key.origins
        parsed = await self._events.accept(key, scope["path"], body, received_at, address)
        if not parsed.items and parsed.errors:
            several = problem("No item could be used; see the reason of each.")
            reason: Problem = parsed.errors[0][1] if len(parsed.errors) == 1 else several
            raise _Answer(400, "invalid", reason, parsed)
        return parsed

    def _key_in(self, body: bytes) -> str:
        """The write key in the body, where browsers put it to do without a preflight."""
        try:
            return self._write_key.decode(body).writeKey or ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""


def _errors(parsed: ParsedRequest, locale: str) -> dict[str, Any]:
    shown = parsed.errors[:MOST_LISTED]
    listed = [{"index": index, "reason": problem_text(reason, locale)} for index, reason in shown]
    further = len(parsed.errors) - len(shown)
    return {"errors": listed, "further_errors": further} if further else {"errors": listed}


def _locale_of(headers: Mapping[str, str]) -> str:
    """The language of reasons. Read when there is one; Segment's SDKs name none and get English."""
    return choose_locale("", "", headers.get("accept-language", ""))


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()


def _headers(scope: HTTPScope) -> dict[str, str]:
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


async def _body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    message: Any = await receive()
    first: bytes = message.get("body", b"")
    if not message.get("more_body") and len(first) <= most:
        return first
    parts = [first]
    size = len(first)
    while message.get("more_body"):
        if size > most:
            raise _too_large(most)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Answer(400, "incomplete", problem("The body ended early. Send it again."))
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if size > most:
        raise _too_large(most)
    return b"".join(parts)


def _plain(encoding: str, body: bytes, most: int) -> bytes:
    """The body decompressed, never to more than `most` bytes and one."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise _Answer(415, "encoding", problem("The content encoding is unknown. Send gzip, or none."))
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(body, most + 1)
    except zlib.error:
        what = problem("The body is not valid gzip, though its Content-Encoding says so.")
        raise _Answer(400, "gzip", what) from None
    if len(plain) > most:
        raise _too_large(most)
    if not inflate.eof:
        raise _Answer(400, "gzip", problem("The gzip body ends early. Send all of it."))
    return plain


def _too_large(most: int) -> _Answer:
    what = problem("The body is over {most:,} bytes, which is the limit. Send smaller batches.", most=most)
    return _Answer(413, "too_large", what)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    start: Any = {"type": "http.response.start", "status": status, "headers": [*headers, _length(body)]}
    end: Any = {"type": "http.response.body", "body": body}
    await send(start)
    await send(end)
