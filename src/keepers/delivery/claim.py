"""From waiting to handed over: claims due messages, checks eligibility, renders, and marks them before sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.eligibility import Allow, Contact, Hold
from keepers.delivery import warm_up
from keepers.model.coupons import NO_CODE
from keepers.model.errors import UserError
from keepers.model.message import Content, Outgoing
from keepers.store.bulk import update_rows
from keepers.store.database import Store
from keepers.store.journeys import runs
from keepers.store.messages import claims, coupons, message_copies, messages, sending_switches
from keepers.store.messages.claims import Freed, LockedMessage, Slot
from keepers.store.messages.contact_history import StoredEligibility, candidate_of, lock_addresses
from keepers.store.messages.coupons import CodeRequest
from keepers.store.messages.messages import MessageRow
from keepers.store.schema.messages import messages as table

Render = Callable[[Sequence[MessageRow], datetime], Sequence[Outgoing | UserError]]
"""messages → what is sent, or why it cannot be, in their order; customers are loaded for all at once"""
QueuedMessage = tuple[MessageRow, Outgoing]
CUT_OFF = frozenset({"goal", runs.MERGED})
"""reasons of a run's end for which its waiting messages are skipped; exits skip their messages themselves"""


class Prepared(Struct):
    """`ready` is claimed and rendered, to be handed over; the rest is counted."""

    ready: list[QueuedMessage]
    claimed: int = 0
    held: int = 0
    skipped: int = 0
    failed: int = 0


