"""Webhooks: a call to an address, signed by the Standard Webhooks scheme, whose answer a journey may use later."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from keepers.channels.base import ChannelContext, ChannelKind, retry_after
from keepers.channels.http.answers import CallResponse, UnansweredError
from keepers.channels.http.ssrf import Guard, RefusedError
from keepers.model.errors import UserError, problem, shown
from keepers.model.message import Content, Outcome, Outgoing

if TYPE_CHECKING:
    from standardwebhooks.webhooks import Webhook

    from keepers.channels.http.safe_http import Caller

MOST_ANSWER_BYTES = 65_536
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "accept-encoding"}
"""headers that a webhook may not set: they frame the call"""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AGAIN = (408, 409, 425, 429)
"""4xx answers that ask for another try"""


class WebhookSettings(Struct, frozen=True, forbid_unknown_fields=True):
    secret: str = ""
    """Signs every call (Standard Webhooks): `whsec_` and 24 to 64 random bytes in base64. Empty leaves calls
    unsigned."""
    previous_secret: str = ""
    """The former secret, while receivers change over: calls then carry both signatures."""
    timeout: float = 15.0
    """Seconds one call may take, from looking up the name to the end of the answer."""
    allow: list[str] = []
    """Addresses that may be called although they are not public: networks such as 10.0.0.0/8, host names, *.domain."""


class WebhookChannel:
    """Calls the URL in a message's data: `url`, `method`, `headers` and `body` (JSON, or a text sent as it is)."""

    def __init__(self, settings: WebhookSettings, around: ChannelContext) -> None:
        if not 0.1 <= settings.timeout <= 120:
            raise UserError(
                problem("[channels.webhook] timeout must lie between 0.1 and 120 seconds."), code="settings"
            )
        self._signers = [_signer(secret) for secret in (settings.secret, settings.previous_secret) if secret]
        self._guard = Guard(settings.allow)
        self._timeout_s = settings.timeout
        self._now = around.now
        self._caller: Caller | None = None

    async def open(self) -> None:
        from keepers.channels.http.safe_http import Caller

        self._caller = Caller(self._guard, self._timeout_s)

    async def send(self, message: Outgoing) -> Outcome:
        assert self._caller, "not open"
        try:
            method, url, headers, body = _request(message.content, message.recipient)
            now = self._now()
            headers |= self._signed(message.key, body, now)
            answer = await self._caller.call(method, url, headers, body.encode() or None, MOST_ANSWER_BYTES)
        except UserError as error:
            return Outcome("failed", error.problem, "refused" if isinstance(error, RefusedError) else "definition")
        except UnansweredError as error:
            return Outcome("deferred", str(error), "unanswered")
        return _outcome(answer, now)

    async def close(self) -> None:
        if self._caller:
            await self._caller.close()
        self._caller = None

    def _signed(self, key: str, body: str, now: datetime) -> dict[str, str]:
        """The three headers of Standard Webhooks; the id is the same at every attempt, for receivers to know again."""
        call_id = "msg_" + hashlib.sha256(key.encode()).hexdigest()[:32]
        headers = {"webhook-id": call_id, "webhook-timestamp": str(int(now.replace(tzinfo=UTC).timestamp()))}
        if self._signers:
            signatures = (signer.sign(call_id, now.replace(tzinfo=UTC), body) for signer in self._signers)
            headers["webhook-signature"] = " ".join(signatures)
        return headers


def new_secret() -> str:
    """A secret for `secret`, from the system's randomness."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _signer(secret: str) -> Webhook:
    from standardwebhooks.webhooks import Webhook

    try:
        if not 24 <= len(binascii.a2b_base64(secret.removeprefix("whsec_") + "==")) <= 64:
            raise ValueError
        return Webhook(secret)
    except ValueError:
        raise UserError(
            problem("[channels.webhook] secret must be “whsec_” and 24 to 64 bytes in base64."), code="settings"
        ) from None


def _request(content: Content, recipient: str) -> tuple[str, str, dict[str, str], str]:
    data = content.data
    url = data.get("url") or content.url or recipient
    method = str(data.get("method", "POST")).upper()
    if method not in METHODS:
        raise UserError(
            problem(
                "{method} is no method of a webhook. Known: {known}.", method=shown(method), known=", ".join(METHODS)
            )
        )
    headers: dict[str, str] = {}
    written = data.get("headers") or {}
    if not isinstance(written, dict):
        raise UserError(problem("A webhook's headers are an object of names and values."))
    for name, value in written.items():
        if not _NAME.fullmatch(name) or not str(value).strip().isprintable():
            raise UserError(problem("The header {name} has characters that headers cannot have.", name=shown(name)))
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise UserError(problem("The header {name} is set by Keepers itself.", name=shown(name)))
        headers[name.lower()] = str(value).strip()
    body = data.get("body")
    if body is None:
        return method, str(url), headers, "" if method in ("GET", "DELETE") else "{}"
    if isinstance(body, str):
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return method, str(url), headers, body
    headers.setdefault("content-type", "application/json")
    return method, str(url), headers, msgspec.json.encode(body).decode()


def _outcome(answer: CallResponse, now: datetime) -> Outcome:
    code = str(answer.status)
    kept = {"status": answer.status, "body": _body(answer)}
    if 200 <= answer.status < 300:
        return Outcome("sent", code=code, answer=kept)
    if answer.status in _AGAIN or answer.status >= 500:
        wait = retry_after(answer.headers.get("retry-after"), now)
        return Outcome("deferred", problem("Answered {code}.", code=code), code=code, retry_after=wait, answer=kept)
    if 300 <= answer.status < 400:
        detail = problem(
            "Answered {code}, a redirect, which is not followed: put the final address into the webhook.", code=code
        )
        return Outcome("failed", detail, code=code, answer=kept)
    return Outcome("failed", problem("Answered {code}.", code=code), code=code, answer=kept)


def _body(answer: CallResponse) -> Any:
    """JSON as it is, other short text as text; None where nothing usable came. No NUL: PostgreSQL refuses it."""
    if not answer.body:
        return None
    body = answer.body.replace(b"\\u0000", b"").replace(b"\0", b"")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


KIND = ChannelKind(
    id="webhook",
    settings=WebhookSettings,
    make=WebhookChannel,
    event_name="Webhook",
    position=6,
    has_answer=True,
    is_repeatable=True,
    needs_settings=False,
    events={"Sent": "Webhook Called"},
    docs="A signed HTTP call to an address of your choice, whose answer the journey may use.",
)
