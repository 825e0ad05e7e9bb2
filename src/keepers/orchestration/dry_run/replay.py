"""Runs a journey over recorded history with a virtual clock, in a temporary store: who would have entered, what would
have been sent and what not, and where runs would have ended."""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select

from keepers.contact.places import OtherMessage
from keepers.evaluation.active_queries import ActiveQueries, build
from keepers.evaluation.changes import changes_after
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.query_numbers import preview_numbers
from keepers.evaluation.relay import KIND as CHANGE
from keepers.evaluation.relay import ChangeBody
from keepers.journeys.run import GOAL
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.model.identity import Trust
from keepers.model.moments import parse_instant
from keepers.orchestration.advance import Advancer, Work
from keepers.orchestration.calendar import Calendar
from keepers.orchestration.dry_run.recorded_effects import DryRun, Known, Sent
from keepers.orchestration.dry_run.replayed import Day, Replayed
from keepers.orchestration.effects import EffectCollector
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import MessageDecisions
from keepers.orchestration.work_queue import WorkQueue, build_queue
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.playbook.load import Playbook
from keepers.store.database import Store
from keepers.store.events.log import OWN_SOURCE, LogRow
from keepers.store.journeys import entry_rejections, runs
from keepers.store.journeys.runs import RunRow
from keepers.store.migrate import upgrade
from keepers.store.profiles import consents, identities
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages
from keepers.store.schema.messages import suppressions as suppressed
from keepers.warehouse import engagement_times

WEEK = timedelta(days=7)
WHOLE = 2**62
_HISTORY = ("import", "backfill")
"""causes of changes that a live journey ignores as history, and a replay does not"""


