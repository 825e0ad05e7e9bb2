"""What comes of sent messages, back into the loop: reports and hits become statuses, events and consequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.rules import ContactRules
from keepers.delivery import suppression_rules
from keepers.delivery.machine_rules import network_of
from keepers.delivery.suppression_rules import COMPLAINED, HARD, SOFT, Bounce
from keepers.delivery.system_events import said_of
from keepers.model.consent import (
    ALL_TOPICS,
    Consent,
    SuppressionReason,
    Topic,
    address_hash,
    left_with,
    network_address_hash,
)
from keepers.model.message import DeliveryReport, MessageStatus
from keepers.store.bulk import update_rows
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.messages import (
    claims,
    delivery_reports,
    engagement_requests,
    message_history,
    messages,
    sending_switches,
)
from keepers.store.messages.engagement_requests import HitRow
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import messages as table

CHUNK = 500
PATIENCE = timedelta(seconds=15)
"""how long hits wait to be judged: a scanner opens all of a message's links within seconds"""
UNTOLD = "not told"
"""the user agent of hits whose provider names none: no sign of a machine, as it would be of a request to us"""
_UNSUBSCRIBED = "unsubscribed"
_OUT: frozenset[MessageStatus] = frozenset({"handed_over", "sent", "uncertain"})
"""statuses after which a message may yet be said to be delivered"""
IsMachine = Callable[[HitRow, MessageRow, Sequence[HitRow]], str | None]
"""(a hit, its message, all hits of that message by time) → the rule by which it is a machine's, or None"""


class Feedback(Struct):
    """What one run did. `unmatched` reports name no message that is known."""

    reports: int = 0
    hits: int = 0
    unmatched: int = 0


class _News(NamedTuple):
    """A report and the message it is about."""

    report: DeliveryReport
    message: MessageRow


def take_feedback(
    store: Store,
    rules: ContactRules,
    topics: Mapping[str, Topic],
    secret: bytes,
    is_machine: IsMachine,
    now: datetime,
    patience: timedelta = PATIENCE,
    limit: int = 20_000,
) -> Feedback:
    """Works off what waits, chunk by chunk, each in one transaction; at most `limit` of each kind.

    `topics` are those in force. `secret` is the workspace's, with which addresses are hashed. Hits
    younger than `patience` wait for the next run.
    """
    total = Feedback()
    _look_again(store, rules, now)
    while total.reports < limit and _take_reports(store, rules, topics, secret, now, total):
        pass
    while total.hits < limit and _take_hits(store, is_machine, now - patience, now, total):
        pass
    return total


def _look_again(store: Store, rules: ContactRules, now: datetime) -> None:
    with store.read() as connection:
        if not sending_switches.warned(sending_switches.everything(connection)):
            return
    with store.begin() as connection:
        suppression_rules.look_again(connection, rules.brakes, now)


