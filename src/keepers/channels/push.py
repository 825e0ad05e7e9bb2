"""Web push (RFC 8030): notifications in a browser, encrypted for it (RFC 8291) and signed with VAPID (RFC 8292)."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from keepers.channels.base import ChannelContext, ChannelKind, retry_after
from keepers.channels.http.answers import UnansweredError
from keepers.channels.http.ssrf import Guard, RefusedError
from keepers.model.errors import UserError, problem
from keepers.model.message import Outcome, Outgoing

if TYPE_CHECKING:
    from keepers.channels.http.safe_http import Caller

MOST_PAYLOAD_BYTES = 3993
"""what a 4096-byte record of aes128gcm holds beside header, padding mark and tag"""


class PushSettings(Struct, frozen=True, forbid_unknown_fields=True):
    private_key: str = ""
    """The VAPID private key, base64url. A new one invalidates all subscriptions."""
    contact: str = ""
    """Where push services reach you about problems: mailto:ops@shop.example or an https address."""
    keep_for: float = 86_400.0
    """Seconds a push service keeps a message for a browser that is not running, at most 28 days."""
    timeout: float = 15.0
    """Seconds one hand-over to a push service may take."""
    allow: list[str] = []
    """Push services at addresses that are not public: networks, host names, *.domain."""


class VapidKeys(NamedTuple):
    """A new pair, base64url without padding: the private key for the settings, the public one for the browser."""

    private: str
    public: str


def new_vapid_keys() -> VapidKeys:
    """A pair from the system's randomness."""
    from py_vapid import Vapid

    pair = Vapid()
    pair.generate_keys()
    secret = pair.private_key.private_numbers().private_value.to_bytes(32, "big")
    return VapidKeys(_text(secret), _public_text(pair))


@lru_cache(maxsize=8)
def public_key(private_key: str) -> str:
    """The `applicationServerKey` a page subscribes with. Raises UserError for a key that is none."""
    return _public_text(_vapid(private_key))


class PushChannel:
    """Sends to a browser's endpoint (the recipient) with its keys `p256dh` and `auth` in the message's data.

    The service worker gets JSON: title, body, url, tag, and icon, image, badge where the message's data have them.
    """

    def __init__(self, settings: PushSettings, around: ChannelContext) -> None:
        self._vapid = _vapid(settings.private_key)
        if not settings.contact.startswith(("mailto:", "https://")):
            raise UserError(problem("[channels.push] contact must be a mailto: or https: address."), code="settings")
        if not 0 <= settings.keep_for <= 2_419_200:
            raise UserError(
                problem("[channels.push] keep_for must lie between 0 and 2419200 seconds."), code="settings"
            )
        self._settings = settings
        self._guard = Guard(settings.allow)
        self._now = around.now
        self._caller: Caller | None = None

    async def open(self) -> None:
        from keepers.channels.http.safe_http import Caller

        self._caller = Caller(self._guard, self._settings.timeout)

    async def send(self, message: Outgoing) -> Outcome:
        assert self._caller, "not open"
        payload = _payload(message)
        if len(payload) > MOST_PAYLOAD_BYTES:
            detail = problem(
                "The notification is {size} bytes long; browsers take {most}.",
                size=len(payload),
                most=MOST_PAYLOAD_BYTES,
            )
            return Outcome("failed", detail, "too_long")
        try:
            self._guard.check_url(message.recipient)
            body = _encrypted(message, payload)
            headers = self._headers(message)
            answer = await self._caller.call("POST", message.recipient, headers, body, 4096)
        except RefusedError as error:
            return Outcome("bounced", error.problem, "refused", is_hard=True)
        except UserError as error:
            return Outcome("bounced", error.problem, "subscription", is_hard=True)
        except UnansweredError as error:
            return Outcome("deferred", str(error), "unanswered")
        code = str(answer.status)
        if 200 <= answer.status < 300:
            return Outcome("sent", code=code, provider_id=answer.headers.get("location", ""))
        if answer.status in (404, 410):
            return Outcome("bounced", problem("The browser's subscription is gone."), code, is_hard=True)
        if answer.status in (408, 425, 429) or answer.status >= 500:
            wait = retry_after(answer.headers.get("retry-after"), self._now())
            return Outcome("deferred", problem("Answered {code}.", code=code), code=code, retry_after=wait)
        text = (answer.body or b"").decode("utf-8", "replace")[:200]
        return Outcome("failed", f"Answered {code}. {text}".strip(), code=code)

    async def close(self) -> None:
        if self._caller:
            await self._caller.close()
        self._caller = None

    def _headers(self, message: Outgoing) -> dict[str, str]:
        parts = urlsplit(message.recipient)
        expires = (self._now() + timedelta(hours=12)).replace(tzinfo=UTC)
        audience = f"{parts.scheme}://{parts.netloc.lower()}"
        try:
            claims = {"aud": audience, "sub": self._settings.contact, "exp": int(expires.timestamp())}
            signed: dict[str, str] = self._vapid.sign(claims)
        except Exception as error:  # noqa: BLE001 - the library raises plain exceptions for claims it does not take
            raise UserError(problem("The push could not be signed: {reason}", reason=error)) from None
        return {
            "content-type": "application/octet-stream",
            "content-encoding": "aes128gcm",
            "ttl": str(int(self._settings.keep_for)),
            "urgency": "high" if message.is_transactional else "normal",
            # A repeated attempt replaces the one before at the push service instead of showing twice.
            "topic": _tag(message.key),
            "authorization": signed["Authorization"],
        }


def _payload(message: Outgoing) -> bytes:
    content = message.content
    shown = {"title": content.title, "body": content.text, "url": content.url, "tag": _tag(message.key)}
    for name in ("icon", "image", "badge"):
        if value := content.data.get(name):
            shown[name] = str(value)
    return msgspec.json.encode(shown)


def _encrypted(message: Outgoing, payload: bytes) -> bytes:
    """The payload for this browser alone. Raises UserError for keys that are none."""
    from pywebpush import WebPusher

    keys = {name: message.content.data.get(name) for name in ("p256dh", "auth")}
    if not all(isinstance(key, str) for key in keys.values()):
        raise UserError(problem("The subscription has no keys p256dh and auth."))
    try:
        encoded: Any = WebPusher({"endpoint": message.recipient, "keys": keys}).encode(payload, "aes128gcm")
    except Exception:  # noqa: BLE001 - keys come from a browser; whatever is wrong with them, they cannot be used
        raise UserError(problem("The subscription's keys cannot be used.")) from None
    return bytes(encoded["body"])


def _tag(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _vapid(private_key: str) -> Any:
    from py_vapid import Vapid

    try:
        if not re.fullmatch(r"[\w-]{43}=?", private_key, re.ASCII):
            raise ValueError
        return Vapid.from_raw(private_key.rstrip("=").encode())
    except ValueError:
        raise UserError(
            problem("[channels.push] private_key is not a VAPID key: 32 bytes as base64url."), code="settings"
        ) from None


def _public_text(pair: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _text(pair.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


KIND = ChannelKind(
    id="push",
    settings=PushSettings,
    make=PushChannel,
    event_name="Push",
    position=4,
    parts=("title", "text", "url", "icon", "image"),
    required=("title", "text"),
    has_subscriptions=True,
    is_counted=True,
    caps={"1d": 1, "7d": 3},
    quiet={"from": "20:00", "to": "09:00", "sundays": True, "holidays": True},
    engagement={"received": "Push Sent"},
    docs="Notifications in the browser, also when your site is not open.",
)
