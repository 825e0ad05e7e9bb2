"""Whether a message may go: allowed, held until an instant, or skipped with the reason.

Asked when it is decided on, when it is released from a hold, and again just before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct, field

from keepers.contact.local_time import quiet_until
from keepers.contact.rules import ALL, ContactRules
from keepers.model.channels import COUNTED, describe_channel
from keepers.model.consent import Basis, ConsentState, SuppressionReason
from keepers.model.fields import clock, span
from keepers.model.reasons import Reason

SAME_ADDRESS = "same_address"
UNCONFIRMED = "unconfirmed_address"
KILL_SWITCH = "kill_switch"
QUIET_HOURS = "quiet_hours"
KILL_SWITCH_RETRY = timedelta(minutes=5)
STOPS_EVERYTHING: frozenset[SuppressionReason] = frozenset({"hard_bounce", "manual"})
"""suppressions that hold for transactional messages too"""
PASSING = frozenset({"cap", "brake", "expired"})
"""codes of reasons that pass by themselves"""


class Allow(Struct, frozen=True, tag=True):
    """It may go now."""


class Hold(Struct, frozen=True, tag=True):
    """It may go, not before `until` (UTC); eligibility is decided again then."""

    until: datetime
    reason: str


class Skip(Struct, frozen=True, tag=True):
    """It does not go."""

    reason: str


Decision = Allow | Hold | Skip
ALLOW = Allow()
NO_TEMPLATE = Skip("no_template")
"""the message is not in force any more"""


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a message, its recipient and their address at `now`. Instants are naive UTC."""

    now: datetime
    zone: str
    """the customer's, an IANA name"""
    channel: str
    recipient: str | None
    """None when the customer has no address on this channel"""
    is_transactional: bool = False
    basis: Basis = "consent"
    consent: ConsentState | None = None
    suppression: SuppressionReason | None = None
    is_written_to: bool = False
    """the address has a message of the same broadcast already"""
    is_sending_stopped: bool = False
    """the kill switch: everything waits"""
    breaker: str | None = None
    """what stopped this stream: `complaints`, `hard_bounces`"""
    engaged_at: datetime | None = None
    """the latest click, visit, order or consent of the customer's; None when that is not known"""
    is_run_alive: bool = True
    expires_at: datetime | None = None
    last_activity_at: datetime | None = None
    """when the customer last did something themselves"""
    country: str | None = None
    """ISO 3166 code, for national holidays"""
    is_unconfirmed: bool = False
    """the address is known from public keys alone, and nobody has confirmed it"""
    sent: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """channel → when messages counted against the address went out; what is older than 30 days may be left out"""
    ahead: Mapping[str, int] = field(default_factory=dict)
    """channel → waiting messages to the address that come first (`places.ContactHistory.counts`)"""


def decide(rules: ContactRules, facts: Facts) -> Decision:
    """In this order: address, confirmed address, suppression, consent, sunset, same address, circuit breaker, run
    alive, expiry, kill switch, quiet hours, caps.

    The kill switch holds. Transactional messages are exempt from consent, sunset, circuit breakers, quiet hours and
    caps.
    """
    reason = None if facts.recipient else "no_address"
    # First of all that is asked of an address: what is known of its reader is not for whoever named it.
    if reason is None and facts.is_unconfirmed:
        reason = UNCONFIRMED
    if reason is None:
        reason = _suppressed(facts)
    if reason is None and not facts.is_transactional:
        reason = _without_consent(facts) or _asleep(rules, facts)
    if reason is None and facts.is_written_to:
        reason = SAME_ADDRESS
    if reason is None and not facts.is_transactional and facts.breaker:
        reason = str(Reason("brake", facts.breaker))
    if reason is None and not facts.is_run_alive:
        reason = "exited"
    expires_at = facts.expires_at
    if reason is None and expires_at is not None and facts.now >= expires_at:
        reason = "expired"
    if reason is not None:
        return Skip(reason)
    hold = _held(rules, facts)
    if hold is not None:
        # Held past its expiry it would be dropped on release, so it is skipped now.
        return hold if expires_at is None or hold.until < expires_at else Skip("expired")
    if not facts.is_transactional:
        full = _full(rules, facts)
        if full is not None:
            return Skip(full)
    return ALLOW


def together(decisions: Iterable[Decision]) -> Decision:
    """Whether all of several messages could reach the customer: who takes part in an experiment of them.

    Caps, holds, circuit breakers and expiry pass and count for nothing here; the first lasting reason is returned.
    """
    for decision in decisions:
        if isinstance(decision, Skip) and Reason.parse(decision.reason).code not in PASSING:
            return decision
    return ALLOW