class Replay:
    """A journey of a playbook, draft or live, ready to be run over the past."""

    def __init__(
        self, store: Store, evaluator: Evaluator, live: ActivePlaybook, playbook: Playbook, zone: ZoneInfo, name: str
    ) -> None:
        if name not in playbook.journeys:
            raise NotFoundError(
                problem("There is no journey “{name}”.", near=nearest(name, playbook.journeys), name=name), name=name
            )
        self._store = store
        self._evaluator = evaluator
        self._zone = zone
        self._name = name
        alone = msgspec.structs.replace(playbook, journeys={name: playbook.journeys[name]})
        self._live = ActivePlaybook(alone, {}, live.figures, live.fitted_at)

    def run(
        self, since: datetime, until: datetime, addresses: Mapping[str, str], secret: bytes, share: float = 1.0
    ) -> Replayed:
        """From one moment to another, for a stable sample of customers; nothing is performed or stored."""
        definitions = self._live.definitions()
        queries = build(definitions, preview_numbers(self._evaluator.warehouse, definitions))
        with _scratch() as store:
            return self._run(store, queries, since, until, addresses, secret, share)

    def _run(
        self,
        store: Store,
        queries: ActiveQueries,
        since: datetime,
        until: datetime,
        addresses: Mapping[str, str],
        secret: bytes,
        share: float,
    ) -> Replayed:
        with store.read() as connection:
            unrecorded = [name for name, query in queries.by_id.items() if query.number < 0]
            index = JourneyIndex(connection, self._live, self._zone, unrecorded)
        people = self._sample(share)
        canon = self._canon()
        waiting = self._queue(index, queries, people, since, until)
        known = self._known(people, canon, since, until)
        playbook = self._live.playbook
        dry_run = DryRun(index, addresses, secret, playbook.contact, playbook.topics, known)
        advancer = _DryRunAdvancer(store, self._evaluator, self._zone, dry_run, index)
        work = Work(advancer, index, queries, until)
        work.until(waiting, until, WHOLE)
        dry_run.release_all(until)
        with store.read() as connection:
            ids = connection.execute(select(journey_runs.c.id)).scalars().all()
            made = list(runs.get_many(connection, ids).values())
            refused = entry_rejections.counts(connection, self._name)
        missed = sorted(index.by_definition.keys() & set(unrecorded))
        return _report(self._name, since, until, len(people), made, refused, dry_run, missed)

    def _sample(self, share: float) -> frozenset[int]:
        """Customers by a stable share of their keys."""
        rows = self._evaluator.warehouse.cursor().execute(
            "SELECT profile_id, bucket_key FROM profiles WHERE kind = 'person'"
            " AND profile_id NOT IN (SELECT from_id FROM canon)"
        )
        return frozenset(who for who, key in rows.fetchall() if int(key[:8], 16) < share * 2**32)

    def _canon(self) -> dict[int, int]:
        return dict(self._evaluator.warehouse.cursor().execute("SELECT from_id, to_id FROM canon").fetchall())

    def _queue(
        self, index: JourneyIndex, queries: ActiveQueries, people: frozenset[int], since: datetime, until: datetime
    ) -> WorkQueue:
        rows = [*self._events(index, since, until), *self._changes(index, since, until)]
        canon = self._canon()
        rows = [row for row in rows if canon.get(row.profile_id, row.profile_id) in people]
        found = build_queue(rows, index, canon, since, until)
        for item in Calendar(self._evaluator.warehouse).items(index, queries, since, until, ()):
            if item.profile_id in people:
                found.setdefault(item.profile_id, deque()).append(item)
        if index.dated:
            found = {who: deque(sorted(items, key=lambda i: (i.at, i.seq))) for who, items in found.items()}
        return found

    def _events(self, index: JourneyIndex, since: datetime, until: datetime) -> Iterator[LogRow]:
        """Events and changes of traits and memberships, as if each had arrived when it happened."""
        events = sorted({*index.by_event, *index.interests.events})
        kinds = ["identify"] if index.interests.traits else []
        kinds += ["group"] if index.interests.accounts else []
        rows = self._evaluator.warehouse.cursor().execute(
            """
            SELECT seq, kind, profile_id, other_id, event, time, source, raw, trusted
            FROM tracks
            WHERE time > $since AND time <= $until
              AND ((kind IN ('track', 'page', 'screen') AND list_contains($events::VARCHAR[], event))
                   OR list_contains($kinds::VARCHAR[], kind))
            ORDER BY seq
            """,
            {"since": since, "until": until, "events": events, "kinds": kinds},
        )
        for seq, kind, who, other, event, time, source, raw, trusted in rows.fetchall():
            trust: Trust = "server" if trusted else "public"
            yield LogRow(seq, kind, who, other, event, time, time, time, source, raw.encode(), 0, trust)

    def _changes(self, index: JourneyIndex, since: datetime, until: datetime) -> Iterator[LogRow]:
        for change in changes_after(self._evaluator.warehouse, 0, WHOLE, index.watched):
            if change.initial or not since < change.at <= until:
                continue
            cause = "" if change.cause.startswith(_HISTORY) else change.cause
            body = msgspec.json.encode(ChangeBody(change.definition, change.from_stage, change.to_stage, cause))
            at = change.at
            # Below zero, apart from the log's own numbers.
            yield LogRow(
                -change.n, CHANGE, change.profile_id, None, change.definition, at, at, at, OWN_SOURCE, body, 0, "own"
            )

    def _known(self, people: frozenset[int], canon: Mapping[int, int], since: datetime, until: datetime) -> Known:
        sent: list[OtherMessage] = []
        table = messages.c
        query = select(*(table[name] for name in OtherMessage._fields)).where(
            table.counted_at > since - self._live.playbook.contact.longest, table.counted_at <= until,
            table.is_transactional.is_(False), table.journey != self._name,
        )  # fmt: skip
        with self._store.read() as connection:
            agreed = consents.load_all(connection, people, canon)
            refused = {row[:2]: Suppression(*row) for row in connection.execute(select(suppressed)).all()}
            named = identities.with_user_id(connection, sorted(people))
            for row in connection.execute(query):
                other = OtherMessage(*row)
                sent.append(other._replace(profile_id=canon.get(other.profile_id, other.profile_id)))
        engaged_at = _by_owner(engagement_times.times(self._evaluator.warehouse, since, until), people, canon)
        return Known(agreed, refused, self._activity(people, named, canon, since, until), engaged_at, sent)

    def _activity(
        self,
        people: frozenset[int],
        named: frozenset[int],
        canon: Mapping[int, int],
        since: datetime,
        until: datetime,
    ) -> dict[int, list[datetime]]:
        """Of whom it was said who they are (`named`), what trusted sources saw alone."""
        rows = self._evaluator.warehouse.cursor().execute(
            """
            SELECT profile_id, time, trusted FROM tracks
            WHERE time > ? AND time <= ? AND source <> 'keepers' AND kind IN ('track', 'page', 'screen')
            ORDER BY time
            """,
            [since - timedelta(days=1), until],
        )
        counting = [(who, at) for who, at, trusted in rows.fetchall() if trusted or canon.get(who, who) not in named]
        return _by_owner(counting, people, canon)