def judge_again(
    store: Store,
    is_machine: IsMachine,
    now: datetime,
    after: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Asks the rules again about every hit judged so far past the id `after`; returns how many are judged otherwise.

    A hit that turns out to be a person's is told as an event of its own time. What was told as a person's stays in
    the history: events are not taken back; the figures made of hits themselves follow the new rules.
    """
    changed = 0
    with store.read() as connection:
        until = engagement_requests.last_id(connection)
    while after < until:
        with store.begin() as connection:
            read = [hit for hit in engagement_requests.read(connection, after, CHUNK) if hit.id <= until]
            if not read:
                break
            after = read[-1].id
            batch = [hit for hit in read if hit.is_machine is not None]
            judged = _judge(connection, batch, is_machine)
            other = [(hit, m, rule) for hit, m, rule in judged if (rule is not None, rule or "") != hit[6:8]]
            engagement_requests.put_rules(connection, [(hit.id, rule) for hit, _, rule in other])
            people = [(hit, m, rule) for hit, m, rule in other if hit.is_machine and rule is None]
            log.say(connection, [_said(hit, message, rule) for hit, message, rule in people], now)
            changed += len(other)
        if progress is not None:
            progress(after, until)
    return changed


def _take_hits(store: Store, is_machine: IsMachine, until: datetime, now: datetime, total: Feedback) -> bool:
    with store.read() as connection:
        if not engagement_requests.unjudged(connection, until, 1):
            return False
    with store.begin() as connection:
        batch = engagement_requests.unjudged(connection, until, CHUNK)
        if not batch:
            return False
        judged = _judge(connection, batch, is_machine)
        # Of a message that is gone nobody asks any more; its hits wait for nothing.
        rules = {hit.id: None for hit in batch} | {hit.id: rule for hit, _, rule in judged}
        engagement_requests.put_rules(connection, list(rules.items()))
        log.say(connection, [_said(hit, message, rule) for hit, message, rule in judged], now)
    total.hits += len(batch)
    return True


def _judge(
    connection: Connection, batch: Sequence[HitRow], is_machine: IsMachine
) -> list[tuple[HitRow, MessageRow, str | None]]:
    ids = sorted({hit.message_id for hit in batch})
    about = messages.get_many(connection, ids)
    all_hits = engagement_requests.of_messages(connection, ids)
    return [
        (hit, about[hit.message_id], is_machine(hit, about[hit.message_id], all_hits[hit.message_id]))
        for hit in batch
        if hit.message_id in about
    ]


def _said(hit: HitRow, message: MessageRow, rule: str | None) -> SystemEvent:
    if hit.is_click:
        return said_of(message, "Link Clicked", hit.at, url=hit.url, machine=rule is not None)
    return said_of(message, "Opened", hit.at, machine=rule is not None)


def _take_reports(
    store: Store, rules: ContactRules, topics: Mapping[str, Topic], secret: bytes, now: datetime, total: Feedback
) -> bool:
    with store.read() as connection:
        if not delivery_reports.depth(connection):
            return False
    with store.begin() as connection:
        waiting = delivery_reports.read(connection, CHUNK)
        if not waiting:
            return False
        # Nothing happened in the future, whatever a provider's clock says.
        told = [msgspec.structs.replace(report, at=min(report.at, now)) for _, report in waiting]
        news = _matched(connection, told)
        total.unmatched += len(told) - len(news)
        matched = {id(n.report) for n in news}
        left = _suppress_unmatched(connection, secret, [r for r in told if id(r) not in matched])
        _Telling(connection, rules, topics, secret, now, left).tell(news)
        delivery_reports.remove(connection, [report_id for report_id, _ in waiting])
    total.reports += len(waiting)
    return True


def _matched(connection: Connection, told: Sequence[DeliveryReport]) -> list[_News]:
    """By key, else by Message-ID, else by the provider's name. Never by the address: whose message would it be?"""
    by_key = messages.by_keys(connection, sorted({r.key for r in told if r.key}))
    by_id = messages.by_message_ids(connection, sorted({r.message_id for r in told if r.message_id}))
    by_provider: dict[tuple[str, str], MessageRow] = {}
    for channel in sorted({r.channel for r in told if r.provider_id}):
        ids = sorted({r.provider_id for r in told if r.provider_id and r.channel == channel})
        found = messages.by_provider_ids(connection, channel, ids)
        by_provider.update({(channel, provider_id): message for provider_id, message in found.items()})
    news = []
    for report in told:
        message = (
            by_key.get(report.key)
            or by_id.get(report.message_id)
            or by_provider.get((report.channel, report.provider_id))
        )
        if message is not None:
            news.append(_News(report, message))
    return news


def _suppress_unmatched(connection: Connection, secret: bytes, told: Sequence[DeliveryReport]) -> list[Consent]:
    """A report on no message of ours still says that an address does not work, complains or wants no more.

    Suppresses the addresses; returns the consents that end by it, which are written last.
    """
    stops, left = [], []
    for report in told:
        reason = _reason(report)
        if reason is None or not report.recipient:
            continue
        hashed = address_hash(secret, report.channel, report.recipient)
        stops.append(Suppression(report.channel, hashed, reason, report.at, report.source, report.detail))
        if reason == "unsubscribed":
            source = report.source or "report"
            left += [
                Consent(profile_id, report.channel, ALL_TOPICS, "unsubscribed", report.at, source)
                for profile_id in messages.profiles_at(connection, hashed)
            ]
    suppressions.add(connection, stops)
    return left


def _reason(report: DeliveryReport) -> SuppressionReason | None:
    match report.kind:
        case "complained":
            return "complaint"
        case "bounced" if report.is_hard:
            return "hard_bounce"
        case "unsubscribed":
            return "unsubscribed"
        case _:
            return None


class _Telling:
    """One chunk of news being written down. What was told before is known from the messages' history."""

    def __init__(
        self,
        connection: Connection,
        rules: ContactRules,
        topics: Mapping[str, Topic],
        secret: bytes,
        now: datetime,
        left: Sequence[Consent],
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._topics = topics
        self._secret = secret
        self._now = now
        self._known: set[tuple[int, str, str]] = set()
        self._status: dict[int, MessageStatus] = {}
        self._changes: dict[int, tuple[int, MessageStatus, str]] = {}
        self._history: list[HistoryRow] = []
        self._said: list[SystemEvent] = []
        self._hits: list[HitRow] = []
        self._bounces: list[Bounce] = []
        self._complaints: list[tuple[MessageRow, datetime, str]] = []
        self._left: list[Consent] = list(left)
        self._left_by: dict[int, dict[str, Any]] = {}
        """profile → what is told of the message they left by"""

    def tell(self, news: Sequence[_News]) -> None:
        ids = sorted({n.message.id for n in news})
        for message_id, listed in message_history.of_messages(self._connection, ids).items():
            self._known |= {(message_id, row.status, row.reason) for row in listed}
        # Locked from here on: a worker may be writing down what became of them.
        self._status = {id: status for id, (status, _) in claims.standing(self._connection, ids).items()}
        for one in sorted(news, key=lambda n: n.report.at):
            self._take(one)
        self._write()

    def _take(self, news: _News) -> None:
        report, message = news
        match report.kind:
            case "delivered":
                if self._status[message.id] in _OUT and self._is_new(news, "delivered"):
                    self._change(message, "delivered", "")
                    self._said.append(said_of(message, "Delivered", report.at))
            case "bounced":
                how = HARD if report.is_hard else SOFT
                if self._is_new(news, "bounced", how):
                    self._change(message, "bounced", how)
                    self._bounces.append(Bounce(message, report.is_hard, report.at, report.source, report.detail))
                    self._said.append(said_of(message, "Bounced", report.at, hard=report.is_hard, code=report.code))
            case "complained":
                if self._is_new(news, COMPLAINED):
                    self._complaints.append((message, report.at, report.source))
                    self._said.append(said_of(message, "Marked as Spam", report.at))
            case "unsubscribed":
                if self._is_new(news, _UNSUBSCRIBED):
                    self._leave(message, report)
            case "opened" | "clicked":
                self._hits.append(self._hit(news))
            case "replied":
                self._is_new(news, "replied")

    def _leave(self, message: MessageRow, report: DeliveryReport) -> None:
        """Of whoever reads at the address: it is one inbox, whose owner has had enough of the topic."""
        source = report.source or "report"
        topic = left_with(self._topics.get(message.topic))
        for profile_id in dict.fromkeys(
            (message.profile_id, *messages.profiles_at(self._connection, message.address_hash))
        ):
            left = Consent(profile_id, message.channel, topic, "unsubscribed", report.at, source)
            self._left.append(left)
            self._left_by[profile_id] = messages.event_properties(message)

    def _is_new(self, news: _News, status: str, reason: str = "") -> bool:
        """Whether this was not told before; then it is noted. A bounce that turned hard is new."""
        mark = (news.message.id, status, reason)
        if mark in self._known:
            return False
        self._known.add(mark)
        detail = " ".join(part for part in (news.report.code, news.report.detail) if part)
        self._history.append(HistoryRow(news.message.id, news.report.at, status, reason, detail))
        return True

    def _change(self, message: MessageRow, status: MessageStatus, reason: str) -> None:
        self._status[message.id] = status
        self._changes[message.id] = (message.id, status, reason)

    def _hit(self, news: _News) -> HitRow:
        report = news.report
        known_by = network_address_hash(self._secret, report.ip)
        url = (report.url or "?") if report.kind == "clicked" else ""
        return HitRow(
            news.message.id,
            report.at,
            url,
            report.user_agent or UNTOLD,
            known_by,
            "GET",
            network=network_of(report.ip) if report.ip else "",
            is_said=report.is_machine,
        )

    def _write(self) -> None:
        connection, brakes = self._connection, self._rules.brakes
        messages.set_status(connection, list(self._changes.values()))
        # As of one that is refused at once: it reached nobody, and another may be tried.
        back = [(None, None, id) for id, status, _ in self._changes.values() if status == "bounced"]
        update_rows(connection, table, ("counted_at", "claimed_by"), back)
        message_history.append(connection, self._history)
        engagement_requests.append(connection, self._hits)
        if self._bounces:
            suppression_rules.bounced(connection, brakes, self._bounces, self._now)
        if self._complaints:
            suppression_rules.complained(connection, brakes, self._complaints, self._now)
        if self._left:
            consents.record(connection, self._left, self._now, properties=self._left_by)
        log.say(connection, self._said, self._now)
