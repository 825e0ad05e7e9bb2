"""The test of a broadcast: which variant did best, and the release of the rest with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.broadcasts.audiences import conversions
from keepers.broadcasts.context import BroadcastContext
from keepers.broadcasts.send_times import Slots
from keepers.conditions.parsing.conditions import Parser
from keepers.contact.eligibility import QUIET_HOURS, Contact
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.journeys.broadcast import VariantTest, goal_condition
from keepers.model.moments import parse_instant
from keepers.model.reasons import Reason
from keepers.store.database import Store
from keepers.store.messages import broadcast_sends
from keepers.store.messages.broadcast_sends import BroadcastSend, Result

_RELEASED = ("status", "reason", "send_after", "expires_at", "step", "message", "template_version")


class _StoredData(Struct):
    contact: Contact = Contact()


_stored = msgspec.json.Decoder(_StoredData)


def decide_winner(
    connection: Connection,
    evaluator: Evaluator,
    queries: ActiveQueries,
    context: BroadcastContext,
    send: BroadcastSend,
    now: datetime,
) -> dict[str, Any]:
    """The result of the test: the winner, why, and how each variant did."""
    test = context.broadcast.test
    if test is None:
        # Removed from the definition while it ran: everybody gets the broadcast's own message.
        return {"winner": "", "winner_by": str(Reason("no_test"))}
    found = broadcast_sends.results(connection, send)
    reached: Mapping[str, int] = {}
    if test.goal is not None:
        since = parse_instant(send.data["begun"])
        condition = Parser().condition(goal_condition(test.goal, since))
        reached = conversions(evaluator, queries, condition, broadcast_sends.arms(connection, send), now)
    winner, by = winner_of(test, found, reached)
    variants = {
        name: {"sent": r.sent, "opened": r.opened, "clicked": r.clicked, "reached": reached.get(name, 0)}
        for name, r in found.items()
    }
    return {"winner": winner, "winner_by": by, "variants": variants}


def winner_of(test: VariantTest, results: Mapping[str, Result], reached: Mapping[str, int]) -> tuple[str, str]:
    """The variant with the highest rate per message sent, and why it is the one: a reason as it is written."""
    sent = {v.id: results[v.id].sent if v.id in results else 0 for v in test.variants}
    if min(sent.values()) < test.least:
        return test.fallback, str(Reason("too_few_sent", str(test.least)))
    rates = {name: _good(test, results[name], reached) / sent[name] for name in sent}
    best = max(rates.values())
    first = [name for name in sent if rates[name] == best]
    if len(first) > 1:
        return (test.fallback if test.fallback in first else first[0]), str(Reason("equally_good"))
    return first[0], str(Reason(f"most_{test.winner}"))


def slots_of(store: Store, context: BroadcastContext, send: BroadcastSend) -> Slots:
    """The throttle of the rest, with the times assigned already."""
    slots = context.slots()
    if context.broadcast.per_hour is not None:
        with store.read() as connection:
            slots.restore(broadcast_sends.slots_taken(connection, send))
    return slots


def release(
    connection: Connection,
    context: BroadcastContext,
    send: BroadcastSend,
    slots: Slots,
    chunk: Sequence[tuple[int, str]],
    now: datetime,
) -> None:
    """Releases messages that were held for the winner."""
    winner = str(send.data["winner"])
    message = context.broadcast.message_of(winner)
    version = context.versions.get(message, 0)
    expires = context.broadcast.expires or context.template.expires
    rows = []
    for message_id, data in chunk:
        contact = _stored.decode(data).contact
        at, is_held = slots.assign(contact.zone, contact.country, context.broadcast.due(contact.zone, now))
        status, reason = ("held", QUIET_HOURS) if is_held else ("queued", "")
        rows.append((status, reason, at, at + expires, winner, message, version, message_id))
    broadcast_sends.release(connection, _RELEASED, rows)


def _good(test: VariantTest, result: Result, reached: Mapping[str, int]) -> int:
    match test.winner:
        case "clicks":
            return result.clicked
        case "opens":
            return result.opened
        case "conversions":
            return reached.get(result.variant, 0)
