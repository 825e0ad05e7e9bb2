"""Reads Segment calls: one pure function from a request's body to messages, with a reason for each refused one.

The same function answers the sender and, later, feeds the log, so both agree on what was accepted.
Source: Segment's HTTP Tracking API and common-fields specification.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Literal, get_args
from unicodedata import normalize

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from keepers.model import json_text
from keepers.model.errors import Problem, UserError, problem, problem_as_written
from keepers.model.identity import LONGEST_ID, UserSignature, is_placeholder
from keepers.model.json_text import LIMITS, Limits

CallKind = Literal["identify", "track", "page", "screen", "group", "alias"]
KINDS: Final[tuple[CallKind, ...]] = get_args(CallKind)
IMPORT: Final = "import"
BATCHES: Final = frozenset({"batch", IMPORT})
# analytics.js in the browser shortens the last part of the path.
SHORT: Final = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
CALLS: Final = frozenset({*KINDS, *BATCHES})
EARLIEST: Final = datetime(1970, 1, 1)
LATEST: Final = datetime(2100, 1, 1)
LONGEST_NAME: Final = 200
SIGNATURE_LENGTH: Final = 64


class TrackingCall(Struct, frozen=True, gc=False):
    """One accepted call. Identifiers that are placeholders are None; `body` is its JSON as it was sent."""

    index: int
    kind: CallKind
    event: str
    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None
    group_id: str | None
    message_id: str
    time: datetime
    body: bytes
    signature: UserSignature | None = None
    """`context.signature` with `context.expires`: the proof of the user id, not verified yet"""


class ParsedRequest(Struct, frozen=True):
    """Accepted items, and (index, reason) for each refused one. A request with one call has index 0."""

    items: list[TrackingCall]
    errors: list[tuple[int, Problem]]


class _RefusedError(Exception):
    """An item's reason, from the field at fault to where it is listed."""

    def __init__(self, reason: Problem) -> None:
        super().__init__(reason)
        self.problem = reason


class _Batch(Struct):
    batch: list[Raw]
    sentAt: object = None  # noqa: N815 - the name on the wire
    context: Raw | None = None


class _BatchContext(Struct, frozen=True):
    """The context that a batch gives once for all its items. With `problem` it is one for each item that needs it."""

    text: bytes
    signature: UserSignature | None
    problem: Problem | None


class _Request(Struct, frozen=True):
    received_at: datetime
    limits: Limits
    sent_at: datetime | _RefusedError | None
    is_import: bool
    token: str
    context: _BatchContext | None = None


_decode_batch = Decoder(_Batch).decode
_decode = Decoder().decode


def call_of(path: str) -> str | None:
    """The call a path such as `/v1/track` or `/v1/t` stands for; None when it is none."""
    last = path.rstrip("/").rpartition("/")[2]
    call = SHORT.get(last, last)
    return call if call in CALLS else None


def parse_request(
    path: str, body: bytes, received_at: datetime, limits: Limits = LIMITS, token: str = ""
) -> ParsedRequest:
    """Reads the body of a POST to `path` that arrived at `received_at` (naive UTC).

    `token` tells requests apart when messages bring no id of their own: the same body with the same token is
    the same message again. Raises UserError when nothing in the body can be read: code `too_large`, `json`
    or `path`.
    """
    call = call_of(path)
    if call is None:
        raise UserError(problem("“{path}” is not a call. Post to /v1/track, /v1/batch …", path=path[:80]), code="path")
    if body[:3] == b"\xef\xbb\xbf":
        body = body[3:]
    if call in BATCHES:
        return _parse_batch(call, body, received_at, limits, token)
    if len(body) > limits.event_bytes:
        raise UserError(_event_too_large(body, limits), code="too_large")
    request = _Request(received_at, limits, None, False, token)
    try:
        return ParsedRequest([_message(0, call, body, request)], [])
    except _RefusedError as refused:
        return ParsedRequest([], [(0, refused.problem)])


def _parse_batch(call: str, body: bytes, received_at: datetime, limits: Limits, token: str) -> ParsedRequest:
    if len(body) > limits.batch_bytes:
        raise UserError(
            problem(
                "The batch has {size:,} bytes; {most:,} are allowed. Send smaller batches.",
                size=len(body),
                most=limits.batch_bytes,
            ),
            code="too_large",
        )
    items, sent_at, context = _split(body, limits)
    if len(items) > limits.batch_items:
        raise UserError(
            problem("The batch has more than {most:,} items. Send smaller batches.", most=limits.batch_items),
            code="too_large",
        )
    shared = None if context is None or context == b"null" else _batch_context(context, limits)
    request = _Request(received_at, limits, _sent_at(sent_at), call == IMPORT, token, shared)
    added = 0
    accepted: list[TrackingCall] = []
    errors: list[tuple[int, Problem]] = []
    for index, item in enumerate(items):
        try:
            found = _message(index, None, item, request)
            added += len(found.body) - len(item)
            if added > limits.context_bytes:
                raise _RefusedError(problem("The batch's context makes the batch too large. Send a shorter one."))
            accepted.append(found)
        except _RefusedError as refused:
            errors.append((index, refused.problem))
    return ParsedRequest(accepted, errors)