class Preparer:
    """Prepares messages for one worker, and marks them as handed over."""

    def __init__(
        self,
        store: Store,
        eligibility: StoredEligibility,
        render: Render,
        worker_id: str,
        *,
        coupon_once_per: timedelta | None = timedelta(days=90),
        kept: timedelta = message_copies.KEPT,
        refresh: Callable[[Connection], None] | None = None,
    ) -> None:
        self._store = store
        self._eligibility = eligibility
        self._render = render
        self._worker_id = worker_id
        self._once_per = coupon_once_per
        self._kept = kept
        self._refresh = refresh

    def slots(self) -> list[Slot]:
        """The kinds of waiting messages; empty while nothing may be sent."""
        with self._store.read() as connection:
            if not sending_switches.is_sending(sending_switches.everything(connection)):
                return []
            return claims.slots(connection)

    def prepare(self, now: datetime, number: int, known: Sequence[Slot], most: Mapping[str, int]) -> Prepared:
        """Claims up to `number` messages that are due and eligible, in one transaction, and renders them.

        An empty claim means that nothing is due.
        """
        prepared = Prepared([])
        taken = self._claim(now, number, known, most, prepared)
        broken: list[tuple[MessageRow, UserError]] = []
        for message, outgoing in zip(taken, self._render(taken, now) if taken else (), strict=True):
            if isinstance(outgoing, UserError):
                broken.append((message, outgoing))
            else:
                known_id = message.message_id
                ready = msgspec.structs.replace(outgoing, message_id=known_id) if known_id else outgoing
                prepared.ready.append((message, ready))
        if broken:
            self._fail(broken, now, prepared)
        return prepared

    def hand_over(
        self,
        connection: Connection,
        ready: Sequence[QueuedMessage],
        locked: Mapping[int, LockedMessage],
        now: datetime,
    ) -> list[QueuedMessage]:
        """Marks messages as handed over, and keeps their copies. `locked` holds their rows as this transaction locked
        them.

        Returns those that may be sent once it is committed; others were stopped since they were claimed.
        """
        mine = [(m, outgoing) for m, outgoing in ready if self._is_mine(locked.get(m.id))]
        rows = [(m.id, outgoing.message_id, outgoing.content.locale or m.locale, m.attempts) for m, outgoing in mine]
        claims.hand_over(connection, rows, now)
        copies = [(m.id, outgoing.content) for m, outgoing in mine if _is_kept(outgoing.content)]
        message_copies.put(connection, copies, now, self._kept)
        warm_up.free_places(connection, [_place_of(m) for m, _ in ready if not self._is_mine(locked.get(m.id))], now)
        return mine

    def requeue(self, ids: Sequence[int], now: datetime) -> None:
        """Requeues what was claimed and not sent, except what another worker has by now."""
        with self._store.begin() as connection:
            warm_up.free_places(connection, claims.requeue(connection, self._worker_id, ids, now), now)

    def _is_mine(self, locked: LockedMessage | None) -> bool:
        return locked is not None and locked.status == "claimed" and locked.claimed_by == self._worker_id

    def _claim(
        self, now: datetime, number: int, known: Sequence[Slot], most: Mapping[str, int], prepared: Prepared
    ) -> list[MessageRow]:
        contacts = self._load_contacts(now, number, known, most)
        with self._store.begin() as connection:
            if not sending_switches.is_sending(sending_switches.everything(connection)):
                return []
            due = claims.due(connection, now, number, known, most)
            prepared.claimed = len(due)
            if not due:
                return []
            if self._refresh is not None:
                # Messages may have been queued by definitions that were applied since the last claim.
                self._refresh(connection)
            ended = runs.ended_as(connection, sorted({m.run_id for m in due if m.run_id is not None}))
            candidates = [
                candidate_of(m, is_run_alive=m.run_id is None or ended.get(m.run_id) not in CUT_OFF) for m in due
            ]
            lock_addresses(connection, candidates)
            # All transactions lock the warm-up's row after the addresses and the messages.
            allowance = warm_up.load_allowance(connection, self._eligibility.rules, now)
            decisions = self._eligibility.decide(
                connection, candidates, now, contacts=contacts, reserving=True, allowance=allowance
            )
            if allowance is not None:
                warm_up.save_allowance(connection, allowance, now)
            allowed: list[MessageRow] = []
            held: list[tuple[MessageRow, str, datetime]] = []
            skipped: list[tuple[MessageRow, str]] = []
            for message, decision in zip(due, decisions, strict=True):
                if isinstance(decision, Allow):
                    allowed.append(message)
                elif isinstance(decision, Hold):
                    held.append((message, decision.reason, decision.until))
                else:
                    skipped.append((message, decision.reason))
            wants = [w for m in allowed if (w := self._want(m)) is not None]
            codes = coupons.assign(connection, wants, now) if wants else {}
            without = {w.message_key for w in wants if w.message_key not in codes}
            skipped += [(m, NO_CODE) for m in allowed if m.key in without]
            allowed = [claims.with_place(m, now) for m in allowed]
            taken = [_with_code(m, codes.get(m.key)) for m in allowed if m.key not in without]
            offered = [(msgspec.json.encode(m.data).decode(), m.id) for m in taken if m.key in codes]
            update_rows(connection, table, ("data",), offered)
            claims.claim(connection, self._worker_id, taken, now)
            claims.postpone(connection, "held", held, now)
            claims.skip(connection, skipped, now)
            warm_up.free_places(connection, [_place_of(m) for m in allowed if m.key in without], now)
            prepared.held += len(held)
            prepared.skipped += len(skipped)
        return taken

    def _load_contacts(
        self, now: datetime, number: int, known: Sequence[Slot], most: Mapping[str, int]
    ) -> Mapping[int, Contact]:
        """Loads the next customers before the store is locked. Messages that come in between use their stored data."""
        if self._eligibility.contacts is None:
            return {}
        with self._store.read() as connection:
            next_ones = claims.due(connection, now, number, known, most, for_update=False)
        return self._eligibility.contacts(sorted({m.profile_id for m in next_ones})) if next_ones else {}

    def _want(self, message: MessageRow) -> CodeRequest | None:
        pool = message.data.get("coupon")
        if not pool:
            return None
        known = self._eligibility.coupons.get(pool)
        once_per = known.every if known is not None else self._once_per
        return CodeRequest(pool, message.key, message.profile_id, message.run_id, once_per)

    def _fail(self, broken: Sequence[tuple[MessageRow, UserError]], now: datetime, prepared: Prepared) -> None:
        """Records messages that cannot be rendered; those stopped since they were claimed stay so."""
        with self._store.begin() as connection:
            locked = claims.lock_messages(connection, [m.id for m, _ in broken])
            failed = [(m, error) for m, error in broken if self._is_mine(locked.get(m.id))]
            for message, error in failed:
                messages.put_status(connection, [(message.id, "failed", error.code)], now, error.message)
            update_rows(connection, table, ("counted_at",), [(None, m.id) for m, _ in failed])
            warm_up.free_places(connection, [_place_of(m) for m, _ in broken], now)
        prepared.failed += len(failed)
        prepared.skipped += len(broken) - len(failed)


def one_by_one(render: Callable[[MessageRow], Outgoing]) -> Render:
    """A renderer of many messages from one of single messages."""

    def many(rows: Sequence[MessageRow], _now: datetime) -> list[Outgoing | UserError]:
        made: list[Outgoing | UserError] = []
        for row in rows:
            try:
                made.append(render(row))
            except UserError as error:
                made.append(error)
        return made

    return many


def _with_code(message: MessageRow, code: str | None) -> MessageRow:
    if code is None:
        return message
    return msgspec.structs.replace(message, data={**message.data, "offer": {"code": code}})


def _place_of(message: MessageRow) -> Freed:
    return Freed(message.channel, message.is_transactional, message.counted_at)


def _is_kept(content: Content) -> bool:
    return content != Content()
