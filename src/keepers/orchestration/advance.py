"""Moves journey runs: by what happened and what is due, each customer in order of time, in set-based waves.

A wave takes each customer's earliest instant, answers each set of questions in one query, and commits the moved runs
with their effects. The cursor over the log moves last: after a crash, repeated work is idempotent.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import Connection

from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.questions import Question, answer
from keepers.evaluation.relay import relay
from keepers.journeys.definition import Journey
from keepers.journeys.references import keys_for
from keepers.journeys.requests import CheckCondition, CheckEligibility, ReadTrait, StepQuestion
from keepers.journeys.run import Moved, NeedsAnswers, Run
from keepers.journeys.walk import advance as walk
from keepers.model.errors import ConflictError, problem
from keepers.model.write_scope import require_sequence
from keepers.orchestration.calendar import Calendar
from keepers.orchestration.effects import EffectCollector, request_entries, request_wakes
from keepers.orchestration.entries import enter
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import MessageDecisions
from keepers.orchestration.run_mapping import end_events, entered, first_line, row_of, run_of
from keepers.orchestration.work_queue import WorkItem, WorkQueue, build_queue, instant_of, is_read, traits_in
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store import counters, cursors, meta
from keepers.store.bulk import chunks
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import LogRow, SystemEvent
from keepers.store.journeys import entry_rejections, journey_states, run_history, runs
from keepers.store.journeys.journey_states import JourneyState
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import messages
from keepers.store.profiles import merge_rows
from keepers.warehouse.profile_lookup import ProfileSnapshot, load_profiles, survivors
from keepers.warehouse.typed_tables import collector_paused

CURSOR = "advance"
CLOCK = "advanced_to"
BATCH = 20_000
RUN_BATCH = 10_000
"""runs decided on at once: a query for all costs hardly more than for one"""
CHUNK = 1_000
"""runs moved in one transaction: some tens of milliseconds"""
_MOST_TRIES = 5
_MOST_PROFILES = 10 * RUN_BATCH


class Advanced(Struct):
    """What an advance did, in numbers."""

    entered: int = 0
    refused: int = 0
    moved: int = 0
    ended: int = 0
    queued: int = 0

    @property
    def did_something(self) -> bool:
        return bool(self.entered or self.moved or self.queued)


class Job(Struct):
    """One run at one instant, until it has moved."""

    row: RunRow
    run: Run
    journey: Journey
    at: datetime
    answers: dict[StepQuestion, Any]
    profile: ProfileSnapshot
    is_whole: bool = False
    """whether the person has traits and activity: loaded when a step reads a trait or sends"""
    moved: Moved | None = None


class Advancer:
    """Loads what the pure journeys need and stores what they return. The caller holds the sequencer's lock."""

    def __init__(
        self,
        store: Store,
        evaluator: Evaluator,
        zone: ZoneInfo,
        message_decisions: Callable[[JourneyIndex], MessageDecisions],
        addresses: Mapping[str, str],
        secret: bytes,
        batch: int | None = None,
    ) -> None:
        self.store = store
        self.evaluator = evaluator
        self._zone = zone
        self._make_message_decisions = message_decisions
        self._addresses = addresses
        self._secret = secret
        self.batch = batch or BATCH
        """rows of the log read at once"""
        self._calendar = Calendar(evaluator.warehouse)
        self._seen: ActivePlaybook | None = None
        self.index: JourneyIndex | None = None

    def relay(self, live: ActivePlaybook, now: datetime) -> int:
        """Appends the new changes that journeys listen to to the log; how many."""
        self.refresh_index(live)
        assert self.index is not None
        return relay(self.store, self.evaluator.warehouse, self.index.watched, now)

    def advance(self, live: ActivePlaybook, queries: ActiveQueries, now: datetime, answered: int) -> Advanced:
        """Moves journeys up to `now` by the rows of the log up to the seq `answered`.

        Up to there the standing queries have been evaluated and their changes relayed. Rows that the warehouse has
        loaded since wait: they would be judged by memberships that do not reflect them.
        """
        require_sequence()
        self.refresh_index(live)
        assert self.index is not None
        work = Work(self, self.index, queries, now)
        with self.store.read() as connection:
            position = cursors.get(connection, CURSOR)
            history = meta.get(connection, CLOCK)
        last = datetime.fromisoformat(history) if history else None
        if self.index.is_empty:
            if position < answered:
                self._merge_stored(position, answered)
                self._store_cursor(answered, now)
            return work.done
        learned: set[str] = set()
        while True:
            with self.store.read() as connection:
                rows = [row for row in log.read(connection, position, self.batch) if row.seq <= answered]
            is_last = len(rows) < self.batch
            # Not before the last time: rows that came late or lie ahead are processed then.
            horizon = now if is_last else min(now, max([last or datetime.min, *map(instant_of, rows)]))
            items = self._queue(rows, last, horizon)
            learned |= traits_in(rows)
            if is_last:
                self._add_dated(items, learned, queries, last, now)
            work.until(items, horizon, answered)
            if rows:
                position = rows[-1].seq
            if rows or is_last:
                self._store_cursor(position, now if is_last else last)
            if is_last:
                return work.done

    def _merge_stored(self, after: int, until: int) -> None:
        """Merges rows of the store where there are no journeys."""
        with self.store.begin() as connection:
            rows = log.of_kind(connection, "merge", after, until)
            pairs = [(row.profile_id, row.other_id, row.time) for row in rows if row.other_id is not None]
            merge_rows.merge(connection, pairs)

    def refresh_index(self, live: ActivePlaybook) -> None:
        """Reads the journeys again when something was applied since."""
        if live is not self._seen:
            with self.store.read() as connection:
                self.index = JourneyIndex(connection, live, self._zone)
            self._seen = live

    def _queue(self, rows: Sequence[LogRow], last: datetime | None, now: datetime) -> WorkQueue:
        assert self.index is not None
        canon = survivors(self.evaluator.warehouse, sorted({row.profile_id for row in rows}))
        return build_queue(rows, self.index, canon, last, now)

    def _add_dated(
        self, items: WorkQueue, learned: Collection[str], queries: ActiveQueries, last: datetime | None, now: datetime
    ) -> None:
        """Adds entries by date or schedule since the last time."""
        assert self.index is not None
        if last is None or not self.index.dated:
            return
        for item in self._calendar.items(self.index, queries, last, now, learned):
            insort(items.setdefault(item.profile_id, deque()), item, key=lambda other: other.at)

    def _store_cursor(self, position: int, clock: datetime | None) -> None:
        with self.store.begin() as connection:
            cursors.put(connection, CURSOR, position)
            if clock is not None:
                meta.put(connection, CLOCK, clock.isoformat())

    def message_decisions(self) -> MessageDecisions:
        assert self.index is not None
        return self._make_message_decisions(self.index)

    def effects(self) -> EffectCollector:
        assert self.index is not None
        return EffectCollector(self.index, self._addresses, self._secret)


