"""What a customer decides about what they are sent, written down at once: stop this, stop all, choose, confirm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from keepers.app.public.link_owner import Holder, addresses, channels_of, hashes, marketing
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.model.consent import ALL_TOPICS, Consent, ConsentState, Topic, left_with
from keepers.store.events.log import SystemEvent, say
from keepers.store.messages import message_history, messages
from keepers.store.messages.message_history import HistoryRow
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression

REASONS = ("too_often", "not_relevant", "never_asked", "other")
"""what somebody may give as the reason for leaving"""
Pair = tuple[str, str]
"""(channel, topic)"""


class Given(Struct, frozen=True):
    """What a decision is made with. Read before the transaction that writes it down, which is kept short."""

    secret: bytes
    topics: Mapping[str, Topic]
    now: datetime
    country: str = ""
    """where telephone numbers without + belong"""

    @classmethod
    def at(cls, desk: PublicWorkspace) -> Given:
        """As things are at this moment. Blocks."""
        return cls(desk.secret, desk.topics(), desk.clock(), desk.country)


class Choices(Struct, frozen=True):
    """How a customer stands: what each (channel, topic) of the playbook is at, and the channels that are closed to
    them because an address does not work, complained, or was stopped by hand."""

    states: dict[Pair, ConsentState | None]
    blocked: tuple[str, ...]

    def is_on(self, pair: Pair) -> bool:
        return self.states.get(pair) == "subscribed"


def choices_of(connection: Connection, given: Given, holder: Holder, traits: Mapping[str, Any]) -> Choices:
    """Reads how a customer stands now."""
    held = consents.current(connection, [holder.profile_id]).get(holder.profile_id, {})
    stopped = _stopped(connection, hashes(given.secret, addresses(holder, traits, given.country)))
    blocked = tuple(dict.fromkeys(s.channel for s in stopped if s.reason != "unsubscribed"))
    left = {s.channel for s in stopped if s.reason == "unsubscribed"}
    states: dict[Pair, ConsentState | None] = {}
    for topic in marketing(given.topics):
        for channel in topic.channels:
            said = consents.standing(held, channel, topic.id)
            unsaid: ConsentState | None = None if topic.basis == "consent" else "subscribed"
            states[channel, topic.id] = "unsubscribed" if channel in left else said.state if said else unsaid
    return Choices(states, blocked)


def stop_topic(connection: Connection, given: Given, holder: Holder, source: str) -> None:
    """No more of the message's topic on its channel; of all topics where it has none that could be left.

    Of every profile that was written to at the address: whoever reads there has had enough, whichever it was.
    """
    named = left_with(given.topics.get(holder.topic))
    hashed = holder.message.address_hash if holder.message is not None else ""
    others = [i for i in messages.profiles_at(connection, hashed) if i != holder.profile_id]
    _record(connection, given, holder, [((holder.channel, named), "unsubscribed")], source, others)
    _note(connection, given, holder, source, named)


def stop_all(connection: Connection, given: Given, holder: Holder, traits: Mapping[str, Any], source: str) -> None:
    """No more marketing on any channel. The addresses are suppressed too, so that it outlives the profile."""
    now = given.now
    channels = dict.fromkeys([*channels_of(given.topics), *filter(None, [holder.channel])])
    found = hashes(given.secret, addresses(holder, traits, given.country))
    suppressions.add(connection, [Suppression(channel, h, "unsubscribed", now, source) for channel, h in found])
    _record(connection, given, holder, [((c, ALL_TOPICS), "unsubscribed") for c in channels], source)
    _note(connection, given, holder, source, ALL_TOPICS)


def choose(
    connection: Connection,
    given: Given,
    holder: Holder,
    traits: Mapping[str, Any],
    shown: Iterable[Pair],
    on: Collection[Pair],
    source: str,
) -> None:
    """Of what the form showed, subscribes to what is ticked and leaves the rest; only changes are written.

    What the form did not show (a topic that is new since) stays as it is.
    """
    before = choices_of(connection, given, holder, traits)
    known = [pair for pair in dict.fromkeys(shown) if pair in before.states]
    changes: list[tuple[Pair, ConsentState]] = []
    for pair in known:
        if pair in on and not before.is_on(pair):
            changes.append((pair, "subscribed"))
        elif pair not in on and before.states[pair] in ("subscribed", "pending"):
            changes.append((pair, "unsubscribed"))
    lift(connection, given, holder, traits, {pair[0] for pair, state in changes if state == "subscribed"})
    _record(connection, given, holder, changes, source)


def confirm_topic(
    connection: Connection, given: Given, holder: Holder, traits: Mapping[str, Any], channel: str, topic: str
) -> bool:
    """The second yes. Whether the customer is subscribed now, by this yes or an earlier one."""
    if consents.confirm(connection, holder.profile_id, channel, topic, given.now, "double opt-in"):
        lift(connection, given, holder, traits, {channel})
        return True
    held = consents.current(connection, [holder.profile_id]).get(holder.profile_id, {})
    said = consents.standing(held, channel, topic)
    return said is not None and said.state == "subscribed"


def lift(
    connection: Connection, given: Given, holder: Holder, traits: Mapping[str, Any], channels: Collection[str]
) -> None:
    """Takes back an earlier “stop everything” on channels somebody now chooses again themselves.

    An address that bounced, complained or was stopped by hand stays stopped: this is for the business to decide.
    """
    found = [pair for pair in hashes(given.secret, addresses(holder, traits, given.country)) if pair[0] in channels]
    for stopped in _stopped(connection, found):
        if stopped.reason == "unsubscribed":
            suppressions.lift(connection, stopped.channel, stopped.hash)


def speak(connection: Connection, given: Given, holder: Holder, locale: str) -> None:
    """Notes the language a customer wants to be written to in, as the trait `locale`."""
    now = given.now
    say(connection, [SystemEvent(holder.profile_id, "identify", now, {"locale": locale}, "identify")], now)


def _stopped(connection: Connection, found: list[Pair]) -> list[Suppression]:
    stopped = suppressions.find(connection, [hashed for _, hashed in found])
    return [stopped[pair] for pair in found if pair in stopped]


def _record(
    connection: Connection,
    given: Given,
    holder: Holder,
    changes: Iterable[tuple[Pair, ConsentState]],
    source: str,
    others: Sequence[int] = (),
) -> None:
    """Also of `others`, profiles of the same inbox."""
    now, topics = given.now, given.topics
    everybody = (holder.profile_id, *others)
    told = messages.event_properties(holder.message) if holder.message is not None else {}
    statements = []
    for (channel, topic), state in changes:
        basis = topics[topic].basis if topic in topics else "consent"
        statements += [Consent(i, channel, topic, state, now, source, basis=basis) for i in everybody]
    consents.record(connection, statements, now, properties=dict.fromkeys(everybody, told))


def _note(connection: Connection, given: Given, holder: Holder, source: str, topic: str) -> None:
    """Leaving is part of what became of the message it was done from; once is enough."""
    if holder.message is None:
        return
    noted = message_history.of_messages(connection, [holder.message.id]).get(holder.message.id, [])
    if not any(row.status == "unsubscribed" and row.detail == topic for row in noted):
        row = HistoryRow(holder.message.id, given.now, "unsubscribed", source, topic)
        message_history.append(connection, [row])
