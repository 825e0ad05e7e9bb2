"""Advances sendings: each tick takes every one a step further, from its audience to its last message."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.exc import InterfaceError, OperationalError

from keepers.broadcasts import winner
from keepers.broadcasts.audience_filter import NAMES, AudienceFilter, AudienceVerdict, rows_of, shared_of
from keepers.broadcasts.audiences import Audience
from keepers.broadcasts.context import BroadcastContext, context_of, named_traits_of
from keepers.contact.addresses import home_country
from keepers.contact.breakers import stream_of
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.journeys.broadcast import Broadcast
from keepers.model.fields import span
from keepers.model.moments import format_instant, parse_instant
from keepers.model.reasons import Reason
from keepers.model.write_scope import require_sequence
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store.bulk import chunks
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.messages import broadcast_sends, sending_switches
from keepers.store.messages.broadcast_sends import BroadcastSend

CHUNK = 50_000
"""customers decided on at once, outside of a write transaction"""
WRITTEN = 2_000
"""messages queued in one transaction"""
PER_TICK = 100_000
"""customers processed in one tick, so that journeys advance beside a large broadcast"""
EXPOSED = "Experiment Viewed"
NO_BROADCAST = str(Reason("broadcast_removed"))
logger = logging.getLogger("keepers")


class Broadcaster:
    """Advances sendings, tick by tick. `addresses`: channel → the trait it is in. The caller holds the sequencer's
    lock."""

    def __init__(self, store: Store, evaluator: Evaluator, addresses: Mapping[str, str], secret: bytes) -> None:
        self._store = store
        self._evaluator = evaluator
        self._addresses = addresses
        self._secret = secret
        self._filters: dict[int, tuple[int, AudienceFilter]] = {}

    def advance(self, live: ActivePlaybook, queries: ActiveQueries, now: datetime) -> int:
        """Does what is due by now; how many messages were queued or released."""
        require_sequence()
        with self._store.read() as connection:
            waiting = broadcast_sends.unfinished(connection)
            stopped = (
                sending_switches.open_breakers(sending_switches.everything(connection)) if waiting else frozenset()
            )
        done = 0
        for send in waiting:
            try:
                done += self._advance_send(live, send, queries, stopped, now)
            except (OperationalError, InterfaceError):
                # The store failed, not the sending.
                raise
            except Exception as error:
                # The other sendings and the tick continue; this one is tried again at the next tick.
                logger.exception("The sending %d of the broadcast “%s” cannot go on.", send.id, send.broadcast)
                self._filters.pop(send.id, None)
                self._record_trouble(send.id, f"{type(error).__name__}: {error}")
            else:
                if "trouble" in send.data:
                    self._record_trouble(send.id, "")
        return done

    def _advance_send(
        self, live: ActivePlaybook, send: BroadcastSend, queries: ActiveQueries, stopped: frozenset[str], now: datetime
    ) -> int:
        context = context_of(live, send.broadcast, send.data.get("message", ""))
        if send.status == "stopping" or context is None:
            self._stop(send, now)
            return 0
        if stream_of(context.template.channel, context.is_transactional) in stopped:
            # Queueing would skip everybody for a breaker that may be closed soon.
            return 0
        return self._step(context, send, queries, now)

    def _stop(self, send: BroadcastSend, now: datetime) -> None:
        """Stops a sending whose broadcast is gone, or completes a stop that was interrupted."""
        stopping: BroadcastSend | None = send
        if send.status != "stopping":
            stopping = self._update(send, status="stopping", was=send.status, why=NO_BROADCAST)
        if stopping is not None:
            broadcast_sends.skip_unsent(self._store, stopping, now)
            self._update(stopping, status="stopped", finished_at=now)

    def _step(self, context: BroadcastContext, send: BroadcastSend, queries: ActiveQueries, now: datetime) -> int:
        match send.status:
            case "scheduled" if now >= parse_instant(send.data["begins"]):
                begun = self._begin(context, send, queries, now)
                return self._queue(context, begun, queries, now) if begun is not None else 0
            case "queueing":
                return self._queue(context, send, queries, now)
            case "testing":
                return self._test(context, send, queries, now)
            case "releasing":
                return self._release(context, send, now)
            case "sending":
                self._finish(send, now)
        return 0

    def _begin(
        self, context: BroadcastContext, send: BroadcastSend, queries: ActiveQueries, now: datetime
    ) -> BroadcastSend | None:
        """Freezes the audience as of now. None when the sending was stopped."""
        size = self._freeze(context, send, queries, now)
        return self._update(send, status="queueing", begun=format_instant(now), audience=size, queued=0, skipped={})

    def _freeze(
        self,
        context: BroadcastContext,
        send: BroadcastSend,
        queries: ActiveQueries,
        at: datetime,
        *,
        again: bool = False,
    ) -> int:
        trait = self._addresses.get(context.template.channel, "")
        named = named_traits_of(context)
        audience = self._audience(send)
        of = send.data.get("of")
        if of is None:
            return audience.freeze(queries, context.broadcast.who, at, trait, named, as_of=again)
        with self._store.read() as connection:
            not_opened = broadcast_sends.not_opened(connection, broadcast_sends.get(connection, of))
            return audience.freeze_these(not_opened, trait, named)

    def _queue(self, context: BroadcastContext, send: BroadcastSend, queries: ActiveQueries, now: datetime) -> int:
        audience = self._audience(send)
        begun = parse_instant(send.data["begun"])
        if not audience.exists():
            # The warehouse was rebuilt meanwhile: the same audience is computed as of the same moment.
            self._freeze(context, send, queries, begun, again=True)
        audience_filter = self._filter_of(context, send, begun)
        queued = taken = 0
        while taken < PER_TICK:
            members = audience.chunk(send.position, CHUNK)
            if not members:
                audience.drop()
                self._filters.pop(send.id, None)
                with self._store.read() as connection:
                    broadcast_sends.reset_cache(connection)
                self._update(send, status="testing" if send.data.get("rest") else "sending")
                break
            taken += len(members)
            with self._store.read() as connection:
                verdicts = audience_filter.decide(connection, members, now)
            for some in chunks(verdicts, WRITTEN):
                written = self._write(context, send, some, now)
                if written is None:
                    # What was decided and not written is decided again when it is resumed.
                    self._filters.pop(send.id, None)
                    return queued
                send = written
                queued += sum(not v.reason for v in some)
        return queued

    def _write(
        self, context: BroadcastContext, send: BroadcastSend, verdicts: Sequence[AudienceVerdict], now: datetime
    ) -> BroadcastSend | None:
        """Queues messages in one transaction; the sending with its progress, None when it was changed meanwhile."""
        fresh = _counted(context, send, verdicts)
        with self._store.begin() as connection:
            if broadcast_sends.lock(connection, send.id) != send:
                return None
            rows = rows_of(connection, context, send, verdicts)
            broadcast_sends.queue(connection, NAMES, rows, shared_of(context, send, now))
            broadcast_sends.save(connection, fresh)
            log.append_events(connection, list(_exposures(context.broadcast, send, verdicts, now)), now)
        return fresh

    def _test(self, context: BroadcastContext, send: BroadcastSend, queries: ActiveQueries, now: datetime) -> int:
        """Waits for the results of the sample, then releases the rest with the variant that did best."""
        until = send.data.get("test_until")
        # Without `test_until` no message of the sample could be queued: there is nothing to wait for.
        if until is not None and now < parse_instant(until):
            return 0
        with self._store.read() as connection:
            if broadcast_sends.is_waiting(connection, send, tested=True):
                # Delivery is behind, or stopped: the sample is not sent yet.
                return 0
            found = winner.decide_winner(connection, self._evaluator, queries, context, send, now)
        releasing = self._update(send, status="releasing", position=0, **found)
        return self._release(context, releasing, now) if releasing is not None else 0

    def _release(self, context: BroadcastContext, send: BroadcastSend, now: datetime) -> int:
        released = 0
        slots = winner.slots_of(self._store, context, send)
        while released < PER_TICK:
            with self._store.begin() as connection:
                if broadcast_sends.lock(connection, send.id) != send:
                    return released
                chunk = broadcast_sends.held_back(connection, send, send.position)
                if not chunk:
                    break
                winner.release(connection, context, send, slots, chunk, now)
                send = msgspec.structs.replace(send, position=chunk[-1][0])
                broadcast_sends.save(connection, send)
            released += len(chunk)
        else:
            return released
        self._update(send, status="sending")
        return released

    def _finish(self, send: BroadcastSend, now: datetime) -> None:
        with self._store.read() as connection:
            if broadcast_sends.is_waiting(connection, send):
                return
        self._update(send, status="finished", finished_at=now)

    def _filter_of(self, context: BroadcastContext, send: BroadcastSend, begun: datetime) -> AudienceFilter:
        """One for as long as the sending is queued by the same definitions: it keeps the state of the throttle."""
        known = self._filters.get(send.id)
        if known is not None and known[0] == context.version:
            return known[1]
        audience_filter = AudienceFilter(context, self._secret, begun, send, home_country(self._addresses))
        if context.broadcast.per_hour is not None and send.position:
            with self._store.read() as connection:
                audience_filter.slots.restore(broadcast_sends.slots_taken(connection, send))
        self._filters[send.id] = (context.version, audience_filter)
        return audience_filter

    def _audience(self, send: BroadcastSend) -> Audience:
        return Audience(self._evaluator, f"broadcast_audience_{send.id}")

    def _record_trouble(self, send_id: int, trouble: str) -> None:
        """Stores what a sending failed of, or clears it."""
        with self._store.begin() as connection:
            send = broadcast_sends.lock(connection, send_id)
            data = {name: value for name, value in send.data.items() if name != "trouble"}
            if trouble:
                data["trouble"] = trouble
            if data != send.data:
                broadcast_sends.save(connection, msgspec.structs.replace(send, data=data))

    def _update(self, send: BroadcastSend, **changes: Any) -> BroadcastSend | None:
        """Stores changes of a sending; None, and nothing is written, when another process changed it.

        Values that are no columns go into its `data`.
        """
        columns = {name: changes.pop(name) for name in ("status", "finished_at", "position") if name in changes}
        fresh = msgspec.structs.replace(send, data={**send.data, **changes}, **columns)
        with self._store.begin() as connection:
            return fresh if broadcast_sends.replace(connection, send, fresh) else None


def _counted(context: BroadcastContext, send: BroadcastSend, verdicts: Sequence[AudienceVerdict]) -> BroadcastSend:
    """The sending after a chunk, with its progress."""
    data = dict(send.data)
    skipped = dict(data["skipped"])
    for verdict in verdicts:
        if verdict.reason:
            skipped[verdict.reason] = skipped.get(verdict.reason, 0) + 1
    data["skipped"] = skipped
    data["queued"] += sum(not v.reason for v in verdicts)
    test = context.broadcast.test
    if test is not None:
        data["rest"] = data.get("rest", 0) + sum(v.waits for v in verdicts)
        last = max((v.at for v in verdicts if v.variant), default=None)
        if last is not None:
            until = last + span(test.wait)
            known = data.get("test_until")
            data["test_until"] = format_instant(max(until, parse_instant(known)) if known else until)
    return msgspec.structs.replace(send, position=verdicts[-1].member.profile_id, data=data)


def _exposures(
    broadcast: Broadcast, send: BroadcastSend, verdicts: Sequence[AudienceVerdict], now: datetime
) -> Iterator[SystemEvent]:
    """Events of who takes part in the test, and with which variant."""
    for verdict in verdicts:
        if verdict.variant and not verdict.reason:
            named = {"experiment_id": broadcast.id, "variation_id": verdict.variant, "broadcast": broadcast.id}
            yield SystemEvent(verdict.member.profile_id, EXPOSED, now, named, trust="own")