def _by_owner(
    rows: Sequence[tuple[int, datetime]], people: frozenset[int], canon: Mapping[int, int]
) -> dict[int, list[datetime]]:
    """Instants by the customer whose they are now, in the order they come in."""
    found: dict[int, list[datetime]] = {}
    for who, at in rows:
        owner = canon.get(who, who)
        if owner in people:
            found.setdefault(owner, []).append(at)
    return found


class _DryRunAdvancer(Advancer):
    """An advancer whose effects are only recorded."""

    def __init__(
        self, store: Store, evaluator: Evaluator, zone: ZoneInfo, dry_run: DryRun, index: JourneyIndex
    ) -> None:
        super().__init__(store, evaluator, zone, lambda _: dry_run, {}, b"")
        self._dry_run = dry_run
        self.index = index

    def message_decisions(self) -> MessageDecisions:
        return self._dry_run

    def effects(self) -> EffectCollector:
        return self._dry_run


@contextmanager
def _scratch() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="keepers-replay-") as folder:
        store = Store.open(Path(folder))
        try:
            upgrade(store)
            yield store
        finally:
            store.close()


def _report(
    name: str,
    since: datetime,
    until: datetime,
    customers: int,
    made: Sequence[RunRow],
    refused: Mapping[str, int],
    dry_run: DryRun,
    unrecorded: list[str],
) -> Replayed:
    entered = Counter(run.entered_at.date() for run in made)
    sent: dict[Any, Counter[str]] = {}
    for one in dry_run.sent:
        sent.setdefault(one.at.date(), Counter())[one.channel] += 1
    number = (until.date() - since.date()).days + 1
    days = [since.date() + timedelta(days=n) for n in range(number)]
    took = sorted(at for run in made if (at := _to_goal(run)) is not None)
    return Replayed(
        journey=name,
        since=since,
        until=until,
        customers=customers,
        entered=len(made),
        refused=dict(refused),
        sent=dict(Counter(one.channel for one in dry_run.sent)),
        held=dry_run.held,
        skipped=dict(dry_run.skipped.most_common()),
        calls=dry_run.calls,
        days=[Day(str(day), entered[day], dict(sent.get(day, {}))) for day in days],
        busiest={str(number): who for number, who in _busiest(dry_run.sent).items()},
        goals=len(took),
        goal_days=[round(_cut(took, 50), 2), round(_cut(took, 90), 2)] if took else None,
        ended=dict(Counter(run.reason for run in made if run.status == "ended").most_common()),
        waiting=dict(Counter(run.step or "" for run in made if run.status == "active").most_common()),
        unrecorded=unrecorded,
    )


def _to_goal(run: RunRow) -> float | None:
    """Days from entry to goal."""
    at = parse_instant(run.vars[GOAL]) if GOAL in run.vars else run.ended_at if run.reason == "goal" else None
    return (at - run.entered_at).total_seconds() / 86_400 if at is not None else None


def _cut(ordered: Sequence[float], percent: int) -> float:
    return ordered[0] if len(ordered) == 1 else quantiles(ordered, n=100, method="inclusive")[percent - 1]


def _busiest(sent: Sequence[Sent]) -> dict[int, int]:
    """How many customers had how many messages in their fullest seven days."""
    by_person: dict[int, list[datetime]] = {}
    for one in sent:
        by_person.setdefault(one.profile_id, []).append(one.at)
    most: Counter[int] = Counter()
    for times in by_person.values():
        week: deque[datetime] = deque()
        fullest = 0
        for at in sorted(times):
            week.append(at)
            while week[0] <= at - WEEK:
                week.popleft()
            fullest = max(fullest, len(week))
        most[fullest] += 1
    return dict(sorted(most.items()))
