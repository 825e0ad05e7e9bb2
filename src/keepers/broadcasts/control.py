"""Control of broadcasts: preview, start, stop, resume, resend to those who did not open, progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from keepers.broadcasts.audience_filter import AudienceFilter
from keepers.broadcasts.audiences import Audience
from keepers.broadcasts.context import BroadcastContext, context_of, named_traits_of
from keepers.broadcasts.progress import AudiencePreview, SendingStatus
from keepers.contact.addresses import home_country
from keepers.contact.breakers import stream_of
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.i18n.problems import problem_text
from keepers.i18n.reasons import reason_text
from keepers.journeys.broadcast import EASTERNMOST, Broadcast
from keepers.model.errors import ConflictError, NotFoundError, Problem, UserError, nearest, problem
from keepers.model.message import SENT, UNSETTLED, Tally
from keepers.model.moments import format_instant, parse_instant
from keepers.model.reasons import Reason
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store.database import Store
from keepers.store.messages import broadcast_sends, coupons, sending_switches
from keepers.store.messages.broadcast_sends import BroadcastSend
from keepers.store.messages.sending_switches import Switch

Progress = Callable[[int, int], None]
_DONE = ("finished", "stopped")
_OVER = (*_DONE, "stopping")


def preview(
    store: Store,
    evaluator: Evaluator,
    live: ActivePlaybook,
    queries: ActiveQueries,
    name: str,
    addresses: Mapping[str, str],
    secret: bytes,
    now: datetime,
    progress: Progress | None = None,
    locale: str = "en",
) -> AudiencePreview:
    """Counts as a start now would decide, over the same audience, and writes nothing. Raises NotFoundError."""
    context = _context(live, name)
    begun = context.broadcast.begins(now)
    audience = Audience(evaluator, "broadcast_preview", is_temporary=True)
    trait = addresses.get(context.template.channel, "")
    size = audience.freeze(queries, context.broadcast.who, now, trait, named_traits_of(context), as_of=True)
    audience_filter = AudienceFilter(context, secret, begun, country=home_country(addresses))
    skipped: Counter[str] = Counter()
    tested: Counter[str] = Counter()
    would_get = held = position = done = 0
    first: datetime | None = None
    last: datetime | None = None
    with store.read() as connection:
        while members := audience.chunk(position):
            for verdict in audience_filter.decide(connection, members, now):
                if verdict.reason:
                    skipped[verdict.reason] += 1
                    continue
                would_get += 1
                held += verdict.is_held
                if verdict.variant:
                    tested[verdict.variant] += 1
                if not verdict.waits:
                    first = min(first or verdict.at, verdict.at)
                    last = max(last or verdict.at, verdict.at)
            position = members[-1].profile_id
            done += len(members)
            if progress is not None:
                progress(done, size)
        warnings = [problem_text(one, locale) for one in _warnings(connection, context, would_get, tested, now, locale)]
    audience.drop()
    reasons = dict(skipped.most_common())
    return AudiencePreview(
        name, now, size, would_get, reasons, held, dict(sorted(tested.items())), first, last, warnings
    )


def start(store: Store, live: ActivePlaybook, name: str, now: datetime, *, again: bool = False) -> BroadcastSend:
    """Starts a broadcast, or schedules it; the ticks do the rest.

    Raises NotFoundError; ConflictError while a sending of it is under way, or when it was sent and not `again`.
    """
    context = _context(live, name)
    broadcast = context.broadcast
    begins = broadcast.begins(now)
    with store.begin() as connection:
        earlier = broadcast_sends.of_broadcast(connection, name)
        _require_idle(earlier, name)
        if earlier and not again:
            raise ConflictError(
                problem(
                    "“{name}” was sent on {day:%Y-%m-%d}. Send it again to everybody with --again, or to those who did "
                    "not open it with resend.",
                    name=name,
                    day=earlier[-1].started_at,
                ),
                code="sent_already",
            )
        data = {"begins": format_instant(begins)}
        return broadcast_sends.begin(connection, BroadcastSend(name, context.version, "scheduled", now, data=data))


def resend(store: Store, live: ActivePlaybook, name: str, now: datetime, message: str = "") -> BroadcastSend:
    """Sends again to those who were sent the last sending and whom nobody saw open it; with another message if named.

    Raises NotFoundError, ConflictError when there is no finished sending, UserError for a message of another topic.
    """
    context = _context(live, name, message)
    if message:
        found, own = live.playbook.messages[message], context.template
        if (found.channel, found.topic) != (own.channel, own.topic):
            raise UserError(
                problem("“{message}” is not of the channel and topic of “{own}”.", message=message, own=own.id),
                code="message",
            )
    with store.begin() as connection:
        earlier = broadcast_sends.of_broadcast(connection, name)
        _require_idle(earlier, name)
        if not earlier:
            raise ConflictError(
                problem("“{name}” was not sent yet: there is nothing to repeat.", name=name), code="not_sent"
            )
        last = earlier[-1]
        # Without another message everybody gets the winner's again.
        repeated = message or context.broadcast.message_of(str(last.data.get("winner") or ""))
        data = {"begins": format_instant(now), "of": last.id, "message": repeated}
        return broadcast_sends.begin(connection, BroadcastSend(name, context.version, "scheduled", now, data=data))


def stop(store: Store, name: str, now: datetime) -> int:
    """Stops the sending under way: nothing more of it is handed over. How many messages were skipped, as `stopped`.

    Raises NotFoundError when nothing of it is under way, or another process is stopping it.
    """
    with store.begin() as connection:
        send = _under_way(connection, name)
        data = {**send.data, "was": send.status}
        stopping = msgspec.structs.replace(send, status="stopping", data=data)
        broadcast_sends.save(connection, stopping)
    done = broadcast_sends.skip_unsent(store, stopping, now)
    with store.begin() as connection:
        # A tick may have completed the stop, and another process may have resumed the sending since.
        broadcast_sends.replace(
            connection, stopping, msgspec.structs.replace(stopping, status="stopped", finished_at=now)
        )
    return done


def resume(store: Store, live: ActivePlaybook, name: str, now: datetime) -> int:
    """Continues a stopped sending from where it was; how many messages are queued again.

    Raises NotFoundError, ConflictError when the last sending is not stopped, or another process resumes it meanwhile.
    """
    broadcast = _context(live, name).broadcast
    with store.read() as connection:
        earlier = broadcast_sends.of_broadcast(connection, name)
    if not earlier or earlier[-1].status != "stopped":
        raise _not_stopped(name)
    send = earlier[-1]
    was = send.data.get("was", "sending")
    is_spread = broadcast.per_hour is not None and broadcast.local is None
    done = broadcast_sends.requeue(store, send, now, is_spread=is_spread)
    goes_on = msgspec.structs.replace(
        send, status=was, finished_at=None, position=0 if was == "releasing" else send.position
    )
    with store.begin() as connection:
        if not broadcast_sends.replace(connection, send, goes_on):
            raise _not_stopped(name)
    return done


def statuses(store: Store, name: str, locale: str = "en") -> list[SendingStatus]:
    """All sendings of a broadcast, newest first."""
    with store.read() as connection:
        trouble = _stopped_by(sending_switches.everything(connection), locale)
        found = []
        for send in reversed(broadcast_sends.of_broadcast(connection, name)):
            tally = broadcast_sends.tally(connection, send)
            found.append(
                _status(send, tally, locale, "" if send.status in _DONE else trouble or send.data.get("trouble", ""))
            )
    return found


def newest(store: Store) -> dict[str, BroadcastSend]:
    """The last sending of every broadcast."""
    with store.read() as connection:
        return broadcast_sends.newest(connection)


def under_way(store: Store) -> list[str]:
    """The broadcasts whose last sending is neither finished nor stopped."""
    return sorted(name for name, send in newest(store).items() if send.status not in _OVER)


def _stopped_by(known: Mapping[str, Switch], locale: str) -> str:
    """The switch or breakers that stop what is under way, as a sentence; empty when nothing does."""
    if not sending_switches.is_sending(known):
        return problem_text(problem("all sending is switched off"), locale)
    stopped = sorted(sending_switches.open_breakers(known))
    if not stopped:
        return ""
    reasons = sending_switches.stops(known).breakers
    breakers = ", ".join(f"{one} ({reason_text(Reason('breaker', reasons[one]), locale)})" for one in stopped)
    return problem_text(problem("a circuit breaker is open: {breakers}", breakers=breakers), locale)


def _status(send: BroadcastSend, tally: list[Tally], locale: str, trouble: str) -> SendingStatus:
    data = send.data
    skipped: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for one in tally:
        numbers[one.status] += one.number
        if one.status == "skipped":
            skipped[one.reason] += one.number
    return SendingStatus(
        id=send.id,
        broadcast=send.broadcast,
        version=send.version,
        status=send.status,
        started_at=send.started_at,
        finished_at=send.finished_at,
        begins=parse_instant(data["begins"]),
        audience=data.get("audience", 0),
        taken=data.get("queued", 0) + sum(data.get("skipped", {}).values()),
        queued=data.get("queued", 0),
        sent=sum(numbers[status] for status in SENT),
        uncertain=numbers["uncertain"],
        waiting=sum(numbers[status] for status in UNSETTLED),
        skipped=dict(skipped.most_common()) if tally else data.get("skipped", {}),
        messages=tally,
        winner=str(data.get("winner") or ""),
        winner_by=reason_text(data["winner_by"], locale) if data.get("winner_by") else "",
        variants=data.get("variants", {}),
        test_until=parse_instant(data["test_until"]) if data.get("test_until") else None,
        of=data.get("of"),
        trouble=trouble,
    )


def _warnings(
    connection: Connection,
    context: BroadcastContext,
    would_get: int,
    tested: Counter[str],
    now: datetime,
    locale: str,
) -> list[Problem]:
    found: list[Problem] = []
    broadcast, test = context.broadcast, context.broadcast.test
    if broadcast.coupon:
        stock = coupons.stock(connection, now).get(broadcast.coupon)
        left = stock.left if stock is not None else 0
        if left < would_get:
            found.append(
                problem(
                    "The pool “{pool}” has {left:,} codes for {number:,} customers.",
                    pool=broadcast.coupon,
                    left=left,
                    number=would_get,
                )
            )
    if test is not None:
        few = [v.id for v in test.variants if tested[v.id] < test.least]
        if few:
            found.append(
                problem(
                    "Fewer than {least} would get variant {few}: there will be no winner, the rest gets “{fallback}”.",
                    least=test.least,
                    few=", ".join(few),
                    fallback=test.fallback,
                )
            )
    if _is_past(broadcast, now):
        found.append(problem("The time to send at has passed: it will be sent at once."))
    stops = sending_switches.stops(sending_switches.everything(connection))
    if stops.is_sending_stopped:
        found.append(problem("All sending is switched off: messages wait."))
    stream = stream_of(context.template.channel, context.is_transactional)
    if reason := stops.breakers.get(stream):
        found.append(
            problem(
                "Sending of {stream} is stopped ({reason}): messages are queued once it is released.",
                stream=stream,
                reason=reason_text(Reason("breaker", reason), locale),
            )
        )
    return found


def _is_past(broadcast: Broadcast, now: datetime) -> bool:
    if broadcast.send_at is not None:
        return broadcast.send_at < now
    return broadcast.local is not None and broadcast.local + EASTERNMOST < now


def _context(live: ActivePlaybook, name: str, message: str = "") -> BroadcastContext:
    known = live.playbook.broadcasts
    if name not in known:
        raise NotFoundError(
            problem("There is no broadcast “{name}” in force.", near=nearest(name, known), name=name), name=name
        )
    if message and message not in live.playbook.messages:
        raise NotFoundError(
            problem(
                "There is no message “{message}” in force.",
                near=nearest(message, live.playbook.messages),
                message=message,
            )
        )
    found = context_of(live, name, message)
    if found is None:
        raise UserError(
            problem("A message of “{name}” is not in force; `keepers check` says which.", name=name), code="message"
        )
    return found


def _require_idle(earlier: list[BroadcastSend], name: str) -> None:
    for send in earlier:
        if send.status not in _DONE:
            raise ConflictError(
                problem("“{name}” is being sent ({status}); stop it first.", name=name, status=send.status),
                code="under_way",
            )


def _not_stopped(name: str) -> ConflictError:
    return ConflictError(problem("No sending of “{name}” is stopped.", name=name), code="not_stopped")


def _under_way(connection: Connection, name: str) -> BroadcastSend:
    """The sending under way, locked."""
    for listed in broadcast_sends.of_broadcast(connection, name):
        if listed.status in _OVER:
            continue
        send = broadcast_sends.lock(connection, listed.id)
        if send.status not in _OVER:
            return send
    raise NotFoundError(problem("No sending of “{name}” is under way.", name=name), name=name)