class Work:
    """One advance, with what it has loaded."""

    def __init__(self, advancer: Advancer, index: JourneyIndex, queries: ActiveQueries, now: datetime) -> None:
        self._advancer = advancer
        self._store = advancer.store
        self._warehouse = advancer.evaluator.warehouse
        self._index = index
        self._queries = queries
        self._now = now
        self._message_decisions = advancer.message_decisions()
        self._profiles: dict[int, ProfileSnapshot] = {}
        """profiles loaded so far, without traits; the warehouse does not change meanwhile"""
        self.done = Advanced()

    def until(self, waiting: WorkQueue, horizon: datetime, answered: int) -> None:
        """Processes everything up to an instant."""
        is_more = True
        while is_more:
            with collector_paused():
                is_more = self._wave(waiting, horizon, answered)

    def _wave(self, waiting: WorkQueue, horizon: datetime, answered: int) -> bool:
        """Processes each customer's earliest instant; whether there may be more."""
        with self._store.read() as connection:
            states = journey_states.everything(connection)
            due = runs.due(connection, horizon, RUN_BATCH, seen=answered)
        items, due = _earliest(waiting, due, horizon, is_cut=len(due) == RUN_BATCH)
        if not items and not due:
            return False
        self._merge([item for item in items if item.merged is not None])
        self._enter(items)
        jobs = [(run, _instant(run, states)) for run in due] + self._woken(items, states, answered)
        moved = sum(self._move(some) for some in chunks(jobs, RUN_BATCH))
        return bool(items) or moved > 0

    def _merge(self, items: Sequence[WorkItem]) -> None:
        if not items:
            return
        several = [j.id for j in self._index.live.values() if not isinstance(j.reentry, str) and j.reentry.per]
        pairs = [(*item.merged, item.at) for item in items if item.merged is not None]
        with self._store.begin() as connection:
            self.done.ended += merge_rows.merge(connection, pairs, several, is_waking=True)

    def _enter(self, items: Sequence[WorkItem]) -> None:
        entering = [item for item in items if item.entries]
        for chunk in chunks(entering, CHUNK):
            profiles = self._load_profiles({item.profile_id for item in chunk})
            result = enter(self._store, self._advancer.evaluator, self._queries, profiles, chunk)
            if not result.entered and not result.refused:
                continue
            with self._store.begin() as connection:
                begun = runs.enter(connection, result.entered)
                run_history.append(connection, [first_line(run) for run in begun])
                entry_rejections.record(connection, result.refused)
                log.append_events(connection, [entered(run) for run in begun], self._now)
            self.done.entered += len(begun)
            self.done.refused += len(result.refused)

    def _woken(
        self, items: Sequence[WorkItem], states: Mapping[str, JourneyState], answered: int
    ) -> list[tuple[RunRow, datetime]]:
        """The active runs that read what happened to their customers.

        A run whose own events are not loaded yet is not evaluated: its wake is postponed until they are, at the same
        instant.
        """
        happened = {item.profile_id: item for item in items if item.wakes is not None}
        if not happened:
            return []
        found: list[tuple[RunRow, datetime]] = []
        resting: list[tuple[int, datetime]] = []
        put_off: list[tuple[RunRow, datetime]] = []
        with self._store.read() as connection:
            for profile_id, held in runs.of_profiles(connection, sorted(happened)).items():
                item = happened[profile_id]
                for run in held:
                    if item.run_id is not None and item.run_id != run.id:
                        continue
                    journey = self._index.journey(connection, run.journey, run.version)
                    assert item.wakes is not None
                    if run.entered_at > item.at or not is_read(self._index.reads(journey), item.wakes):
                        continue
                    state = states.get(run.journey)
                    if state is not None and state.is_paused:
                        resting.append((run.id, item.at))
                    elif run.seen_seq > answered:
                        put_off.append((run, item.at))
                    else:
                        found.append((run, max(item.at, run.since)))
        if resting or put_off:
            with self._store.begin() as connection:
                for run_id, at in sorted(resting):
                    runs.wake(connection, [run_id], at)
                request_wakes(connection, put_off, self._now)
        return found

    def _move(self, due: Sequence[tuple[RunRow, datetime]]) -> int:
        """Moves runs and commits the results; how many."""
        jobs = self._decide(due)
        for some in chunks(jobs, CHUNK):
            self._commit(some)
        return len(jobs)

    def _commit(self, jobs: Sequence[Job]) -> None:
        """Commits; runs that another writer changed meanwhile are read and decided again."""
        for _ in range(_MOST_TRIES):
            try:
                with self._store.begin() as connection:
                    self._write(connection, jobs)
                return
            except ConflictError:
                with self._store.read() as connection:
                    fresh = runs.get_many(connection, [job.row.id for job in jobs])
                again = [(fresh[job.row.id], job.at) for job in jobs if fresh[job.row.id].status == "active"]
                jobs = self._decide(again)
        raise ConflictError(problem("Other writers keep changing these runs; the next tick continues."), code="stale")

    def _decide(self, due: Sequence[tuple[RunRow, datetime]]) -> list[Job]:
        profiles = self._load_profiles({row.profile_id for row, _ in due})
        jobs: list[Job] = []
        with self._store.read() as connection:
            for row, at in due:
                profile = profiles.get(row.profile_id)
                if profile is not None:
                    journey = self._index.journey(connection, row.journey, row.version)
                    jobs.append(Job(row, run_of(row, profile), journey, at, {}, profile))
        waiting = jobs
        while waiting:
            unanswered: list[tuple[Job, frozenset[StepQuestion]]] = []
            for job in waiting:
                step = walk(job.journey, job.run, job.at, job.answers)
                if isinstance(step, NeedsAnswers):
                    unanswered.append((job, step.questions))
                else:
                    job.moved = step
            self._answer(unanswered)
            waiting = [job for job, _ in unanswered]
        return jobs

    def _load_profiles(self, profile_ids: Set[int]) -> Mapping[int, ProfileSnapshot]:
        if len(self._profiles) > _MOST_PROFILES:
            self._profiles.clear()
        self._profiles |= load_profiles(self._warehouse, profile_ids - self._profiles.keys(), whole=False)
        return self._profiles

    def _answer(self, unanswered: Sequence[tuple[Job, frozenset[StepQuestion]]]) -> None:
        """Answers questions in groups: conditions one query per set of them, eligibility in one call."""
        sets: dict[tuple[str, int, frozenset[StepQuestion]], list[Job]] = {}
        reads: list[tuple[Job, ReadTrait]] = []
        checks: list[tuple[Job, CheckEligibility]] = []
        for job, questions in unanswered:
            conditions = frozenset(question for question in questions if type(question) is CheckCondition)
            if conditions:
                sets.setdefault((job.journey.id, job.journey.version, conditions), []).append(job)
            if len(conditions) == len(questions):
                continue
            for question in questions:
                if isinstance(question, ReadTrait):
                    reads.append((job, question))
                elif isinstance(question, CheckEligibility):
                    checks.append((job, question))
        for (_, _, wanted), jobs in sets.items():
            self._evaluate(
                sorted(question.question for question in wanted if isinstance(question, CheckCondition)), jobs
            )
        self._complete([job for job, _ in (*reads, *checks) if not job.is_whole])
        for job, read in reads:
            is_hidden = read.trait in job.profile.unconfirmed and self._index.trusted_only(job.journey)
            job.answers[read] = None if is_hidden else job.profile.traits.get(read.trait)
        if checks:
            self._check(checks)

    def _complete(self, jobs: Sequence[Job]) -> None:
        """Loads traits and activity of those whose steps read them."""
        profiles = load_profiles(self._warehouse, {job.row.profile_id for job in jobs})
        for job in jobs:
            job.profile = profiles.get(job.row.profile_id, job.profile)
            job.is_whole = True

    def _check(self, checks: Sequence[tuple[Job, CheckEligibility]]) -> None:
        """Eligibility as of the instants of the decisions, hour by hour when catching up."""
        hours: dict[datetime, list[tuple[Job, ProfileSnapshot, CheckEligibility]]] = {}
        for job, check in checks:
            hour = job.at.replace(minute=0, second=0, microsecond=0)
            hours.setdefault(hour, []).append((job, job.profile, check))
        for of_hour in hours.values():
            self._message_decisions.check(of_hour, max(job.at for job, _, _ in of_hour))

    def _evaluate(self, names: Sequence[str], jobs: Sequence[Job]) -> None:
        journey = jobs[0].journey
        conditions = {name: self._index.question(journey, name) for name in names}
        paths = {path for name in names for path in journey.refs.get(name, ())}
        askings = [
            Question(job.run.id, job.run.profile_id, job.at, keys_for(job.run, paths) if paths else {}) for job in jobs
        ]
        replies = answer(
            self._advancer.evaluator, self._queries, conditions, askings, trusted_only=self._index.trusted_only(journey)
        )
        for name in names:
            question = CheckCondition(name)
            for job in jobs:
                job.answers[question] = replies[name, job.run.id]

    def _write(self, connection: Connection, jobs: Sequence[Job]) -> None:
        """Writes a chunk: runs, their history, messages, and events."""
        effects = self._advancer.effects()
        history: list[RunHistoryRow] = []
        events: list[SystemEvent] = []
        for job in jobs:
            assert job.moved is not None
            effects.add(job.moved.run, job.profile, job.moved.effects, job.at)
            for line in job.moved.history:
                history.append(
                    RunHistoryRow(job.row.id, line.at, line.step or "", line.visit, line.what, line.reason, line.data)
                )
                if line.what in ("goal", "ended"):
                    events += end_events(job.moved.run, line.what, line.reason, line.at)
        # In the order of `lock_order`. Runs are saved after the events, for they store the last seq.
        runs.lock(connection, [job.row.id for job in jobs])
        self.done.queued += len(messages.queue(connection, effects.messages))
        exited = [job.row.id for job in jobs if _was_left(job)]
        messages.skip_unfinished(connection, "exited", self._now, run_ids=exited)
        request_entries(connection, effects.entries, self._now)
        log.append_events(connection, [*effects.events, *events], self._now)
        seen = counters.last(connection, counters.SEQ) if effects.writers else 0
        runs.save(
            connection,
            [
                row_of(job.moved.run, job.row, job.at, seen if job.row.id in effects.writers else 0)
                for job in jobs
                if job.moved is not None
            ],
        )
        run_history.append(connection, [*history, *effects.history])
        self.done.moved += len(jobs)
        self.done.ended += sum(job.moved is not None and job.moved.run.status == "ended" for job in jobs)


