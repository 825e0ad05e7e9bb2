"""From an audience to messages, in chunks: facts as sets, eligibility by groups of customers, rows as tuples."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from keepers.broadcasts.audiences import Member
from keepers.broadcasts.context import BroadcastContext
from keepers.contact.addresses import address_of
from keepers.contact.eligibility import QUIET_HOURS, Contact, Decision, MessageCandidate, Skip, is_asleep
from keepers.contact.places import ContactHistory
from keepers.contact.wave import EligibilityWave, RecipientFacts
from keepers.model.consent import ConsentState, normal_address
from keepers.model.moments import LATEST
from keepers.store.messages import broadcast_sends
from keepers.store.messages.broadcast_sends import TESTED, BroadcastSend
from keepers.store.messages.contact_history import other_messages
from keepers.store.profiles import consents, suppressions

_BUCKET = 8192
NAMES = (
    "key", "profile_id", "recipient", "address_hash", "step", "message", "template_version", "status", "reason",
    "send_after", "expires_at", "data",
)  # fmt: skip


class AudienceVerdict(NamedTuple):
    """The decision about one member. `reason` is set for who is skipped; `variant` is empty outside of a test."""

    member: Member
    address: str
    hash: str
    at: datetime
    reason: str = ""
    is_held: bool = False
    variant: str = ""
    waits: bool = False
    """for the winner of the test"""


class AudienceFilter:
    """Eligibility of an audience, chunk by chunk. One object per sending; without `send`, for a preview.

    `country` is where numbers without + belong of members whose own is not known. Kill switch and breakers are left
    out: a message is decided on as of when it is due, which their present state does not tell.
    """

    def __init__(
        self,
        context: BroadcastContext,
        secret: bytes,
        begun: datetime,
        send: BroadcastSend | None = None,
        country: str = "",
    ) -> None:
        self._context = context
        self._channel = context.template.channel
        self._country = country
        self._secret = secret
        self._begun = begun
        self._send = send
        # A resend reaches only customers who took part in the test already.
        self._test = None if send is not None and "of" in send.data else context.broadcast.test
        self._written_to: set[str] = set()
        """of addresses shared by several members: those with a message already"""
        self.slots = context.slots()
        self._alike: dict[tuple[Any, ...], Decision] = {}

    def decide(self, connection: Connection, members: Sequence[Member], now: datetime) -> list[AudienceVerdict]:
        """One verdict per member, in a few queries for all of them."""
        context = self._context
        addresses = [self._address(member) for member in members]
        hashes = [self._hash(address) if address else "" for address in addresses]
        states, confirmed = self._consents(connection, members, hashes)
        known = sorted({hashed for hashed in hashes if hashed})
        stops = {hashed: found.reason for (_, hashed), found in suppressions.find(connection, known).items()}
        shared = [hashed for member, hashed in zip(members, hashes, strict=True) if member.is_shared and hashed]
        if shared and self._send is not None:
            self._written_to |= broadcast_sends.addressed(connection, self._send, shared)
        history = self._history(connection, [m.profile_id for m in members], known, now)
        wave = EligibilityWave(context.rules, context.topics, history)
        found = []
        for member, address, hashed in zip(members, addresses, hashes, strict=True):
            due = context.broadcast.due(member.zone, self._begun)
            is_written_to = member.is_shared and hashed in self._written_to
            facts = RecipientFacts(
                states.get(member.profile_id),
                stops.get(hashed),
                self._contact(member),
                is_written_to,
                member.profile_id in confirmed,
            )
            decision = self._decide(wave, member, address, hashed, facts, due, now)
            if isinstance(decision, Skip):
                found.append(AudienceVerdict(member, address, hashed, now, decision.reason))
                continue
            if member.is_shared:
                self._written_to.add(hashed)
            variant = self._test.arm(context.broadcast.id, member.bucket_key) if self._test is not None else ""
            if self._test is not None and not variant:
                found.append(AudienceVerdict(member, address, hashed, LATEST, waits=True))
                continue
            at, is_held = self.slots.assign(member.zone, member.country, due)
            found.append(AudienceVerdict(member, address, hashed, at, "", is_held, variant))
        return found

    def _decide(
        self,
        wave: EligibilityWave,
        member: Member,
        address: str,
        hashed: str,
        facts: RecipientFacts,
        due: datetime,
        now: datetime,
    ) -> Decision:
        """One member's decision; members without other messages whose facts are alike share theirs."""
        context = self._context
        is_alone = wave.history.is_empty(member.profile_id, hashed)
        sleeps = is_asleep(context.rules, self._channel, member.engaged_at, due)
        contact = facts.contact
        alike = (
            facts.consent, facts.suppression, bool(address), facts.is_written_to, sleeps, contact.zone,
            contact.country, due, contact.unconfirmed, facts.is_confirmed,
        )  # fmt: skip
        if is_alone and (decision := self._alike.get(alike)) is not None:
            return decision
        candidate = MessageCandidate(
            member.profile_id,
            self._channel,
            context.template.topic,
            address or None,
            context.priority,
            context.is_transactional,
            decided_at=now,
            address_hash=hashed,
        )
        decision = wave.decide(candidate, facts, due)
        if is_alone:
            self._alike[alike] = decision
        return decision

    def _contact(self, member: Member) -> Contact:
        unconfirmed = (self._channel,) if member.is_unconfirmed else ()
        return Contact(member.zone, member.country, engaged_at=member.engaged_at, unconfirmed=unconfirmed)

    def _consents(
        self, connection: Connection, members: Sequence[Member], hashes: Sequence[str]
    ) -> tuple[dict[int, ConsentState], set[int]]:
        """The effective consent by profile, and those who confirmed their address. Most profiles have nothing but
        their own statements, which one query ranks; the others are looked at one by one."""
        topic, bounds = self._context.template.topic, (members[0].profile_id, members[-1].profile_id)
        states = broadcast_sends.consent_states(connection, self._channel, topic, *bounds)
        known = sorted({hashed for hashed in hashes if hashed})
        own, at_address = broadcast_sends.individual_consents(connection, self._channel, *bounds, known)
        single = [
            (member.profile_id, hashed)
            for member, hashed in zip(members, hashes, strict=True)
            if member.profile_id in own or hashed in at_address
        ]
        if not single:
            return states, set()
        agreed = consents.load(connection, [who for who, _ in single], [hashed for _, hashed in single])
        for who, hashed in single:
            statement = agreed.effective(who, self._channel, topic, hashed)
            states.pop(who, None)
            if statement is not None:
                states[who] = statement.state
        return states, {who for who, hashed in single if agreed.is_confirmed(who, self._channel, topic, hashed)}

    def _history(
        self, connection: Connection, customers: Sequence[int], hashes: Sequence[str], now: datetime
    ) -> ContactHistory:
        """Other messages to these customers and addresses, where a cap counts them."""
        rules = self._context.rules
        if self._context.is_transactional or not rules.caps:
            return ContactHistory()
        return ContactHistory(other_messages(connection, customers, hashes, now, rules.longest))

    def _address(self, member: Member) -> str:
        return address_of(self._channel, member.address, member.country or self._country)

    def _hash(self, address: str) -> str:
        """As `model.consent.address_hash`, in the standard library's fastest way."""
        normal = normal_address(self._channel, address)
        return hmac.digest(self._secret, f"{self._channel}:{normal}".encode(), "sha256").hex()


