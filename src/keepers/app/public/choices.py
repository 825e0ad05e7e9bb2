"""A customer's own choices, recorded at once: leave a topic, leave all, choose topics, confirm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from keepers.app.public.link_owner import LinkOwner, addresses, channels_of, hashes, marketing
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import ALL_TOPICS, Consent, ConsentState, Topic, address_hash, left_with
from keepers.model.identity import Trust
from keepers.render.links import Confirm
from keepers.store.events.log import SystemEvent, append_events
from keepers.store.messages import message_history, messages
from keepers.store.messages.message_history import HistoryRow
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression

Pair = tuple[str, str]
"""(channel, topic)"""


class ChoiceContext(Struct, frozen=True):
    """What recording a choice needs, read before the transaction, which is kept short."""

    secret: bytes
    topics: Mapping[str, Topic]
    now: datetime
    country: str = ""
    """where telephone numbers without + belong"""

    @classmethod
    def at(cls, workspace: Workspace) -> ChoiceContext:
        """As of the present moment. Blocks."""
        return cls(workspace.secret, workspace.sending.topics(), workspace.clock(), workspace.addresses.country)


class Choices(Struct, frozen=True):
    """How a customer stands: what each (channel, topic) of the playbook is at, and the channels that are closed to
    them because an address does not work, complained, or was stopped by hand."""

    states: dict[Pair, ConsentState | None]
    blocked: tuple[str, ...]

    def is_on(self, pair: Pair) -> bool:
        return self.states.get(pair) == "subscribed"


def choices_of(connection: Connection, context: ChoiceContext, owner: LinkOwner, traits: Mapping[str, Any]) -> Choices:
    """Reads a customer's present choices."""
    at_addresses = hashes(context.secret, addresses(owner, traits, context.country))
    agreed = consents.load(connection, [owner.speaks_for], [hashed for _, hashed in at_addresses])
    stopped = _stopped(connection, at_addresses)
    address_of = _by_channel(at_addresses)
    blocked = tuple(dict.fromkeys(s.channel for s in stopped if s.reason != "unsubscribed"))
    left = {s.channel for s in stopped if s.reason == "unsubscribed"}
    states: dict[Pair, ConsentState | None] = {}
    for topic in marketing(context.topics):
        for channel in topic.channels:
            statement = agreed.effective(owner.speaks_for, channel, topic.id, address_of.get(channel, ""))
            states[channel, topic.id] = "unsubscribed" if channel in left else _state_of(topic, statement)
    return Choices(states, blocked)


def _state_of(topic: Topic, statement: Consent | None) -> ConsentState | None:
    """Where messages need no consent, they go out until somebody leaves: a request that waits, which anybody may have
    made, changes nothing."""
    if statement is not None and (topic.basis == "consent" or statement.state != "pending"):
        return statement.state
    return None if topic.basis == "consent" else "subscribed"


def stop_topic(connection: Connection, context: ChoiceContext, owner: LinkOwner, source: str) -> None:
    """No more of the message's topic on its channel; of all topics where it has none that could be left.

    It applies to every profile with that address, since the reader of the inbox has enough, whichever it was.
    """
    named = left_with(context.topics.get(owner.topic))
    hashed = owner.message.address_hash if owner.message is not None else ""
    others = [i for i in messages.profiles_at(connection, hashed) if i != owner.profile_id]
    left: list[tuple[Pair, ConsentState]] = [((owner.channel, named), "unsubscribed")]
    _record(connection, context, owner, left, source, {owner.channel: hashed}, others)
    _record_leaving(connection, context, owner, source, named)


def stop_all(
    connection: Connection, context: ChoiceContext, owner: LinkOwner, traits: Mapping[str, Any], source: str
) -> None:
    """No more marketing on any channel. The addresses are suppressed too, so that it outlives the profile."""
    now = context.now
    channels = dict.fromkeys([*channels_of(context.topics), *filter(None, [owner.channel])])
    found = hashes(context.secret, addresses(owner, traits, context.country))
    suppressions.add(connection, [Suppression(channel, h, "unsubscribed", now, source) for channel, h in found])
    left: list[tuple[Pair, ConsentState]] = [((channel, ALL_TOPICS), "unsubscribed") for channel in channels]
    _record(connection, context, owner, left, source, _by_channel(found))
    _record_leaving(connection, context, owner, source, ALL_TOPICS)


