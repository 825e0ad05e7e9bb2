"""From an audience to messages, a chunk at a time: policy by groups of customers who are alike, rows as tuples."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from keepers.broadcasts.audiences import Member
from keepers.broadcasts.context import BroadcastContext
from keepers.contact.addresses import address_of
from keepers.contact.eligibility import Contact, Facts, Skip, decide
from keepers.contact.rules import ContactRules
from keepers.model.consent import ConsentState, normal_address
from keepers.model.fields import span
from keepers.model.moments import LATEST
from keepers.store.messages import broadcast_sends
from keepers.store.messages.broadcast_sends import TESTED, BroadcastSend
from keepers.store.messages.contact_history import _others
from keepers.store.profiles import suppressions

SAME_ADDRESS = "same_address"
_BUCKET = 8192
NAMES = (
    "key", "profile_id", "recipient", "address_hash", "step", "message", "template_version", "status", "reason",
    "send_after", "expires_at", "data",
)  # fmt: skip


class AudienceVerdict(NamedTuple):
    """What becomes of one member. `reason` is set for who is skipped; `variant` is empty outside of a test."""

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
    """Decides about an audience chunk by chunk. One object per sending; without one, as for a preview.

    `country` is where numbers without + belong of members whose own is not known.
    """

    def __init__(
        self,
        sheet: BroadcastContext,
        secret: bytes,
        begun: datetime,
        send: BroadcastSend | None = None,
        country: str = "",
    ) -> None:
        self._sheet = sheet
        self._country = country
        self._secret = secret
        self._begun = begun
        self._send = send
        # Who is written to again has taken part in the test already.
        self._test = None if send is not None and "of" in send.data else sheet.broadcast.test
        self._given: set[str] = set()
        """of addresses that several have: those that one of them is written to at"""
        self.slots = sheet.slots()
        self._alike: dict[tuple[Any, ...], str] = {}
        # Quiet hours put off and are the slots' business.
        self._caps = ContactRules(caps=sheet.rules.caps, quiet={}, sunset=None)
        sunset = sheet.rules.sunset
        self._asleep_after = span(sunset.after) + span(sunset.grace) if sunset is not None else None

    def judge(self, connection: Connection, members: Sequence[Member], now: datetime) -> list[AudienceVerdict]:
        """One verdict per member, in a few queries for all of them."""
        channel = self._sheet.template.channel
        addresses = [self._address(member) for member in members]
        hashes = [self._hash(address) if address else "" for address in addresses]
        states = broadcast_sends.consent_states(
            connection, channel, self._sheet.template.topic, members[0].profile_id, members[-1].profile_id
        )
        known = sorted({hashed for hashed in hashes if hashed})
        stops = {hashed: found.reason for (_, hashed), found in suppressions.find(connection, known).items()}
        shared = [hashed for member, hashed in zip(members, hashes, strict=True) if member.is_shared and hashed]
        if shared and self._send is not None:
            self._given |= broadcast_sends.addressed(connection, self._send, shared)
        others = self._others(connection, [m.profile_id for m in members], known, now)
        found = []
        for member, address, hashed in zip(members, addresses, hashes, strict=True):
            due = self._sheet.broadcast.due(member.zone, self._begun)
            reason = self._refused(member, address, states.get(member.profile_id), stops.get(hashed), due)
            if not reason and member.is_shared and hashed in self._given:
                reason = SAME_ADDRESS
            if not reason and (hashed in others or member.profile_id in others):
                reason = self._full(member, hashed, due, others)
            if reason:
                found.append(AudienceVerdict(member, address, hashed, now, reason))
                continue
            if member.is_shared:
                self._given.add(hashed)
            variant = self._test.arm(self._sheet.broadcast.id, member.bucket_key) if self._test is not None else ""
            if self._test is not None and not variant:
                found.append(AudienceVerdict(member, address, hashed, LATEST, waits=True))
                continue
            at, is_held = self.slots.give(member.zone, member.country, due)
            found.append(AudienceVerdict(member, address, hashed, at, "", is_held, variant))
        return found

    def _refused(self, member: Member, address: str, consent: ConsentState | None, stop: Any, due: datetime) -> str:
        """The lasting reason against a member, asked of policy once for all who are alike."""
        engaged = member.engaged_at
        is_asleep = self._asleep_after is not None and engaged is not None and due - engaged > self._asleep_after
        alike = (consent, stop, bool(address), is_asleep)
        if alike not in self._alike:
            sheet = self._sheet
            facts = Facts(
                now=due, zone="UTC", channel=sheet.template.channel, recipient=address or None,
                is_transactional=sheet.is_transactional, basis=sheet.topic.basis if sheet.topic else "consent",
                consent=consent, suppression=stop, engaged_at=engaged if is_asleep else None,
            )  # fmt: skip
            decision = decide(sheet.rules, facts)
            self._alike[alike] = decision.reason if isinstance(decision, Skip) else ""
        return self._alike[alike]

    def _others(
        self, connection: Connection, people: Sequence[int], hashes: Sequence[str], now: datetime
    ) -> dict[str | int, dict[int, Any]]:
        """Other messages to these addresses and customers, by either: those that take a cap's place."""
        found: dict[str | int, dict[int, Any]] = {}
        if self._sheet.is_transactional or not self._sheet.rules.caps:
            return found
        for other in _others(connection, people, hashes, now, self._sheet.rules.longest):
            found.setdefault(other.hash, {})[other.id] = other
            found.setdefault(other.profile_id, {})[other.id] = other
        return found

    def _full(self, member: Member, hashed: str, due: datetime, others: Mapping[str | int, Mapping[int, Any]]) -> str:
        """The cap that has no place left, as of when it would go."""
        sheet, channel = self._sheet, self._sheet.template.channel
        sent: dict[str, tuple[datetime, ...]] = {}
        ahead: Counter[str] = Counter()
        elsewhere = (o for o in others.get(member.profile_id, {}).values() if o.channel != channel)
        for other in (*others.get(hashed, {}).values(), *elsewhere):
            if other.counted_at is not None:
                sent[other.channel] = (*sent.get(other.channel, ()), other.counted_at)
            elif other.priority <= sheet.priority and (other.expires_at is None or other.expires_at > due):
                ahead[other.channel] += 1
        facts = Facts(
            now=due, zone="UTC", channel=channel, recipient="somebody", basis="contract", sent=sent, ahead=ahead,
            last_activity_at=due,
        )  # fmt: skip
        decision = decide(self._caps, facts)
        return decision.reason if isinstance(decision, Skip) else ""

    def _address(self, member: Member) -> str:
        return address_of(self._sheet.template.channel, member.address, member.country or self._country)

    def _hash(self, address: str) -> str:
        """As `model.consent.address_hash`, in the standard library's fastest way."""
        channel = self._sheet.template.channel
        return hmac.digest(self._secret, f"{channel}:{normal_address(channel, address)}".encode(), "sha256").hex()


