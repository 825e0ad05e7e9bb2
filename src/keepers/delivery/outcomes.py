"""From an attempt's outcome to what is stored of it: the message's status, its history, events, the run's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection

from keepers.channels.base import backoff
from keepers.contact.rules import Breakers
from keepers.delivery import suppression_rules, warm_up
from keepers.delivery.suppression_rules import HARD, SOFT, Bounce
from keepers.delivery.system_events import bounce_event, message_event
from keepers.model.channels import describe_channel
from keepers.model.message import OURS, MessageStatus, Outcome
from keepers.store.bulk import update_rows
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.journeys import runs
from keepers.store.messages import claims, message_history
from keepers.store.messages.claims import Freed, LockedMessage
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow
from keepers.store.schema.messages import messages as table

MOST_ATTEMPTS = 9
"""of a message without an expiry; then it has failed"""
UNCERTAIN = "uncertain"


class Done(NamedTuple):
    """An attempt and its outcome, at an instant."""

    message: MessageRow
    outcome: Outcome
    at: datetime


class Delivered(Struct):
    """What a run of delivery did; `expired` and the like are `skipped`."""

    sent: int = 0
    held: int = 0
    skipped: int = 0
    deferred: int = 0
    failed: int = 0
    bounced: int = 0
    uncertain: int = 0

    @property
    def did_something(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class _Verdict(NamedTuple):
    """How a message stands after an attempt. `keeps_place`: it still counts against its address."""

    status: MessageStatus
    reason: str = ""
    send_after: datetime | None = None
    keeps_place: bool = True


_IN_DOUBT = _Verdict("uncertain", "connection_broke")


def is_resent(message: MessageRow) -> bool:
    """Whether a message that may or may not have been sent is sent again: marketing is not."""
    return message.is_transactional or describe_channel(message.channel).is_repeatable


def lock(connection: Connection, done: Sequence[Done], others: Sequence[int] = ()) -> dict[int, LockedMessage]:
    """Locks what `record` writes, and other messages that the transaction will write, all in the order of ids."""
    # Runs before messages: see `lock_order`.
    runs.lock(connection, [run_id for one in done if (run_id := _answered_run(one.message)) is not None])
    return claims.lock_messages(connection, [*(one.message.id for one in done), *others])


def record(
    connection: Connection,
    breakers: Breakers,
    done: Sequence[Done],
    locked: Mapping[int, LockedMessage],
    total: Delivered,
) -> None:
    """Records outcomes, at least one, and adds to `total`; `locked` is by `lock` in the same transaction. Reports that
    came in before take precedence."""
    now = max(one.at for one in done)
    attempts: list[tuple[Any, ...]] = []
    statuses: list[tuple[Any, ...]] = []
    freed: list[tuple[Any, ...]] = []
    history: list[HistoryRow] = []
    events: list[SystemEvent] = []
    bounces: list[Bounce] = []
    refused: list[MessageRow] = []
    """for what they are or who sends them"""
    answers: list[tuple[int, str, Any]] = []
    for one in done:
        message, outcome, at = one
        found = locked.get(message.id)
        status, stopped_for = (found.status, found.reason) if found is not None else ("", "")
        verdict = _verdict(one)
        if status == "handed_over" and stopped_for and verdict.status == "queued":
            # Its run ended, or its sending was stopped, while it was being sent.
            verdict = _IN_DOUBT if outcome.code == UNCERTAIN else _Verdict("skipped", stopped_for, keeps_place=False)
        _count(total, verdict)
        is_sent = outcome.status == "sent"
        tries = message.attempts + (not _is_waiting(outcome))
        attempts.append((at if is_sent else None, outcome.provider_id or None, tries, message.id))
        if is_sent:
            events.append(message_event(message, "Sent", at))
        answer = _answer(one, verdict)
        if answer is not None:
            answers.append(answer)
        if status not in ("handed_over", UNCERTAIN):
            # A report came faster. Only `uncertain`, set by others when this worker's lock was lost, is replaced.
            continue
        statuses.append((verdict.status, verdict.reason, verdict.send_after or message.send_after, None, message.id))
        if not verdict.keeps_place:
            freed.append((None, message.id))
        recorded = "deferred" if verdict.status == "queued" else verdict.status
        history.append(HistoryRow(message.id, at, recorded, verdict.reason, str(outcome.detail)))
        if outcome.status == "bounced":
            bounces.append(Bounce(message, outcome.is_hard, at, "refused", str(outcome.detail)))
            events.append(bounce_event(message, at, is_hard=outcome.is_hard, fault="recipient", code=outcome.code))
        elif outcome.fault in OURS:
            refused.append(message)
    if answers:
        runs.record_answers(connection, answers, now)
    update_rows(connection, table, ("sent_at", "provider_id", "attempts"), attempts)
    update_rows(connection, table, ("status", "reason", "send_after", "claimed_by"), statuses)
    update_rows(connection, table, ("counted_at",), freed)
    message_history.append(connection, history)
    if bounces:
        suppression_rules.bounced(connection, breakers, bounces, now)
    if refused:
        suppression_rules.check_breakers(connection, breakers, refused, now)
    log.append_events(connection, events, now)


def recover(connection: Connection, dead: Sequence[str], now: datetime, limit: int = 500) -> tuple[int, int]:
    """Settles messages of dead workers; returns how many are queued again, and how many are uncertain.

    What was only claimed has not been sent. What was handed over may have been: marketing is not sent again, the rest
    is, with the same Message-ID. Call again until it returns (0, 0).
    """
    orphans = claims.held_by(connection, dead, limit)
    # One with a reason was stopped while it was being sent: it is not repeated.
    lost = [m for m in orphans if m.status == "handed_over" and (m.reason or not is_resent(m))]
    again = [m for m in orphans if m.status == "claimed" or (is_resent(m) and not m.reason)]
    waiting = [("queued", "", now, None, None, m.id) for m in again]
    update_rows(connection, table, ("status", "reason", "send_after", "claimed_by", "counted_at"), waiting)
    update_rows(
        connection, table, ("status", "reason", "claimed_by"), [(UNCERTAIN, "worker_died", None, m.id) for m in lost]
    )
    # A repeated message may have used its place of the day; what was only claimed has not.
    unused = [Freed(m.channel, m.is_transactional, m.counted_at) for m in again if m.status == "claimed"]
    warm_up.free_places(connection, unused, now)
    notes = [HistoryRow(m.id, now, UNCERTAIN, "worker_died", f"handed over by {m.claimed_by}") for m in lost]
    notes += [HistoryRow(m.id, now, "queued", "worker_died") for m in again]
    message_history.append(connection, notes)
    return len(again), len(lost)


def _verdict(one: Done) -> _Verdict:
    message, outcome, at = one
    match outcome.status:
        case "sent":
            return _Verdict("sent")
        case "bounced":
            return _Verdict("bounced", HARD if outcome.is_hard else SOFT, keeps_place=False)
        case "deferred":
            return _later(message, outcome, at)
        case "failed" if outcome.code == UNCERTAIN:
            if is_resent(message):
                return _later(message, outcome, at)
            return _IN_DOUBT
        case _:
            ours = outcome.fault if outcome.fault in OURS else ""
            return _Verdict("failed", ours or outcome.code or "refused", keeps_place=False)


def _later(message: MessageRow, outcome: Outcome, at: datetime) -> _Verdict:
    attempts = message.attempts + 1
    pause = outcome.retry_after
    if pause is None or (pause <= timedelta(0) and not _is_waiting(outcome)):
        pause = backoff(attempts, message.key)
    again = at + pause
    if message.expires_at is not None:
        if again >= message.expires_at:
            return _Verdict("skipped", "expired", keeps_place=False)
    elif attempts >= MOST_ATTEMPTS and not _is_waiting(outcome):
        return _Verdict("failed", outcome.code or "deferred", keeps_place=False)
    return _Verdict("queued", "deferred", again)


def _is_waiting(outcome: Outcome) -> bool:
    """The channel did not try: it is pausing for the other side."""
    return outcome.status == "deferred" and not outcome.code and outcome.retry_after is not None


def _answered_run(message: MessageRow) -> int | None:
    """The run that gets the answer to a message, None when there is none."""
    return message.run_id if describe_channel(message.channel).has_answer else None


def _answer(one: Done, verdict: _Verdict) -> tuple[int, str, Any] | None:
    """The answer for a webhook's run, or that there will be none."""
    message, outcome, _ = one
    run_id = _answered_run(message)
    if run_id is None or verdict.status == "queued":
        return None
    answer = outcome.answer if isinstance(outcome.answer, dict) else {"status": None, "body": outcome.answer}
    return run_id, message.step, {**answer, "visit": message.visit}


def _count(total: Delivered, verdict: _Verdict) -> None:
    name = "deferred" if verdict.status == "queued" else verdict.status
    setattr(total, name, getattr(total, name) + 1)
