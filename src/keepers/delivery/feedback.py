"""Feedback on sent messages: reports and requests become statuses, events, suppressions and consents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.rules import ContactRules
from keepers.delivery import suppression_rules
from keepers.delivery.machine_rules import known_network
from keepers.delivery.suppression_rules import COMPLAINED, HARD, SOFT, Bounce
from keepers.delivery.system_events import bounce_event, message_event
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
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import messages as table

CHUNK = 500
PATIENCE = timedelta(seconds=15)
"""how long requests wait to be classified: a scanner opens all of a message's links within seconds"""
UNTOLD = "not told"
"""the user agent of requests whose provider names none: that is no sign of a machine, unlike a missing one"""
_UNSUBSCRIBED = "unsubscribed"
_OUT: frozenset[MessageStatus] = frozenset({"handed_over", "sent", "uncertain"})
"""statuses that a report of delivery may follow"""
IsMachine = Callable[[EngagementRow, MessageRow, Sequence[EngagementRow]], str | None]
"""(a request, its message, all requests of that message by time) → the rule by which a machine made it, or None"""


class Feedback(Struct):
    """How much one run processed."""

    reports: int = 0
    requests: int = 0


class _MatchedReport(NamedTuple):
    """A report and the message it is about."""

    report: DeliveryReport
    message: MessageRow


def collect_feedback(
    store: Store,
    rules: ContactRules,
    topics: Mapping[str, Topic],
    secret: bytes,
    is_machine: IsMachine,
    now: datetime,
    patience: timedelta = PATIENCE,
    limit: int = 20_000,
) -> Feedback:
    """Processes what waits, in chunks of one transaction each; at most `limit` of each kind.

    `topics` are the active ones. `secret` is the workspace's, with which addresses are hashed. Requests younger than
    `patience` wait for the next run.
    """
    total = Feedback()
    _clear_warnings(store, rules, now)
    while total.reports < limit and _process_reports(store, rules, topics, secret, now, total):
        pass
    while total.requests < limit and _process_requests(store, is_machine, now - patience, now, total):
        pass
    return total


def _clear_warnings(store: Store, rules: ContactRules, now: datetime) -> None:
    with store.read() as connection:
        if not sending_switches.warned_streams(sending_switches.everything(connection)):
            return
    with store.begin() as connection:
        suppression_rules.clear_warnings(connection, rules.breakers, now)


