"""Topics, consent and suppressed addresses."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from keepers.model.channels import describe_channel
from keepers.model.errors import DefinitionError, problem
from keepers.model.fields import Text, join, mapping, one_of, parse_id, text

TopicKind = Literal["marketing", "transactional"]
Basis = Literal["consent", "legitimate_interest", "contract", "legal_obligation"]
"""the legal basis (GDPR art. 6) messages of a topic rest on"""
ConsentState = Literal["subscribed", "pending", "unsubscribed"]
"""`pending`: asked for, and waiting for the second yes of a double opt-in"""
SuppressionReason = Literal["hard_bounce", "soft_bounces", "complaint", "unsubscribed", "manual", "import", "erased"]
HoldsFor = Literal["person", "visitor", "address"]
"""Whom a statement holds for besides its address: the customer; a visitor, until somebody says who they are, which
anybody can; nobody else."""
ALL_TOPICS = "*"
"""a consent or suppression for every topic of a channel"""
CONFIRMATION = "confirm_subscription"
"""the message of the playbook that asks for the second yes; {{ trigger.url }} is the page with the button"""


class Topic(Struct, frozen=True):
    """What messages are about, as a customer chooses it on the preference page.

    Marketing needs consent (or another basis and no objection); transactional messages are exempt from it, from caps
    and from quiet hours, and stop only at an address that does not work (hard bounce) or was suppressed by hand.
    """

    id: str
    name: Text = ""
    description: Text = ""
    kind: TopicKind = "marketing"
    basis: Basis = "consent"
    channels: tuple[str, ...] = ("email",)
    double_opt_in: bool = False


def parse_topic(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Topic:
    """One entry of `topics:`. Transactional topics rest on a contract unless another basis is written."""
    fields = mapping(data, ("id", "name", "description", "kind", "basis", "channels", "double_opt_in"), at)
    kind = one_of(fields.get("kind", "marketing"), get_args(TopicKind), join(at, "kind"))
    basis = fields.get("basis", "contract" if kind == "transactional" else "consent")
    channels = fields.get("channels", ["email"])
    if not isinstance(channels, list) or not channels or not all(isinstance(c, str) for c in channels):
        raise DefinitionError(problem("expected a list of channels, such as [email, sms]"), field=join(at, "channels"))
    double = fields.get("double_opt_in", False)
    if not isinstance(double, bool):
        raise DefinitionError(problem("expected true or false"), field=join(at, "double_opt_in"))
    return Topic(
        id=parse_id(fields.get("id"), join(at, "id")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        kind=cast(TopicKind, kind),
        basis=cast(Basis, one_of(basis, get_args(Basis), join(at, "basis"))),
        channels=tuple(channels),
        double_opt_in=double,
    )


class Consent(Struct, frozen=True):
    """One statement about a channel and topic (`*` for all). The newest `at` counts."""

    profile_id: int
    channel: str
    topic: str
    state: ConsentState
    at: datetime
    source: str
    """where it was said: `form`, `preference page`, `import list.csv`, `one-click`"""
    holds_for: HoldsFor
    wording: str = ""
    """the words agreed to"""
    basis: Basis = "consent"
    address_hash: str = ""
    """of the address it was said for, or from: it counts for whoever has that address; empty where there is none"""


def request_id(requested: Consent) -> str:
    """What tells a request from every other for the same channel and address: 24 hex digits of when, where, in which
    words and on what it was made. The profile is none of it, for profiles are merged."""
    parts = (requested.channel, requested.topic, requested.address_hash, requested.at.isoformat(), requested.source)
    return hashlib.blake2b("\0".join((*parts, requested.wording)).encode(), digest_size=12).hexdigest()


NOBODY = 0
"""the profile of a statement that holds for an address alone: who made it was erased"""
FORGOTTEN = "="
"""what a recipient begins with whose keyed hash is kept in place of the address"""
_FORGOTTEN = re.compile(r"=[0-9a-f]{64}")


def left_with(topic: Topic | None) -> str:
    """What leaving from a message of this topic means: the topic; all marketing where it could not be left."""
    return topic.id if topic is not None and topic.kind == "marketing" else ALL_TOPICS


def trait_of(channel: str, topic: str) -> str:
    """The computed trait a consent is seen as in conditions: `subscribed.email.newsletter`, true or false."""
    return f"subscribed.{channel}" if topic == ALL_TOPICS else f"subscribed.{channel}.{topic}"


def normal_address(channel: str, recipient: str) -> str:
    """The form under which two spellings of an address are one inbox, as its channel says."""
    return describe_channel(channel).one_inbox(recipient.strip())


def is_forgotten(recipient: str) -> bool:
    """Whether a message's recipient is kept as its hash alone."""
    return _FORGOTTEN.fullmatch(recipient) is not None


def address_hash(secret: bytes, channel: str, recipient: str) -> str:
    """A keyed hash of an address (HMAC-SHA-256, hex): it outlives the person's erasure and gives nothing away.

    Of a recipient that is kept as its hash (`FORGOTTEN`) it is that hash.
    """
    if is_forgotten(recipient):
        return recipient.removeprefix(FORGOTTEN)
    text = f"{channel}:{normal_address(channel, recipient)}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def network_address_hash(secret: bytes, address: str) -> str:
    """A keyed hash of a network address (HMAC-SHA-256, 32 hex digits): distinguishes visitors anonymously."""
    return hmac.new(secret, b"ip:" + address.encode(), hashlib.sha256).hexdigest()[:32] if address else ""