def rows_of(
    connection: Connection, context: BroadcastContext, send: BroadcastSend, verdicts: Sequence[AudienceVerdict]
) -> list[tuple[Any, ...]]:
    """Messages as tuples in the order of NAMES, sorted by address so that the index is written from end to end."""
    broadcast, template = context.broadcast, context.template
    expires = broadcast.expires or template.expires
    extra = f',"coupon":{msgspec.json.encode(broadcast.coupon).decode()}' if broadcast.coupon else ""
    of_variant = {
        variant: (name, context.versions.get(name, 0))
        for variant in ("", *(v.id for v in (broadcast.test.variants if broadcast.test else ())))
        for name in (send.data.get("message") or broadcast.message_of(variant),)
    }
    times: dict[datetime, tuple[Any, Any]] = {}
    for at in {verdict.at for verdict in verdicts}:
        # Messages held for the winner have no expiry yet.
        end = broadcast_sends.stamp(connection, at + expires) if at < LATEST else None
        times[at] = (broadcast_sends.stamp(connection, at), end)
    rows = []
    for verdict in verdicts:
        member = verdict.member
        if verdict.reason:
            status, reason, data = "skipped", verdict.reason, "{}"
        else:
            contact = _contact(member.zone, member.country, template.channel if member.is_unconfirmed else "")
            data = f'{{"customer":{member.customer},"contact":{contact}{extra}}}'
            status, reason = ("held", QUIET_HOURS) if verdict.is_held else ("queued", "")
            if verdict.waits:
                status, reason = "held", TESTED
        message, version = of_variant[verdict.variant]
        rows.append(
            (
                _key(broadcast.id, send.id, member.profile_id, template.channel, verdict.hash), member.profile_id,
                verdict.address, verdict.hash, verdict.variant, message, version, status, reason,
                *times[verdict.at], data,
            )
        )  # fmt: skip
    rows.sort(key=lambda row: row[3])
    return rows


def shared_of(context: BroadcastContext, send: BroadcastSend, now: datetime) -> dict[str, Any]:
    """What all messages of a sending have in common."""
    return {
        "broadcast": send.broadcast,
        "journey": "",
        "version": context.version,
        "visit": send.id,
        "channel": context.template.channel,
        "topic": context.template.topic,
        "is_transactional": context.is_transactional,
        "priority": context.priority,
        "decided_at": now,
        "attempts": 0,
        "locale": "",
        "hops": 0,
    }


def _key(broadcast: str, send_id: int, profile_id: int, channel: str, hashed: str) -> str:
    """A message's key, stable for its sending and customer. Neighbouring ids share a prefix, to lie together."""
    own = blake2b(f"{broadcast}\0{send_id}\0{profile_id}\0{channel}\0{hashed}".encode(), digest_size=8)
    return _neighbourhood(broadcast, send_id, profile_id // _BUCKET) + own.hexdigest()


@lru_cache(maxsize=64)
def _neighbourhood(broadcast: str, send_id: int, bucket: int) -> str:
    return blake2b(f"{broadcast}\0{send_id}\0{bucket}".encode(), digest_size=4).hexdigest()


@lru_cache(maxsize=4096)
def _contact(zone: str, country: str | None, unconfirmed: str) -> str:
    channels = (unconfirmed,) if unconfirmed else ()
    return msgspec.json.encode(Contact(zone, country, unconfirmed=channels)).decode()