def reclassify(
    store: Store,
    is_machine: IsMachine,
    now: datetime,
    after: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Classifies every request up to now again, past the id `after`; returns how many changed.

    A request that turns out to be a person's is appended as an event of its own time. Events appended before stay;
    figures computed from requests follow the new rules.
    """
    changed = 0
    with store.read() as connection:
        until = engagement_requests.last_id(connection)
    while after < until:
        with store.begin() as connection:
            read = [request for request in engagement_requests.read(connection, after, CHUNK) if request.id <= until]
            if not read:
                break
            after = read[-1].id
            batch = [request for request in read if request.is_machine is not None]
            judged = _classify(connection, batch, is_machine)
            other = [
                (request, m, rule) for request, m, rule in judged if (rule is not None, rule or "") != request[6:8]
            ]
            engagement_requests.put_rules(connection, [(request.id, rule) for request, _, rule in other])
            people = [(request, m, rule) for request, m, rule in other if request.is_machine and rule is None]
            log.append_events(connection, [_event_of(request, message, rule) for request, message, rule in people], now)
            changed += len(other)
        if progress is not None:
            progress(after, until)
    return changed


def _process_requests(store: Store, is_machine: IsMachine, until: datetime, now: datetime, total: Feedback) -> bool:
    with store.read() as connection:
        if not engagement_requests.unclassified(connection, until, 1):
            return False
    with store.begin() as connection:
        batch = engagement_requests.unclassified(connection, until, CHUNK)
        if not batch:
            return False
        judged = _classify(connection, batch, is_machine)
        # Requests for deleted messages are classified too, so that they do not wait for ever.
        rules = {request.id: None for request in batch} | {request.id: rule for request, _, rule in judged}
        engagement_requests.put_rules(connection, list(rules.items()))
        log.append_events(connection, [_event_of(request, message, rule) for request, message, rule in judged], now)
    total.requests += len(batch)
    return True


def _classify(
    connection: Connection, batch: Sequence[EngagementRow], is_machine: IsMachine
) -> list[tuple[EngagementRow, MessageRow, str | None]]:
    ids = sorted({request.message_id for request in batch})
    about = messages.get_many(connection, ids)
    all_requests = engagement_requests.of_messages(connection, ids)
    return [
        (
            request,
            about[request.message_id],
            is_machine(request, about[request.message_id], all_requests[request.message_id]),
        )
        for request in batch
        if request.message_id in about
    ]


def _event_of(request: EngagementRow, message: MessageRow, rule: str | None) -> SystemEvent:
    if request.is_click:
        return message_event(message, "Link Clicked", request.at, url=request.url, machine=rule is not None)
    return message_event(message, "Opened", request.at, machine=rule is not None)


def _process_reports(
    store: Store, rules: ContactRules, topics: Mapping[str, Topic], secret: bytes, now: datetime, total: Feedback
) -> bool:
    with store.read() as connection:
        if not delivery_reports.depth(connection):
            return False
    with store.begin() as connection:
        waiting = delivery_reports.read(connection, CHUNK)
        if not waiting:
            return False
        # A provider's clock may be ahead.
        reports = [msgspec.structs.replace(report, at=min(report.at, now)) for _, report in waiting]
        matched = _matched(connection, reports)
        known = {id(n.report) for n in matched}
        unsubscribed = _suppress_unmatched(connection, secret, [r for r in reports if id(r) not in known])
        _ReportBatch(connection, rules, topics, secret, now, unsubscribed).process(matched)
        delivery_reports.remove(connection, [report_id for report_id, _ in waiting])
    total.reports += len(waiting)
    return True


def _matched(connection: Connection, reports: Sequence[DeliveryReport]) -> list[_MatchedReport]:
    """By key, else by Message-ID, else by the provider's id. Never by the address: several messages go to it."""
    by_key = messages.by_keys(connection, sorted({r.key for r in reports if r.key}))
    by_id = messages.by_message_ids(connection, sorted({r.message_id for r in reports if r.message_id}))
    by_provider: dict[tuple[str, str], MessageRow] = {}
    for channel in sorted({r.channel for r in reports if r.provider_id}):
        ids = sorted({r.provider_id for r in reports if r.provider_id and r.channel == channel})
        found = messages.by_provider_ids(connection, channel, ids)
        by_provider.update({(channel, provider_id): message for provider_id, message in found.items()})
    matched = []
    for report in reports:
        message = (
            by_key.get(report.key)
            or by_id.get(report.message_id)
            or by_provider.get((report.channel, report.provider_id))
        )
        if message is not None:
            matched.append(_MatchedReport(report, message))
    return matched


def _suppress_unmatched(connection: Connection, secret: bytes, reports: Sequence[DeliveryReport]) -> list[Consent]:
    """Suppresses the addresses of reports on no known message that bounce hard, complain or unsubscribe.

    Returns the consents that end by it, which are written last.
    """
    stops, unsubscribed = [], []
    for report in reports:
        reason = _reason(report)
        if reason is None or not report.recipient:
            continue
        hashed = address_hash(secret, report.channel, report.recipient)
        stops.append(Suppression(report.channel, hashed, reason, report.at, report.source, report.detail))
        if reason == "unsubscribed":
            source = report.source or "report"
            unsubscribed += [
                Consent(
                    profile_id,
                    report.channel,
                    ALL_TOPICS,
                    "unsubscribed",
                    report.at,
                    source,
                    address_hash=hashed,
                    holds_for="address",
                )
                for profile_id in messages.profiles_at(connection, hashed)
            ]
    suppressions.add(connection, stops)
    return unsubscribed


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


class _ReportBatch:
    """A chunk of reports being written. What was recorded before is known from the messages' history."""

    def __init__(
        self,
        connection: Connection,
        rules: ContactRules,
        topics: Mapping[str, Topic],
        secret: bytes,
        now: datetime,
        unsubscribed: Sequence[Consent],
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
        self._events: list[SystemEvent] = []
        self._requests: list[EngagementRow] = []
        self._bounces: list[Bounce] = []
        self._complaints: list[tuple[MessageRow, datetime, str]] = []
        self._unsubscribed: list[Consent] = list(unsubscribed)
        self._unsubscribed_by: dict[int, dict[str, Any]] = {}
        """profile → properties of the message they unsubscribed by"""

    def process(self, matched: Sequence[_MatchedReport]) -> None:
        ids = sorted({n.message.id for n in matched})
        for message_id, listed in message_history.of_messages(self._connection, ids).items():
            self._known |= {(message_id, row.status, row.reason) for row in listed}
        # Locked from here on: a worker may be recording outcomes.
        self._status = {id: one.status for id, one in claims.lock_messages(self._connection, ids).items()}
        for item in sorted(matched, key=lambda n: n.report.at):
            self._apply(item)
        self._write()

    def _apply(self, matched: _MatchedReport) -> None:
        report, message = matched
        match report.kind:
            case "delivered":
                if self._status[message.id] in _OUT and self._is_new(matched, "delivered"):
                    self._change(message, "delivered", "")
                    self._events.append(message_event(message, "Delivered", report.at))
            case "bounced":
                fault = report.fault or "recipient"
                how = HARD if report.is_hard else SOFT if fault == "recipient" else fault
                if self._is_new(matched, "bounced", how):
                    self._change(message, "bounced", how)
                    self._bounces.append(
                        Bounce(message, report.is_hard, report.at, report.source, report.detail, fault)
                    )
                    self._events.append(
                        bounce_event(message, report.at, is_hard=report.is_hard, fault=fault, code=report.code)
                    )
            case "complained":
                if self._is_new(matched, COMPLAINED):
                    self._complaints.append((message, report.at, report.source))
                    self._events.append(message_event(message, "Marked as Spam", report.at))
            case "unsubscribed":
                if self._is_new(matched, _UNSUBSCRIBED):
                    self._unsubscribe(message, report)
            case "opened" | "clicked":
                self._requests.append(self._engagement(matched))
            case "replied":
                self._is_new(matched, "replied")

    def _unsubscribe(self, message: MessageRow, report: DeliveryReport) -> None:
        """For everyone who reads at the address: it is one inbox."""
        source = report.source or "report"
        topic = left_with(self._topics.get(message.topic))
        for profile_id in dict.fromkeys(
            (message.profile_id, *messages.profiles_at(self._connection, message.address_hash))
        ):
            unsubscribed = Consent(
                profile_id,
                message.channel,
                topic,
                "unsubscribed",
                report.at,
                source,
                address_hash=message.address_hash,
                holds_for="person" if profile_id == message.profile_id else "address",
            )
            self._unsubscribed.append(unsubscribed)
            self._unsubscribed_by[profile_id] = messages.event_properties(message)

    def _is_new(self, matched: _MatchedReport, status: str, reason: str = "") -> bool:
        """Whether this was not recorded before; then it is. A bounce that turned hard is new."""
        mark = (matched.message.id, status, reason)
        if mark in self._known:
            return False
        self._known.add(mark)
        detail = " ".join(part for part in (matched.report.code, matched.report.detail) if part)
        self._history.append(HistoryRow(matched.message.id, matched.report.at, status, reason, detail))
        return True

    def _change(self, message: MessageRow, status: MessageStatus, reason: str) -> None:
        self._status[message.id] = status
        self._changes[message.id] = (message.id, status, reason)

    def _engagement(self, matched: _MatchedReport) -> EngagementRow:
        report = matched.report
        known_by = network_address_hash(self._secret, report.ip)
        url = (report.url or "?") if report.kind == "clicked" else ""
        return EngagementRow(
            matched.message.id,
            report.at,
            url,
            report.user_agent or UNTOLD,
            known_by,
            "GET",
            network=known_network(report.ip) if report.ip else "",
            is_reported_machine=report.is_machine,
        )

    def _write(self) -> None:
        connection, breakers = self._connection, self._rules.breakers
        messages.set_status(connection, list(self._changes.values()))
        # A bounced message frees its place under the caps, as one that is refused at once.
        back = [(None, None, id) for id, status, _ in self._changes.values() if status == "bounced"]
        update_rows(connection, table, ("counted_at", "claimed_by"), back)
        message_history.append(connection, self._history)
        engagement_requests.append(connection, self._requests)
        if self._bounces:
            suppression_rules.bounced(connection, breakers, self._bounces, self._now)
        if self._complaints:
            suppression_rules.complained(connection, breakers, self._complaints, self._now)
        if self._unsubscribed:
            consents.record(connection, self._unsubscribed, self._now, properties=self._unsubscribed_by)
        log.append_events(connection, self._events, self._now)
