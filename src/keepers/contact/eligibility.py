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

from keepers.contact.rules import ALL, COUNTED, ContactRules
from keepers.model.consent import Basis, ConsentState, SuppressionReason
from keepers.model.fields import clock, span
from keepers.model.local_time import quiet_until

KILL_SWITCH_RETRY = timedelta(minutes=5)
STOPS_EVERYTHING: frozenset[SuppressionReason] = frozenset({"hard_bounce", "manual", "erased"})
"""suppressions that hold for transactional messages too"""


class Allow(Struct, frozen=True, tag=True):
    """It may go now."""


class Hold(Struct, frozen=True, tag=True):
    """It may go, not before `until` (UTC); policy is asked again then."""

    until: datetime
    reason: str


class Skip(Struct, frozen=True, tag=True):
    """It does not go."""

    reason: str


Decision = Allow | Hold | Skip
ALLOW = Allow()


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
    is_sending_stopped: bool = False
    """the kill switch: everything waits"""
    brake: str | None = None
    """what stopped this stream: `complaints`, `hard_bounces`"""
    engaged_at: datetime | None = None
    """the latest click, visit, order or consent of the customer's; None when that is not known"""
    is_run_alive: bool = True
    expires_at: datetime | None = None
    last_activity_at: datetime | None = None
    """when the customer last did something themselves"""
    country: str | None = None
    """ISO 3166 code, for national holidays"""
    sent: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """channel → when messages counted against the address went out; what is older than 30 days may be left out"""
    ahead: Mapping[str, int] = field(default_factory=dict)
    """channel → waiting messages to the address that come first: of a better priority, or as good and older"""


def decide(rules: ContactRules, facts: Facts) -> Decision:
    """In this order: suppression, consent, sunset, brake, run alive, expiry, kill switch, quiet hours, caps.

    The kill switch holds. Transactional messages are exempt from consent, sunset, brakes, quiet hours and caps.
    """
    reason = _suppressed(facts)
    if reason is None and not facts.is_transactional:
        reason = _without_consent(facts) or _asleep(rules, facts)
        if reason is None and facts.brake:
            reason = f"brake.{facts.brake}"
    if reason is None and not facts.is_run_alive:
        reason = "exited"
    expires_at = facts.expires_at
    if reason is None and expires_at is not None and facts.now >= expires_at:
        reason = "expired"
    if reason is not None:
        return Skip(reason)
    hold = _held(rules, facts)
    if hold is not None:
        # Held past its expiry it would be dropped on release: the run may as well know now.
        return hold if expires_at is None or hold.until < expires_at else Skip("expired")
    if not facts.is_transactional:
        full = _full(rules, facts)
        if full is not None:
            return Skip(full)
    return ALLOW


def together(decisions: Iterable[Decision]) -> Decision:
    """Whether all of several messages could reach the customer: who takes part in an experiment of them.

    Caps, holds, brakes and expiry pass and count for nothing here; the first lasting reason is returned.
    """
    for decision in decisions:
        if isinstance(decision, Skip) and not decision.reason.startswith(("cap.", "brake.", "expired")):
            return decision
    return ALLOW


def _suppressed(facts: Facts) -> str | None:
    if facts.suppression and (not facts.is_transactional or facts.suppression in STOPS_EVERYTHING):
        return f"suppressed.{facts.suppression}"
    return None if facts.recipient else "no_address"


def _without_consent(facts: Facts) -> str | None:
    if facts.consent == "unsubscribed":
        return "unsubscribed"
    if facts.basis != "consent" or facts.consent == "subscribed":
        return None
    return "consent_pending" if facts.consent == "pending" else "no_consent"


def _asleep(rules: ContactRules, facts: Facts) -> str | None:
    sunset = rules.sunset
    if sunset is None or facts.engaged_at is None or facts.channel not in COUNTED:
        return None
    return "sunset" if facts.now - facts.engaged_at > span(sunset.after) + span(sunset.grace) else None


def _held(rules: ContactRules, facts: Facts) -> Hold | None:
    if facts.is_sending_stopped:
        return Hold(facts.now + KILL_SWITCH_RETRY, "kill_switch")
    quiet = None if facts.is_transactional else rules.quiet.get(facts.channel)
    if quiet is None:
        return None
    active = facts.last_activity_at
    lifted = span(rules.quiet_lifted_by_activity)
    if facts.channel == "email" and active is not None and timedelta(0) <= facts.now - active < lifted:
        return None

    def is_closed(day: date) -> bool:
        if quiet.sundays and day.weekday() == 6:
            return True
        return quiet.holidays and facts.country is not None and day in national_holidays(facts.country, day.year)

    start = clock(quiet.start) if quiet.start else None
    end = clock(quiet.end) if quiet.end else None
    until = quiet_until(facts.zone, facts.now, start, end, is_closed)
    return None if until is None else Hold(until, "quiet_hours")


def _full(rules: ContactRules, facts: Facts) -> str | None:
    """The cap that has no place left."""
    if facts.channel not in COUNTED:
        return None
    for scope in (facts.channel, ALL):
        channels = COUNTED if scope == ALL else (scope,)
        waiting = sum(facts.ahead.get(channel, 0) for channel in channels)
        for window, most, written in rules.windows.get(scope, ()):
            after = facts.now - window
            sent = sum(1 for channel in channels for at in facts.sent.get(channel, ()) if after < at <= facts.now)
            if sent + waiting >= most:
                return f"cap.{scope}.{written}"
    return None


@cache
def national_holidays(country: str, year: int) -> frozenset[date]:
    """A country's public holidays; none where they are not known."""
    import holidays  # takes longer to import than most commands take to run

    code = country.upper()
    if code not in holidays.list_supported_countries():
        return frozenset()
    return frozenset(holidays.country_holidays(code, years=year))


SOON = timedelta(days=1)
"""messages that wait for longer than this take no cap's place from others yet"""


_CONTACT = "contact"


class Contact(Struct, frozen=True, omit_defaults=True):
    """What of a customer decides when they may be written to. Queued messages carry it in `data["contact"]`."""

    zone: str = "UTC"
    country: str | None = None
    last_activity_at: datetime | None = None
    engaged_at: datetime | None = None
    """the latest click, visit, order or consent; None when that is not known"""

    def data(self) -> dict[str, Any]:
        """As part of a message's data."""
        return {_CONTACT: msgspec.to_builtins(self)}


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