def _earliest(
    waiting: WorkQueue, due: Sequence[RunRow], horizon: datetime, *, is_cut: bool
) -> tuple[list[WorkItem], list[RunRow]]:
    """Each customer's earliest: an item of the queue, or the runs due at one instant; an item first when they are
    equal.

    When not all that is due was read, nothing later than that is taken.
    """
    if is_cut:
        horizon = min(horizon, max(run.wake_at for run in due if run.wake_at is not None))
    by_profile: dict[int, list[RunRow]] = {}
    for run in due:
        held = by_profile.setdefault(run.profile_id, [])
        if not held or run.wake_at == held[0].wake_at:
            held.append(run)
    items: list[WorkItem] = []
    for profile_id in list(waiting):
        queue: deque[WorkItem] = waiting[profile_id]
        if queue[0].at > horizon:
            continue
        held = by_profile.get(profile_id, [])
        if held and held[0].wake_at is not None and held[0].wake_at < queue[0].at:
            continue
        by_profile.pop(profile_id, None)
        items.append(queue.popleft())
        if not queue:
            del waiting[profile_id]
    return items, [run for held in by_profile.values() for run in held]


def _instant(run: RunRow, states: Mapping[str, JourneyState]) -> datetime:
    """The instant a due run is evaluated at: when it was due, or when its journey was resumed."""
    assert run.wake_at is not None
    state = states.get(run.journey)
    at = max(run.wake_at, run.since)
    return max(at, state.at) if state is not None and not state.is_paused else at


def _was_left(job: Job) -> bool:
    """Whether the run ended by its goal or an exit, so that its queued messages are skipped.

    After the last step, messages that were decided on are still sent.
    """
    if job.moved is None or job.moved.run.status != "ended":
        return False
    ends = (
        question
        for question in job.journey.exit_questions
        if question.question != "goal" or (job.journey.goal is None or job.journey.goal.exit)
    )
    return any(reply.holds for question in ends if (reply := job.answers.get(question)) is not None)
