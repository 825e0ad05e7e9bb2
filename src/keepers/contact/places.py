"""Places under the caps and under a new sending domain's warm-up: what counts, and the tie-break."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from keepers.contact.eligibility import Allow, Decision, Hold, MessageCandidate, Skip
from keepers.model.channels import describe_channel

SOON = timedelta(days=1)
"""messages that wait for longer than this take no cap's place from others yet"""
WARM_UP = "warm_up"
_LAST = float("inf")


class OtherMessage(NamedTuple):
    """A marketing message to the same address or customer that was sent (`counted_at`) or waits until `send_after`."""

    id: int
    profile_id: int
    address_hash: str
    channel: str
    priority: int
    decided_at: datetime
    send_after: datetime
    expires_at: datetime | None = None
    counted_at: datetime | None = None


class ContactHistory:
    """Messages that take places under the caps, by address and customer; kept up while others are decided on."""

    def __init__(self, others: Iterable[OtherMessage] = ()) -> None:
        self._to_address: dict[str, dict[int, OtherMessage]] = {}
        self._to_customer: dict[int, dict[int, OtherMessage]] = {}
        for other in others:
            self.add(other)

    def add(self, other: OtherMessage) -> None:
        """Adds a message, or replaces what was known of it."""
        self._to_address.setdefault(other.address_hash, {})[other.id] = other
        self._to_customer.setdefault(other.profile_id, {})[other.id] = other

    def remove(self, other: OtherMessage) -> None:
        """Removes a message that will not be sent."""
        self._to_address[other.address_hash].pop(other.id, None)
        self._to_customer[other.profile_id].pop(other.id, None)

    def is_empty(self, profile_id: int, address_hash: str) -> bool:
        """Whether nothing is known of a customer and address."""
        return not self._to_address.get(address_hash) and not self._to_customer.get(profile_id)

    def others(self, candidate: MessageCandidate, now: datetime) -> Iterator[OtherMessage]:
        """What counts for a candidate: on its own channel by address; on the others, which only the cap of all
        channels counts, by customer."""
        del now
        for other in self._to_address.get(candidate.address_hash, {}).values():
            if other.id != candidate.message_id:
                yield other
        for other in self._to_customer.get(candidate.profile_id, {}).values():
            if other.channel != candidate.channel:
                yield other

    def counts(
        self, candidate: MessageCandidate, now: datetime
    ) -> tuple[Mapping[str, tuple[datetime, ...]], Mapping[str, int]]:
        """By channel: when messages went out, and how many waiting ones come before the candidate.

        The tie-break: better priority, then decided on earlier, then queued earlier.
        """
        place = (candidate.priority, candidate.decided_at or now, candidate.message_id or _LAST)
        sent: dict[str, tuple[datetime, ...]] = {}
        ahead: dict[str, int] = {}
        for other in self.others(candidate, now):
            if other.counted_at is not None:
                sent[other.channel] = (*sent.get(other.channel, ()), other.counted_at)
            elif (
                (other.priority, other.decided_at, other.id) < place
                and other.send_after <= now + SOON
                and (other.expires_at is None or other.expires_at > now)
            ):
                ahead[other.channel] = ahead.get(other.channel, 0) + 1
        return sent, ahead

    def record(self, candidate: MessageCandidate, decision: Decision, now: datetime) -> None:
        """What was decided about a queued message counts for those that follow."""
        known = self._to_address.get(candidate.address_hash, {}).get(candidate.message_id)
        if known is None:
            return
        match decision:
            case Allow():
                self.add(known._replace(counted_at=known.counted_at or now))
            case Hold(until):
                self.add(known._replace(send_after=until))
            case Skip():
                self.remove(known)


class DailyAllowance:
    """How many marketing e-mails a new sending domain may still send on the present day (UTC); None for any number."""

    def __init__(self, left: int | None, tomorrow: datetime) -> None:
        self._left = left
        self._tomorrow = tomorrow
        self.taken = 0

    def decide(self, candidate: MessageCandidate, decision: Decision) -> Decision:
        """The decision about a message under the ramp; one that is allowed takes its place of the day."""
        is_ramped = describe_channel(candidate.channel).is_ramped and not candidate.is_transactional
        if not is_ramped or not isinstance(decision, Allow):
            return decision
        if candidate.has_place:
            # Tried again: the day that it was first tried on has counted it.
            return decision
        if self._left is None or self.taken < self._left:
            self.taken += 1
            return decision
        if candidate.expires_at is not None and candidate.expires_at <= self._tomorrow:
            return Skip("expired")
        return Hold(self._tomorrow, WARM_UP)