def choose(
    connection: Connection,
    context: ChoiceContext,
    owner: LinkOwner,
    traits: Mapping[str, Any],
    shown: Iterable[Pair],
    on: Collection[Pair],
    source: str,
) -> None:
    """Of what the form showed, subscribes to what is ticked and leaves the rest; only changes are written.

    What the form did not show (a topic that is new since) stays as it is.
    """
    before = choices_of(connection, context, owner, traits)
    known = [pair for pair in dict.fromkeys(shown) if pair in before.states]
    changes: list[tuple[Pair, ConsentState]] = []
    for pair in known:
        if pair in on and not before.is_on(pair):
            changes.append((pair, "subscribed"))
        elif pair not in on and before.states[pair] in ("subscribed", "pending"):
            changes.append((pair, "unsubscribed"))
    lift(connection, context, owner, traits, {pair[0] for pair, state in changes if state == "subscribed"})
    found = hashes(context.secret, addresses(owner, traits, context.country))
    _record(connection, context, owner, changes, source, _by_channel(found))


def confirm_topic(connection: Connection, context: ChoiceContext, owner: LinkOwner, confirmed: Confirm) -> bool:
    """Confirms the request that a link was sent for, in its words, for its address and no other. Whether the topic is
    subscribed to now, by this confirmation or an earlier one."""
    channel, topic = confirmed.channel, confirmed.topic
    hashed = address_hash(context.secret, channel, confirmed.address)
    who = owner.profile_id
    if consents.confirm(connection, who, confirmed.request, context.now, "double opt-in"):
        _lift(connection, [(channel, hashed)])
        return True
    statement = consents.load(connection, [who], [hashed]).effective(who, channel, topic, hashed)
    return statement is not None and statement.state == "subscribed"


def lift(
    connection: Connection,
    context: ChoiceContext,
    owner: LinkOwner,
    traits: Mapping[str, Any],
    channels: Collection[str],
) -> None:
    """Takes back an earlier “stop everything” on channels that the customer now chooses again.

    An address that bounced, complained or was stopped by hand stays stopped: this is for the business to decide.
    """
    found = [pair for pair in hashes(context.secret, addresses(owner, traits, context.country)) if pair[0] in channels]
    _lift(connection, found)


def _lift(connection: Connection, found: list[Pair]) -> None:
    for stopped in _stopped(connection, found):
        if stopped.reason == "unsubscribed":
            suppressions.lift(connection, stopped.channel, stopped.hash)


def _by_channel(at_addresses: Sequence[Pair]) -> dict[str, str]:
    """channel → the keyed hash of the address there, the message's own before those of traits."""
    return dict(reversed(at_addresses))


def choose_language(connection: Connection, context: ChoiceContext, owner: LinkOwner, locale: str) -> None:
    """Records the language a customer chose for messages, as the trait `locale`."""
    now = context.now
    trust: Trust = "own" if owner.holds_for == "person" else "public"
    chosen = SystemEvent(owner.profile_id, "identify", now, {"locale": locale}, kind="identify", trust=trust)
    append_events(connection, [chosen], now)


def _stopped(connection: Connection, found: list[Pair]) -> list[Suppression]:
    stopped = suppressions.find(connection, [hashed for _, hashed in found])
    return [stopped[pair] for pair in found if pair in stopped]


def _record(
    connection: Connection,
    context: ChoiceContext,
    owner: LinkOwner,
    changes: Iterable[tuple[Pair, ConsentState]],
    source: str,
    address_of: Mapping[str, str],
    others: Sequence[int] = (),
) -> None:
    """Also of `others`, profiles of the same inbox. `address_of`: channel → keyed hash."""
    now, topics = context.now, context.topics
    everybody = (owner.profile_id, *others)
    details = messages.event_properties(owner.message) if owner.message is not None else {}
    statements = []
    for (channel, topic), state in changes:
        basis = topics[topic].basis if topic in topics else "consent"
        hashed = address_of.get(channel, "")
        for who in everybody:
            # Of others who have the address nothing is known but that.
            holds_for = owner.holds_for if who == owner.profile_id else "address"
            if hashed or holds_for == "person":
                said_by = Consent(
                    who,
                    channel,
                    topic,
                    state,
                    now,
                    source,
                    wording="",
                    basis=basis,
                    address_hash=hashed,
                    holds_for=holds_for,
                )
                statements.append(said_by)
    consents.record(connection, statements, now, properties=dict.fromkeys(everybody, details))


def _record_leaving(connection: Connection, context: ChoiceContext, owner: LinkOwner, source: str, topic: str) -> None:
    """Records on the message that the customer left by it, once."""
    if owner.message is None:
        return
    noted = message_history.of_messages(connection, [owner.message.id]).get(owner.message.id, [])
    if not any(row.status == "unsubscribed" and row.detail == topic for row in noted):
        row = HistoryRow(owner.message.id, context.now, "unsubscribed", source, topic)
        message_history.append(connection, [row])
