"""Amazon SES: notifications and published events that arrive through SNS, signed with Amazon's certificate.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from msgspec import Struct

from keepers.channels.email.providers.base import decoded, inner, instant, is_recent, refused, text
from keepers.channels.email.providers.ses_events import reports_of
from keepers.model.errors import UserError, problem
from keepers.model.message import DeliveryReport

Fetch = Callable[[str], bytes]
"""an https URL of Amazon's → what is there; raises UserError(code="signature")"""
_REGION = re.compile(
    r"[a-z]{2}(?:-gov|-isob?)?-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9]"
)
"""as Amazon names them. Any other name before amazonaws.com may be a customer's: `sns.s3-us-west-2` is a bucket"""
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}
_MOST_CERTIFICATES = 16
_CERTIFICATES_LAST = timedelta(days=1)
_MOST_FETCHES = 10
_FETCHES_WITHIN = timedelta(minutes=1)
"""certificates are fetched before anything of a call is proven, so that few are"""


class SesSettings(Struct, frozen=True, forbid_unknown_fields=True):
    topics: list[str] = []
    """ARNs of the SNS topics that may report. Needed: anyone can make a topic that Amazon signs for."""
    window: float = 86_400.0
    """How old a notification may be, in seconds."""


class Ses:
    """Reads what SES publishes through SNS."""

    id = "ses"
    settings = SesSettings

    def __init__(self, fetch: Fetch | None = None) -> None:
        self._fetch = fetch or fetch_from_amazon
        self._certificates: dict[str, tuple[x509.Certificate, datetime]] = {}
        """URL → the certificate, and when it was fetched"""
        self._fetched: deque[datetime] = deque(maxlen=_MOST_FETCHES)
        self._lock = Lock()

    def verify(self, headers: Mapping[str, str], body: bytes, settings: SesSettings, now: datetime) -> None:
        envelope = decoded(body)
        if text(envelope, "TopicArn") not in settings.topics:
            raise refused("SES", problem("its topic is not among `topics`"))
        if not is_recent(instant(text(envelope, "Timestamp")), now, timedelta(seconds=settings.window)):
            raise refused("SES", problem("it is too old or from the future"))
        algorithm = _HASHES.get(text(envelope, "SignatureVersion"))
        names = _SIGNED.get(text(envelope, "Type"))
        if algorithm is None or names is None:
            raise refused("SES", problem("it is no message of SNS (raw message delivery has to be off)"))
        certificate = self._certificate(text(envelope, "SigningCertURL"), text(envelope, "TopicArn"), now)
        key = certificate.public_key()
        try:
            signature = base64.b64decode(text(envelope, "Signature"), validate=True)
            if not isinstance(key, RSAPublicKey):
                raise InvalidSignature
            key.verify(signature, _to_sign(envelope, names), PKCS1v15(), algorithm)
        except (InvalidSignature, binascii.Error, ValueError):
            raise refused("SES", problem("its signature does not fit Amazon's certificate")) from None

    def call_id(self, body: bytes) -> str:
        return text(decoded(body), "MessageId")

    def valid_for(self, settings: SesSettings) -> timedelta:
        return timedelta(seconds=settings.window)

    def reports(self, body: bytes) -> list[DeliveryReport]:
        envelope = decoded(body)
        if text(envelope, "Type") != "Notification":
            return []
        try:
            event = decoded(str(inner(envelope, "Message")))
        except UserError:
            return []  # SNS announces a new topic in plain text.
        return reports_of(event)

    def confirm(self, body: bytes) -> bool:
        envelope = decoded(body)
        url = text(envelope, "SubscribeURL")
        topic = text(envelope, "TopicArn")
        if text(envelope, "Type") != "SubscriptionConfirmation" or not _confirms(url, topic):
            return False
        self._fetch(url)
        return True

    def _certificate(self, url: str, topic: str, now: datetime) -> x509.Certificate:
        parts = urlsplit(url) if _is_amazons(url, topic) else None
        if parts is None or not _CERTIFICATE.fullmatch(parts.path) or "?" in url or "#" in url:
            raise refused("SES", problem("its certificate is not at an address of Amazon's"))
        found = self._cached(url, now)
        if not found.not_valid_before_utc <= now.replace(tzinfo=UTC) <= found.not_valid_after_utc:
            self._certificates.pop(url, None)
            raise refused("SES", problem("its certificate is not valid now"))
        return found

    def _cached(self, url: str, now: datetime) -> x509.Certificate:
        with self._lock:
            known = self._certificates.get(url)
            if known is not None and timedelta() <= now - known[1] < _CERTIFICATES_LAST:
                return known[0]
            if len(self._fetched) == _MOST_FETCHES and timedelta() <= now - self._fetched[0] < _FETCHES_WITHIN:
                raise refused("SES", problem("too many certificates were named within a minute"))
            self._fetched.append(now)
        try:
            found = x509.load_pem_x509_certificate(self._fetch(url))
        except ValueError:
            raise refused("SES", problem("its certificate cannot be read")) from None
        with self._lock:
            while len(self._certificates) >= _MOST_CERTIFICATES:
                del self._certificates[next(iter(self._certificates))]
            self._certificates[url] = found, now
        return found


def fetch_from_amazon(url: str) -> bytes:
    """Fetches a certificate, or the URL of a confirmation, over TLS: at most 64 KB, within 10 seconds.

    Raises UserError(code="signature").
    """
    if not _is_amazons(url):
        raise refused("SES", problem("its address is not Amazon's"))
    try:
        with httpx.stream("GET", url, timeout=10, follow_redirects=False) as answer:
            if answer.status_code != 200:
                raise refused(
                    "SES", problem("Amazon answered {status} for the address that it names", status=answer.status_code)
                )
            content = b""
            for part in answer.iter_bytes():
                content += part
                if len(content) > 65_536:
                    raise refused("SES", problem("the file that it names at Amazon is too long"))
            return content
    except httpx.HTTPError as error:
        raise refused(
            "SES", problem("the file that it names could not be fetched from Amazon ({reason})", reason=error)
        ) from None


def _is_amazons(url: str, topic: str | None = None) -> bool:
    """Whether an address is of SNS itself, exactly: `sns.<region>.amazonaws.com`, in China with `.cn`, and in the
    region of the topic where one is given."""
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return False  # what the parser would take out, or another one read otherwise
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.netloc.removesuffix(":443")
    region = host.removeprefix("sns.").partition(".")[0]
    end = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if parts.scheme != "https" or port not in (None, 443) or not _REGION.fullmatch(region):
        return False
    return host == f"sns.{region}.{end}" and (topic is None or topic.split(":")[3:4] == [region])


def _confirms(url: str, topic: str) -> bool:
    """Whether an address confirms a subscription to the topic, and does nothing else."""
    if not _is_amazons(url, topic) or urlsplit(url).path not in ("", "/"):
        return False
    query = parse_qs(urlsplit(url).query)
    return query.get("Action") == ["ConfirmSubscription"] and query.get("TopicArn") == [topic]


def _to_sign(envelope: Any, names: tuple[str, ...]) -> bytes:
    """Each name and value on a line of its own, in order; a Subject only when there is one."""
    present = [name for name in names if isinstance(envelope.get(name), str)]
    return "".join(f"{name}\n{envelope[name]}\n" for name in present).encode()