def _sent_at(value: object) -> datetime | _RefusedError | None:
    """The batch's `sentAt`, read once; when it is no time, the reason that each item relying on it gets."""
    try:
        return None if value is None else _instant(value, "sentAt")
    except _RefusedError as refused:
        return refused


def _split(body: bytes, limits: Limits) -> tuple[list[bytes], object, bytes | None]:
    """A batch's items as text, of too many one more than may be, its `sentAt` and its `context`; item by item when the
    whole cannot be decoded."""
    most = limits.batch_items + 1
    try:
        batch = _decode_batch(body)
        context = None if batch.context is None else bytes(batch.context)
        return [bytes(item) for item in batch.batch[:most]], batch.sentAt, context
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        parts = json_text.members(body)
        items = None if parts is None or "batch" not in parts else json_text.elements(parts["batch"], most)
        if parts is None or items is None:
            reason = problem("it is nested too deeply") if isinstance(error, RecursionError) else error
            raise UserError(
                problem(
                    "The body is not a JSON object with a list “batch”, such as "
                    '{{"batch": [{{"type": "track", …}}]}}: {reason}.',
                    reason=reason,
                ),
                code="json",
            ) from None
    try:
        sent_at = _decode(parts.get("sentAt", b"null"))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        sent_at = False  # whatever it is, it is not a time, and each item will say so
    return items, sent_at, parts.get("context")


def _message(index: int, call: str | None, body: bytes, request: _Request) -> TrackingCall:
    limits = request.limits
    if len(body) > limits.event_bytes:
        raise _RefusedError(_event_too_large(body, limits))
    fields = _fields(body, limits)
    kind = _kind(fields, call)
    for name in ("properties", "traits", "context"):
        value = fields.get(name)
        if value is not None and type(value) is not dict:
            raise _RefusedError(
                problem(
                    "{field} is {value}, not an object. Send names and values, or leave it out.",
                    field=name,
                    value=_shown(value),
                )
            )
    user_id = _identifier(fields, "userId")
    anonymous_id = _identifier(fields, "anonymousId")
    if user_id is None and anonymous_id is None:
        raise _RefusedError(_nobody(fields))
    previous_id = group_id = None
    if kind == "alias" and (previous_id := _identifier(fields, "previousId")) is None:
        raise _RefusedError(
            problem("previousId is missing or a placeholder. An alias call needs the earlier id in it.")
        )
    if kind == "group" and (group_id := _identifier(fields, "groupId")) is None:
        raise _RefusedError(problem("groupId is missing or a placeholder. A group call needs the account's id in it."))
    time = _time(fields, request)
    message_id = _identifier(fields, "messageId", may_be_placeholder=True)
    if message_id is None:
        mark = f"{request.token}\0{request.received_at.isoformat()}\0{index}\0".encode()
        message_id = "keepers-" + blake2b(mark + body, digest_size=16).hexdigest()
    signature = _signature(fields.get("context"))
    if request.context is not None and fields.get("context") is None:
        body = _with_context(body, request.context, limits, bool(fields))
        signature = request.context.signature
    event = _event_name(fields) if kind == "track" else kind
    return TrackingCall(
        index, kind, event, user_id, anonymous_id, previous_id, group_id, message_id, time, body, signature
    )


def _signature(context: Any) -> UserSignature | None:
    """What is no signature is none: the call is then an unsigned one."""
    if type(context) is not dict:
        return None
    text, expires = context.get("signature"), context.get("expires")
    if type(text) is not str or len(text) != SIGNATURE_LENGTH or not (expires is None or type(expires) is int):
        return None
    return UserSignature(text, expires)


def _batch_context(text: bytes, limits: Limits) -> _BatchContext:
    """Read once, however many items take it over; those are refused with its problem."""
    no_object = problem("The batch's context is not an object. Send it as names and values, or leave it out.")
    # An item is an object around it, which is one level more.
    if json_text.is_deeper(text, limits.depth - 1):
        return _BatchContext(text, None, no_object)
    try:
        context = _decode(text)
    except (DecodeError, UnicodeDecodeError):
        return _BatchContext(text, None, no_object)
    return _BatchContext(text, _signature(context), None if type(context) is dict else no_object)


def _fields(body: bytes, limits: Limits) -> dict[str, Any]:
    if json_text.is_deeper(body, limits.depth):
        raise _RefusedError(
            problem("The event is nested more than {depth} levels deep. Send flatter properties.", depth=limits.depth)
        )
    if json_text.has_huge_number(body):
        reason: Problem = json_text.TOO_LARGE
        raise _RefusedError(reason)
    try:
        fields = _decode(body)
    except (DecodeError, UnicodeDecodeError) as error:
        reason = json_text.reason(body, str(error))
        raise _RefusedError(reason) from None
    if type(fields) is not dict:
        raise _RefusedError(
            problem("The event is {value}, not an object. Send {{…}} with userId and so on.", value=_shown(fields))
        )
    return fields


