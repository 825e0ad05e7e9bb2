"""The facts of eligibility, loaded for many messages at once; callers that reserve lock the addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, case, select, text

from keepers.contact.eligibility import Contact, Decision, MessageCandidate
from keepers.contact.places import SOON, ContactHistory, DailyAllowance, OtherMessage
from keepers.contact.rules import ContactRules
from keepers.contact.wave import EligibilityWave, RecipientFacts
from keepers.model.consent import CONFIRMATION, Topic, address_hash
from keepers.model.coupons import CouponPool
from keepers.model.message import UNFINISHED
from keepers.store.bulk import select_in
from keepers.store.messages import sending_switches
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, identities, suppressions
from keepers.store.schema.messages import messages

LoadContacts = Callable[[Sequence[int]], Mapping[int, Contact]]
"""the customers of these ids as they are now; who is unknown may be absent"""


def candidate_of(message: MessageRow, *, is_run_alive: bool = True) -> MessageCandidate:
    """A queued message as a candidate."""
    return MessageCandidate(
        message.profile_id,
        message.channel,
        message.topic,
        message.recipient,
        message.priority,
        message.is_transactional,
        message.expires_at,
        is_run_alive,
        Contact.from_data(message.data),
        message.decided_at,
        message.id,
        message.address_hash,
        message.counted_at is not None,
        message.message == CONFIRMATION and message.run_id is None and message.broadcast is None,
    )


class StoredEligibility:
    """Eligibility of many messages by what the store knows, in a few queries. `contacts` loads customers as they are
    now; without it their zone and so on are as they were when the message was decided on."""

    def __init__(
        self, rules: ContactRules, topics: Mapping[str, Topic], secret: bytes, contacts: LoadContacts | None = None
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
        contacts: Mapping[int, Contact] | None = None,
        reserving: bool = False,
        allowance: DailyAllowance | None = None,
    ) -> list[Decision]:
        """One decision per candidate, in their order. `contacts`, when given, are not loaded again.

        With `reserving` each that is allowed takes its place under the caps, and of the day's `allowance`, for those
        after it: the caller has locked the addresses (`lock_addresses`) and writes `counted_at` in this transaction.
        """
        known = [self._with_hash(candidate) for candidate in candidates]
        customers = sorted({candidate.profile_id for candidate in known})
        hashes = sorted({candidate.address_hash for candidate in known} - {""})
        if contacts is None:
            without_contact = sorted({candidate.profile_id for candidate in known if candidate.contact is None})
            contacts = self.contacts(without_contact) if self.contacts is not None and without_contact else {}
        wave = EligibilityWave(
            self.rules,
            self.topics,
            ContactHistory(other_messages(connection, customers, hashes, now, self.rules.longest)),
            sending_switches.stops(sending_switches.everything(connection)),
            allowance,
        )
        suppressed = suppressions.find(connection, hashes)
        agreed = consents.load(connection, customers, hashes)
        found = [(c.profile_id, contacts.get(c.profile_id) or c.contact or Contact()) for c in known]
        active = sorted({who for who, contact in found if contact.last_activity_at is not None})
        has_user_id = identities.with_user_id(connection, active) if active else frozenset()
        decisions = []
        for candidate, (_, contact) in zip(known, found, strict=True):
            consent = agreed.effective(candidate.profile_id, candidate.channel, candidate.topic, candidate.address_hash)
            suppression = suppressed.get((candidate.channel, candidate.address_hash))
            recipient = RecipientFacts(
                consent.state if consent is not None else None,
                suppression.reason if suppression is not None else None,
                contact,
                is_confirmed=agreed.is_confirmed(
                    candidate.profile_id, candidate.channel, candidate.topic, candidate.address_hash
                ),
                is_known=candidate.profile_id in has_user_id,
            )
            decisions.append(wave.decide(candidate, recipient, now, reserving=reserving))
        return decisions

    def _with_hash(self, candidate: MessageCandidate) -> MessageCandidate:
        if candidate.address_hash:
            return candidate
        return msgspec.structs.replace(candidate, address_hash=self.hash(candidate.channel, candidate.recipient))


def other_messages(
    connection: Connection, customers: Sequence[int], hashes: Sequence[str], now: datetime, longest: timedelta
) -> Iterable[OtherMessage]:
    """Marketing messages to these customers and addresses that were sent within `longest`, or wait and go soon."""
    columns = (messages.c[name] for name in OtherMessage._fields)
    # A CASE: with OR, SQLite looks up both halves in their own indexes and reads nearly everything.
    counts = case(
        (messages.c.counted_at.is_not(None), messages.c.counted_at > now - longest),
        else_=messages.c.status.in_(UNFINISHED) & (messages.c.send_after <= now + SOON),
    )
    query = select(*columns).where(counts, messages.c.is_transactional.is_(False))
    for column, values in ((messages.c.address_hash, hashes), (messages.c.profile_id, customers)):
        for row in select_in(connection, query, column, values):
            yield OtherMessage(*row)


def lock_addresses(connection: Connection, candidates: Sequence[MessageCandidate]) -> None:
    """Locks these addresses and customers against other workers until the transaction ends. SQLite has one writer."""
    if connection.dialect.name == "sqlite":
        return
    names = {f"address {c.address_hash}" for c in candidates} | {f"profile {c.profile_id}" for c in candidates}
    # In one order, so that two workers cannot deadlock.
    statement = text(
        "SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT hashtextextended(n, 0) AS k"
        " FROM unnest(CAST(:names AS text[])) AS n ORDER BY 1) AS keys"
    )
    connection.execute(statement, {"names": sorted(names)}).all()