def _suppressed(facts: Facts) -> str | None:
    if facts.suppression and (not facts.is_transactional or facts.suppression in STOPS_EVERYTHING):
        return str(Reason("suppressed", facts.suppression))
    return None


def _without_consent(facts: Facts) -> str | None:
    if facts.consent == "unsubscribed":
        return "unsubscribed"
    if facts.basis != "consent" or facts.consent == "subscribed":
        return None
    return "consent_pending" if facts.consent == "pending" else "no_consent"


def is_asleep(rules: ContactRules, channel: str, engaged_at: datetime | None, now: datetime) -> bool:
    """Whether the sunset has come for who last engaged at `engaged_at`."""
    most = rules.longest_silence
    return most is not None and engaged_at is not None and channel in COUNTED and now - engaged_at > most


def _asleep(rules: ContactRules, facts: Facts) -> str | None:
    return "sunset" if is_asleep(rules, facts.channel, facts.engaged_at, facts.now) else None


def _held(rules: ContactRules, facts: Facts) -> Hold | None:
    if facts.is_sending_stopped:
        return Hold(facts.now + KILL_SWITCH_RETRY, KILL_SWITCH)
    active = facts.last_activity_at
    lifted = span(rules.quiet_lifted_by_activity)
    is_active = active is not None and timedelta(0) <= facts.now - active < lifted
    if facts.is_transactional or (is_active and describe_channel(facts.channel).is_quiet_lifted):
        return None
    until = end_of_quiet_hours(rules, facts.channel, facts.zone, facts.country, facts.now)
    return None if until is None else Hold(until, QUIET_HOURS)


def end_of_quiet_hours(
    rules: ContactRules, channel: str, zone: str, country: str | None, now: datetime
) -> datetime | None:
    """When quiet hours end (UTC) that hold at `now` for customers of a zone and country; None when none hold."""
    quiet = rules.quiet.get(channel)
    if quiet is None:
        return None

    def is_closed(day: date) -> bool:
        if quiet.sundays and day.weekday() == 6:
            return True
        return quiet.holidays and country is not None and day in national_holidays(country, day.year)

    start = clock(quiet.start) if quiet.start else None
    end = clock(quiet.end) if quiet.end else None
    return quiet_until(zone, now, start, end, is_closed)


def _full(rules: ContactRules, facts: Facts) -> str | None:
    """The cap that has no place left."""
    if facts.channel not in COUNTED:
        return None
    for scope in (facts.channel, ALL):
        channels = COUNTED if scope == ALL else (scope,)
        waiting = sum(facts.ahead.get(channel, 0) for channel in channels)
        for window, most, written in rules.windows.get(scope, ()):
            after = facts.now - window
            # Messages of another worker whose clock is ahead count too.
            sent = sum(1 for channel in channels for at in facts.sent.get(channel, ()) if after < at)
            if sent + waiting >= most:
                return str(Reason("cap", f"{scope}.{written}"))
    return None


@cache
def national_holidays(country: str, year: int) -> frozenset[date]:
    """A country's public holidays; none where they are not known."""
    import holidays  # takes longer to import than most commands take to run

    code = country.upper()
    if code not in holidays.list_supported_countries():
        return frozenset()
    return frozenset(holidays.country_holidays(code, years=year))


_CONTACT = "contact"


class Contact(Struct, frozen=True, omit_defaults=True):
    """What of a customer decides when they may be written to. Queued messages carry it in `data["contact"]`."""

    zone: str = "UTC"
    country: str | None = None
    last_activity_at: datetime | None = None
    engaged_at: datetime | None = None
    """the latest click, visit, order or consent; None when that is not known"""
    unconfirmed: tuple[str, ...] = ()
    """channels on which their address is known from public keys alone: anybody may have named it"""
    trusted_activity_at: datetime | None = None
    """when a trusted source last said that they did something"""

    def data(self) -> dict[str, Any]:
        """As part of a message's data."""
        return {_CONTACT: msgspec.to_builtins(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Contact | None:
        """As a message's data carries it; None where it does not."""
        found = data.get(_CONTACT)
        return msgspec.convert(found, cls) if found else None


class MessageCandidate(Struct, frozen=True):
    """A message that may go, or one that might be made. `recipient` is None where the customer has no address."""

    profile_id: int
    channel: str
    topic: str
    recipient: str | None
    priority: int = 3
    is_transactional: bool = False
    expires_at: datetime | None = None
    is_run_alive: bool = True
    contact: Contact | None = None
    """asked for where it is not given"""
    decided_at: datetime | None = None
    """None for now"""
    message_id: int = 0
    """of a message that is queued already"""
    address_hash: str = ""
    """made where it is not given"""
    has_place: bool = False
    """of a message that was tried before: it counts already"""
    is_confirmation: bool = False
    """of the one message that an unconfirmed address gets: the question whether it is theirs"""