def rows_of(
    connection: Connection, sheet: BroadcastContext, send: BroadcastSend, verdicts: Sequence[AudienceVerdict]
) -> list[tuple[Any, ...]]:
    """Messages as tuples in the order of NAMES, sorted by address so that the index is written from end to end."""
    broadcast, template = sheet.broadcast, sheet.template
    expires = broadcast.expires or template.expires
    extra = f',"coupon":{msgspec.json.encode(broadcast.coupon).decode()}' if broadcast.coupon else ""
    of_variant = {
        variant: (name, sheet.versions.get(name, 0))
        for variant in ("", *(v.id for v in (broadcast.test.variants if broadcast.test else ())))
        for name in (send.data.get("message") or broadcast.message_of(variant),)
    }
    times: dict[datetime, tuple[Any, Any]] = {}
    for at in {verdict.at for verdict in verdicts}:
        # What waits for the winner has no end yet.
        end = broadcast_sends.stamp(connection, at + expires) if at < LATEST else None
        times[at] = (broadcast_sends.stamp(connection, at), end)
    rows = []
    for verdict in verdicts:
        member = verdict.member
        if verdict.reason:
            status, reason, data = "skipped", verdict.reason, "{}"
        else:
            contact = _contact(member.zone, member.country)
            data = f'{{"customer":{member.customer},"contact":{contact}{extra}}}'
            status, reason = ("held", "quiet_hours") if verdict.is_held else ("queued", "")
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


def shared_of(sheet: BroadcastContext, send: BroadcastSend, now: datetime) -> dict[str, Any]:
    """What all messages of a sending have in common."""
    return {
        "broadcast": send.broadcast,
        "journey": "",
        "version": sheet.version,
        "visit": send.id,
        "channel": sheet.template.channel,
        "topic": sheet.template.topic,
        "is_transactional": sheet.is_transactional,
        "priority": sheet.priority,
        "decided_at": now,
        "attempts": 0,
        "locale": "",
        "hops": 0,
    }


def _key(broadcast: str, send_id: int, profile_id: int, channel: str, hashed: str) -> str:
    """A message's key: of this sending and customer for ever. Neighbours begin alike, so that they are kept close."""
    own = blake2b(f"{broadcast}\0{send_id}\0{profile_id}\0{channel}\0{hashed}".encode(), digest_size=8)
    return _neighbourhood(broadcast, send_id, profile_id // _BUCKET) + own.hexdigest()


@lru_cache(maxsize=64)
def _neighbourhood(broadcast: str, send_id: int, bucket: int) -> str:
    return blake2b(f"{broadcast}\0{send_id}\0{bucket}".encode(), digest_size=4).hexdigest()


@lru_cache(maxsize=4096)
def _contact(zone: str, country: str | None) -> str:
    return msgspec.json.encode(Contact(zone, country)).decode()
