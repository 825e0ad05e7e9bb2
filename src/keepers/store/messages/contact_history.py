"""What policy is told of many messages at once: suppression, consent, what was sent to the address, brakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, case, select, text

from keepers.contact.eligibility import _CONTACT, SOON, Allow, Contact, Decision, Facts, Hold, MessageCandidate, decide
from keepers.contact.rules import ContactRules
from keepers.model.consent import Topic, address_hash
from keepers.model.coupons import CouponPool
from keepers.model.message import UNFINISHED
from keepers.store.bulk import select_in
from keepers.store.messages import sending_switches
from keepers.store.messages.messages import MessageRow
from keepers.store.messages.sending_switches import Switch
from keepers.store.messages.warm_up import WarmUp, _on_ramp
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.consents import Held
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import messages

_WEBHOOK = "webhook"


Contacts = Callable[[Sequence[int]], Mapping[int, Contact]]
"""the customers of these ids as they are now; who is unknown may be absent"""


def candidate_of(message: MessageRow, *, is_run_alive: bool = True) -> MessageCandidate:
    """A queued message as a candidate."""
    kept = message.data.get(_CONTACT)
    return MessageCandidate(
        message.profile_id,
        message.channel,
        message.topic,
        message.recipient,
        message.priority,
        message.is_transactional,
        message.expires_at,
        is_run_alive,
        msgspec.convert(kept, Contact) if kept else None,
        message.decided_at,
        message.id,
        message.address_hash,
        message.counted_at is not None,
    )


class _Other(NamedTuple):
    """A message to the same address or customer that was sent or waits to be."""

    id: int
    profile_id: int
    hash: str
    channel: str
    priority: int
    decided_at: datetime
    expires_at: datetime | None
    counted_at: datetime | None


class Decider:
    """Asks policy about many messages in a few queries. `contacts` tells customers' present; without it their zone
    and so on are as they were when the message was decided on."""

    def __init__(
        self, rules: ContactRules, topics: Mapping[str, Topic], secret: bytes, contacts: Contacts | None = None
    ) -> None:
        self.rules = rules
        self.topics = topics
        self.secret = secret
        self.contacts = contacts
        self.coupons: Mapping[str, CouponPool] = {}
        """pools by id, where they are known"""

    def hash(self, channel: str, recipient: str | None) -> str:
        """An address as messages and suppressions know it; empty for none."""
        return address_hash(self.secret, channel, recipient) if recipient else ""

    def decide(
        self,
        connection: Connection,
        candidates: Sequence[MessageCandidate],
        now: datetime,
        *,
        reserving: bool = False,
        contacts: Mapping[int, Contact] | None = None,
    ) -> list[Decision]:
        """One decision per candidate, in their order. `contacts`, when given, are not asked for again.

        With `reserving` each that is allowed takes its place under the caps for those after it: the caller writes
        `counted_at` in the same transaction, in which nobody else decides about the same addresses.
        """
        known = [self._with_hash(candidate) for candidate in candidates]
        if reserving:
            _lock(connection, known)
        if contacts is None:
            asked = sorted({candidate.profile_id for candidate in known if candidate.contact is None})
            contacts = self.contacts(asked) if self.contacts is not None and asked else {}
        gathered = _Gathered(self, connection, known, now, contacts)
        ramp = WarmUp(connection, self.rules, now) if reserving and self.rules.warm_up else None
        decisions = []
        for candidate in known:
            decision = decide(self.rules, gathered.facts(candidate))
            if ramp is not None:
                decision = _on_ramp(ramp, candidate, decision)
            if reserving:
                gathered.note(candidate, decision)
            decisions.append(decision)
        if ramp is not None:
            ramp.save()
        return decisions

    def _with_hash(self, candidate: MessageCandidate) -> MessageCandidate:
        if candidate.address_hash:
            return candidate
        return msgspec.structs.replace(candidate, address_hash=self.hash(candidate.channel, candidate.recipient))


class _Gathered:
    """What the store says of some candidates, kept up while they are decided on one after the other."""

    def __init__(
        self,
        decider: Decider,
        connection: Connection,
        candidates: Sequence[MessageCandidate],
        now: datetime,
        contacts: Mapping[int, Contact],
    ) -> None:
        self._decider = decider
        self._now = now
        people = sorted({c.profile_id for c in candidates})
        hashes = sorted({c.address_hash for c in candidates} - {""})
        self._suppressed: dict[tuple[str, str], Suppression] = suppressions.find(connection, hashes)
        self._consents: dict[int, Held] = consents.current(connection, people)
        self._switches: dict[str, Switch] = sending_switches.everything(connection)
        self._contacts = contacts
        self._to_address: dict[str, dict[int, _Other]] = {}
        self._to_person: dict[int, dict[int, _Other]] = {}
        for other in _others(connection, people, hashes, now, decider.rules.longest):
            self._keep(other)

    def facts(self, candidate: MessageCandidate) -> Facts:
        topic = self._decider.topics.get(candidate.topic)
        consent = consents.standing(self._consents.get(candidate.profile_id, {}), candidate.channel, candidate.topic)
        suppression = self._suppressed.get((candidate.channel, candidate.address_hash))
        contact = self._contacts.get(candidate.profile_id) or candidate.contact or Contact()
        is_transactional = candidate.is_transactional or candidate.channel == _WEBHOOK
        brake = sending_switches.brake(self._switches, sending_switches.stream_of(candidate.channel, is_transactional))
        sent, ahead = self._counted(candidate)
        return Facts(
            now=self._now,
            zone=contact.zone,
            channel=candidate.channel,
            recipient=candidate.recipient,
            is_transactional=is_transactional,
            basis=topic.basis if topic is not None else "consent",
            consent=consent.state if consent is not None else None,
            suppression=suppression.reason if suppression is not None else None,
            is_sending_stopped=not sending_switches.is_sending(self._switches),
            brake=brake.reason if brake is not None and brake.on else None,
            engaged_at=contact.engaged_at,
            is_run_alive=candidate.is_run_alive,
            expires_at=candidate.expires_at,
            last_activity_at=contact.last_activity_at,
            country=contact.country,
            sent=sent,
            ahead=ahead,
        )

    def note(self, candidate: MessageCandidate, decision: Decision) -> None:
        """What was decided counts for those that follow."""
        held = self._to_address.get(candidate.address_hash, {}).get(candidate.message_id)
        if held is None:
            return
        if isinstance(decision, Allow):
            self._keep(held._replace(counted_at=held.counted_at or self._now))
        elif not isinstance(decision, Hold) or decision.until > self._now + SOON:
            del self._to_address[candidate.address_hash][candidate.message_id]
            self._to_person[candidate.profile_id].pop(candidate.message_id, None)

    def _keep(self, other: _Other) -> None:
        self._to_address.setdefault(other.hash, {})[other.id] = other
        self._to_person.setdefault(other.profile_id, {})[other.id] = other

    def _counted(self, candidate: MessageCandidate) -> tuple[dict[str, tuple[datetime, ...]], dict[str, int]]:
        """On its own channel by address; on the others, which only the cap of all counts, by customer."""
        place = (candidate.priority, candidate.decided_at or self._now, candidate.message_id or float("inf"))
        sent: dict[str, tuple[datetime, ...]] = {}
        ahead: dict[str, int] = {}
        to_address = self._to_address.get(candidate.address_hash, {}).values()
        to_person = self._to_person.get(candidate.profile_id, {}).values()
        for other in (*to_address, *(o for o in to_person if o.channel != candidate.channel)):
            if other.id == candidate.message_id:
                continue
            if other.counted_at is not None:
                sent[other.channel] = (*sent.get(other.channel, ()), other.counted_at)
            elif (other.priority, other.decided_at, other.id) < place and (
                other.expires_at is None or other.expires_at > self._now
            ):
                ahead[other.channel] = ahead.get(other.channel, 0) + 1
        return sent, ahead


def _others(
    connection: Connection, people: Sequence[int], hashes: Sequence[str], now: datetime, longest: timedelta
) -> Iterable[_Other]:
    columns = (
        messages.c.id, messages.c.profile_id, messages.c.address_hash, messages.c.channel, messages.c.priority,
        messages.c.decided_at, messages.c.expires_at, messages.c.counted_at,
    )  # fmt: skip
    # A CASE, for of an OR SQLite would look up both halves in indexes of their own and read nearly everything.
    counts = case(
        (messages.c.counted_at.is_not(None), messages.c.counted_at > now - longest),
        else_=messages.c.status.in_(UNFINISHED) & (messages.c.send_after <= now + SOON),
    )
    query = select(*columns).where(counts, messages.c.is_transactional.is_(False))
    for column, values in ((messages.c.address_hash, hashes), (messages.c.profile_id, people)):
        for row in select_in(connection, query, column, values):
            yield _Other(*row)


def _lock(connection: Connection, candidates: Sequence[MessageCandidate]) -> None:
    """Nobody else decides about these addresses and customers until the transaction ends. SQLite has one writer."""
    if connection.dialect.name == "sqlite":
        return
    names = {f"address {c.address_hash}" for c in candidates} | {f"profile {c.profile_id}" for c in candidates}
    # In one order, so that two workers never wait for each other in a circle.
    statement = text(
        "SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT hashtextextended(n, 0) AS k"
        " FROM unnest(CAST(:names AS text[])) AS n ORDER BY 1) AS keys"
    )
    connection.execute(statement, {"names": sorted(names)}).all()