def _kind(fields: dict[str, Any], call: str | None) -> CallKind:
    kind = fields.get("type") if call is None else call
    if kind not in KINDS:
        raise _RefusedError(
            problem("type is {value}. Use one of: {known}.", value=_shown(kind), known=", ".join(KINDS))
        )
    return kind


def _event_name(fields: dict[str, Any]) -> str:
    name = fields.get("event")
    if type(name) is not str or not name.strip():
        raise _RefusedError(
            problem(
                "event is {value}. A track call names what happened, such as “Order Completed”.", value=_shown(name)
            )
        )
    if len(name) > LONGEST_NAME:
        raise _RefusedError(
            problem(
                "event has {number} characters; {most} are allowed. Put details into properties.",
                number=len(name),
                most=LONGEST_NAME,
            )
        )
    if "\0" in name:
        raise _RefusedError(problem("{field} holds a NUL character. Remove it.", field="event"))
    return name if name.isascii() else normalize("NFC", name)


def _identifier(fields: dict[str, Any], field: str, *, may_be_placeholder: bool = False) -> str | None:
    value = fields.get(field)
    if value is None:
        return None
    if type(value) is int and -(2**63) <= value < 2**64:
        value = str(value)
    if type(value) is not str:
        raise _RefusedError(problem("{field} is {value}. Send it as text.", field=field, value=_shown(value)))
    if len(value) > LONGEST_ID:
        raise _RefusedError(
            problem(
                "{field} has {number} characters; {most} are allowed. Send a shorter id.",
                field=field,
                number=len(value),
                most=LONGEST_ID,
            )
        )
    if "\0" in value:
        raise _RefusedError(problem("{field} holds a NUL character. Remove it.", field=field))
    if may_be_placeholder:
        return value or None
    return None if is_placeholder(value) else value


def _nobody(fields: dict[str, Any]) -> Problem:
    for field in ("userId", "anonymousId"):
        if (value := fields.get(field)) is not None:
            return problem(
                "{field} is {value}, a placeholder that identifies nobody. Send a real id.",
                field=field,
                value=_shown(value),
            )
    return problem("userId or anonymousId is needed: without one the event belongs to nobody.")


def _time(fields: dict[str, Any], request: _Request) -> datetime:
    """receivedAt − (sentAt − timestamp): the sender's clock may be wrong, the span between its two is not."""
    received_at = request.received_at
    field = "timestamp"
    sent: datetime | _RefusedError | None = None
    # History is sent as it was written down, long after; there is no clock to correct.
    if not request.is_import:
        own = fields.get("sentAt")
        sent = request.sent_at if own is None else _instant(own, "sentAt")
        # A relay has put its own correction into `timestamp`; the device's clock is then in the original.
        if sent is not None and fields.get("originalTimestamp") is not None:
            field = "originalTimestamp"
    written = fields.get(field)
    if written is None:
        return received_at
    time = _instant(written, field)
    if isinstance(sent, _RefusedError):
        raise _RefusedError(sent.problem)
    if sent is not None:
        try:
            time = received_at - (sent - time)
        except OverflowError:
            time = datetime.max
    if not EARLIEST <= time < LATEST:
        raise _RefusedError(
            problem(
                "{field} {value} is outside the years 1970 to 2099. Correct the sender's date.",
                field=field,
                value=_shown(written),
            )
        )
    return time


def _instant(value: object, field: str) -> datetime:
    try:
        if type(value) is not str:
            raise ValueError
        parsed = datetime.fromisoformat(value.strip())
        zone = parsed.tzinfo
        if zone is None:
            return parsed
        if zone is not UTC:
            parsed = parsed.astimezone(UTC)
        return parsed.replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _RefusedError(
            problem(
                "{field} is {value}, not a time. Send ISO 8601, such as 2026-03-01T09:30:00Z.",
                field=field,
                value=_shown(value),
            )
        ) from None


def _with_context(body: bytes, context: _BatchContext, limits: Limits, has_fields: bool) -> bytes:
    """The item with the batch's context, which Segment lets a batch give once for all."""
    # A later key wins over an earlier null of the same name, as in every common JSON reader.
    joined = body.rstrip()[:-1] + (b"," if has_fields else b"") + b'"context":' + context.text + b"}"
    if len(joined) > limits.event_bytes:
        raise _RefusedError(problem("The batch's context makes the event too large. Send a shorter one."))
    if context.problem is not None:
        raise _RefusedError(context.problem)
    return joined


def _event_too_large(body: bytes, limits: Limits) -> Problem:
    return problem(
        "The event has {size:,} bytes; {most:,} are allowed. Send fewer or shorter properties.",
        size=len(body),
        most=limits.event_bytes,
    )


def _shown(value: object) -> Problem:
    """A value in a sentence, short, and safe to print."""
    if value is None:
        return problem("missing")
    if isinstance(value, str):
        return problem_as_written(f"“{value[:40]}”") if value else problem("empty")
    if isinstance(value, dict):
        return problem("an object")
    if isinstance(value, list):
        return problem("a list")
    return problem_as_written(str(value).lower() if isinstance(value, bool) else str(value)[:40])


LATE = timedelta(hours=72)
"""an event that arrives later than this after its time is history being filled in"""
