"""Moves journey runs: what happened and what is due, customer by customer in order of time, in set-based waves.

A wave takes each customer's earliest instant, asks all questions in one query per set of them, and commits the moved
runs with all they want done. The cursor over the log moves last: a crash repeats what is idempotent.
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
from keepers.journeys.requests import AskConditions, Check, Look, StepQuestion
from keepers.journeys.run import Moved, NeedsAnswers, Run
from keepers.journeys.walk import advance as walk
from keepers.model.errors import ConflictError
from keepers.orchestration.calendar import Calendar
from keepers.orchestration.effects import EffectCollector, request_entries, request_wakes
from keepers.orchestration.entries import enter
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import MessageDecisions
from keepers.orchestration.run_mapping import entered, first_line, row_of, run_of, told_of
from keepers.orchestration.work_queue import WorkItem, WorkQueue, agenda, instant_of, is_read, traits_in
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store import counters, cursors, meta
from keepers.store.bulk import chunks
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import LogRow, SystemEvent
from keepers.store.journeys import entry_rejections, journey_states, run_history, runs
from keepers.store.journeys.journey_states import JourneyState
from keepers.store.journeys.run_history import TrailRow
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import messages
from keepers.store.profiles import merge_rows
from keepers.warehouse.load import collector_paused
from keepers.warehouse.profile_lookup import Person, people, survivors

CURSOR = "advance"
CLOCK = "advanced_to"
BATCH = 20_000
TURN = 10_000
"""runs decided on at once: asking about them costs hardly more than asking about one"""
CHUNK = 1_000
"""runs moved in one transaction: some tens of milliseconds"""
_MOST_TRIES = 5
_MOST_MET = 10 * TURN


class Advanced(Struct):
    """What an advance did."""

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
    person: Person
    is_whole: bool = False
    """whether the person has traits and activity: asked for when a step wants to know, or to send"""
    moved: Moved | None = None


class Advancer:
    """The shell around the pure journeys. The caller holds the sequencer's lock."""

    def __init__(
        self,
        store: Store,
        answerer: Evaluator,
        zone: ZoneInfo,
        message_decisions: Callable[[JourneyIndex], MessageDecisions],
        addresses: Mapping[str, str],
        secret: bytes,
        batch: int = BATCH,
    ) -> None:
        self._store = store
        self._answerer = answerer
        self._zone = zone
        self._make_message_decisions = message_decisions
        self._addresses = addresses
        self._secret = secret
        self.batch = batch
        """rows of the log taken up at once"""
        self._calendar = Calendar(answerer.warehouse)
        self._seen: ActivePlaybook | None = None
        self.roster: JourneyIndex | None = None

    def relay(self, live: ActivePlaybook, now: datetime) -> int:
        """Brings new changes of what journeys listen to into the log; how many."""
        self._look(live)
        assert self.roster is not None
        return relay(self._store, self._answerer.warehouse, self.roster.watched, now)

    def advance(self, live: ActivePlaybook, standing: ActiveQueries, now: datetime, answered: int) -> Advanced:
        """Everything up to `now` of the log's rows up to the seq `answered`.

        Those are what the standing queries were answered by, and the changes that came of it. What the warehouse has
        loaded since waits: it would be judged by memberships that do not know of it.
        """
        self._look(live)
        assert self.roster is not None
        work = Work(self, self.roster, standing, now)
        with self._store.read() as connection:
            position = cursors.get(connection, CURSOR)
            told = meta.get(connection, CLOCK)
        last = datetime.fromisoformat(told) if told else None
        if self.roster.is_empty:
            if position < answered:
                self._merge_alone(position, answered)
                self._keep_cursor(answered, now)
            return work.done
        learned: set[str] = set()
        while True:
            with self._store.read() as connection:
                rows = [row for row in log.read(connection, position, self.batch) if row.seq <= answered]
            is_last = len(rows) < self.batch
            # Never back before the last time: what came late, or lies ahead, is looked at then and is not left behind.
            horizon = now if is_last else min(now, max([last or datetime.min, *map(instant_of, rows)]))
            items = self._agenda(rows, last, horizon)
            learned |= traits_in(rows)
            if is_last:
                self._add_dated(items, learned, standing, last, now)
            work.until(items, horizon, answered)
            if rows:
                position = rows[-1].seq
            if rows or is_last:
                self._keep_cursor(position, now if is_last else last)
            if is_last:
                return work.done

    def _merge_alone(self, after: int, until: int) -> None:
        """Where there are no journeys: what consents, messages and the like of merged profiles belong to."""
        with self._store.begin() as connection:
            rows = log.of_kind(connection, "merge", after, until)
            pairs = [(row.profile_id, row.other_id, row.time) for row in rows if row.other_id is not None]
            merge_rows.merge(connection, pairs)

    def _look(self, live: ActivePlaybook) -> None:
        if live is not self._seen:
            with self._store.read() as connection:
                self.roster = JourneyIndex(connection, live, self._zone)
            self._seen = live

    def _agenda(self, rows: Sequence[LogRow], last: datetime | None, now: datetime) -> WorkQueue:
        assert self.roster is not None
        canon = survivors(self._answerer.warehouse, sorted({row.profile_id for row in rows}))
        return agenda(rows, self.roster, canon, last, now)

    def _add_dated(
        self, items: WorkQueue, learned: Collection[str], standing: ActiveQueries, last: datetime | None, now: datetime
    ) -> None:
        """Who enters by a date or a schedule since the last time."""
        assert self.roster is not None
        if last is None or not self.roster.dated:
            return
        for item in self._calendar.items(self.roster, standing, last, now, learned):
            insort(items.setdefault(item.profile_id, deque()), item, key=lambda other: other.at)

    def _keep_cursor(self, position: int, clock: datetime | None) -> None:
        with self._store.begin() as connection:
            cursors.put(connection, CURSOR, position)
            if clock is not None:
                meta.put(connection, CLOCK, clock.isoformat())

    # What the work needs of its surroundings.

    @property
    def store(self) -> Store:
        return self._store

    @property
    def answerer(self) -> Evaluator:
        return self._answerer

    def message_decisions(self) -> MessageDecisions:
        assert self.roster is not None
        return self._make_message_decisions(self.roster)

    def wishes(self) -> EffectCollector:
        assert self.roster is not None
        return EffectCollector(self.roster, self._addresses, self._secret)


class Work:
    """One advance under way."""

    def __init__(self, shell: Advancer, roster: JourneyIndex, standing: ActiveQueries, now: datetime) -> None:
        self._shell = shell
        self._store = shell.store
        self._warehouse = shell.answerer.warehouse
        self._roster = roster
        self._standing = standing
        self._now = now
        self._message_decisions = shell.message_decisions()
        self._met: dict[int, Person] = {}
        """who was looked up so far, in brief: nothing is loaded meanwhile"""
        self.done = Advanced()

    def until(self, waiting: WorkQueue, horizon: datetime, answered: int) -> None:
        """Works everything off up to an instant."""
        is_more = True
        while is_more:
            with collector_paused():
                is_more = self._wave(waiting, horizon, answered)

    def _wave(self, waiting: WorkQueue, horizon: datetime, answered: int) -> bool:
        """Each customer's earliest instant; whether there may be more."""
        with self._store.read() as connection:
            states = journey_states.everything(connection)
            due = runs.due(connection, horizon, TURN, seen=answered)
        items, turn = _earliest(waiting, due, horizon, is_cut=len(due) == TURN)
        if not items and not turn:
            return False
        self._merge([item for item in items if item.merged is not None])
        self._enter(items)
        jobs = [(run, _instant(run, states)) for run in turn] + self._woken(items, states, answered)
        moved = sum(self._move(some) for some in chunks(jobs, TURN))
        return bool(items) or moved > 0

    def _merge(self, items: Sequence[WorkItem]) -> None:
        if not items:
            return
        several = [j.id for j in self._roster.live.values() if not isinstance(j.reentry, str) and j.reentry.per]
        pairs = [(*item.merged, item.at) for item in items if item.merged is not None]
        with self._store.begin() as connection:
            self.done.ended += merge_rows.merge(connection, pairs, several, is_waking=True)

    def _enter(self, items: Sequence[WorkItem]) -> None:
        asking = [item for item in items if item.candidates]
        for chunk in chunks(asking, CHUNK):
            who = self._meet({item.profile_id for item in chunk})
            door = enter(self._store, self._shell.answerer, self._standing, who, chunk)
            if not door.entered and not door.refused:
                continue
            with self._store.begin() as connection:
                begun = runs.enter(connection, door.entered)
                run_history.append(connection, [first_line(run) for run in begun])
                entry_rejections.note(connection, door.refused)
                log.say(connection, [entered(run) for run in begun], self._now)
            self.done.entered += len(begun)
            self.done.refused += len(door.refused)

    def _woken(
        self, items: Sequence[WorkItem], states: Mapping[str, JourneyState], answered: int
    ) -> list[tuple[RunRow, datetime]]:
        """The active runs of customers something happened to that they read.

        A run may ask about what it wrote to the log itself. Until that is loaded it stands, and what happens meanwhile
        is put off until then, at its instant.
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
                    journey = self._roster.journey(connection, run.journey, run.version)
                    assert item.wakes is not None
                    if run.entered_at > item.at or not is_read(self._roster.reads(journey), item.wakes):
                        continue
                    state = states.get(run.journey)
                    if run.is_paused or (state is not None and state.is_paused):
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

    def _move(self, turn: Sequence[tuple[RunRow, datetime]]) -> int:
        """Moves runs and commits all that came of it; how many."""
        jobs = self._decide(turn)
        for some in chunks(jobs, CHUNK):
            self._commit(some)
        return len(jobs)

    def _commit(self, jobs: Sequence[Job]) -> None:
        """What somebody else changed meanwhile is read and decided anew."""
        for _ in range(_MOST_TRIES):
            try:
                with self._store.begin() as connection:
                    self._keep(connection, jobs)
                return
            except ConflictError:
                with self._store.read() as connection:
                    fresh = runs.get_many(connection, [job.row.id for job in jobs])
                again = [(fresh[job.row.id], job.at) for job in jobs if fresh[job.row.id].status == "active"]
                jobs = self._decide(again)
        raise ConflictError("Runs are changed by somebody else again and again; the next tick goes on.", code="stale")

    def _decide(self, turn: Sequence[tuple[RunRow, datetime]]) -> list[Job]:
        who = self._meet({row.profile_id for row, _ in turn})
        jobs: list[Job] = []
        with self._store.read() as connection:
            for row, at in turn:
                person = who.get(row.profile_id)
                if person is not None:
                    journey = self._roster.journey(connection, row.journey, row.version)
                    jobs.append(Job(row, run_of(row, person), journey, at, {}, person))
        waiting = jobs
        while waiting:
            asked: list[tuple[Job, frozenset[StepQuestion]]] = []
            for job in waiting:
                step = walk(job.journey, job.run, job.at, job.answers)
                if isinstance(step, NeedsAnswers):
                    asked.append((job, step.questions))
                else:
                    job.moved = step
            self._answer(asked)
            waiting = [job for job, _ in asked]
        return jobs

    def _meet(self, profile_ids: Set[int]) -> Mapping[int, Person]:
        if len(self._met) > _MOST_MET:
            self._met.clear()
        self._met |= people(self._warehouse, profile_ids - self._met.keys(), whole=False)
        return self._met

    def _answer(self, asked: Sequence[tuple[Job, frozenset[StepQuestion]]]) -> None:
        """Questions of the same kind together: conditions one query per set of them, policy in one go."""
        sets: dict[tuple[str, int, frozenset[StepQuestion]], list[Job]] = {}
        looks: list[tuple[Job, Look]] = []
        checks: list[tuple[Job, Check]] = []
        for job, questions in asked:
            asks = frozenset(question for question in questions if type(question) is AskConditions)
            if asks:
                sets.setdefault((job.journey.id, job.journey.version, asks), []).append(job)
            if len(asks) == len(questions):
                continue
            for question in questions:
                if isinstance(question, Look):
                    looks.append((job, question))
                elif isinstance(question, Check):
                    checks.append((job, question))
        for (_, _, wanted), jobs in sets.items():
            self._ask(sorted(ask.question for ask in wanted if isinstance(ask, AskConditions)), jobs)
        self._complete([job for job, _ in (*looks, *checks) if not job.is_whole])
        for job, look in looks:
            job.answers[look] = job.person.traits.get(look.trait)
        if checks:
            self._check(checks)

    def _complete(self, jobs: Sequence[Job]) -> None:
        """Those who are looked at closer, with all that is known of them."""
        who = people(self._warehouse, {job.row.profile_id for job in jobs})
        for job in jobs:
            job.person = who.get(job.row.profile_id, job.person)
            job.is_whole = True

    def _check(self, checks: Sequence[tuple[Job, Check]]) -> None:
        """Policy, as of the instants decisions are made at: of what is caught up with, hour by hour."""
        hours: dict[datetime, list[tuple[Job, Person, Check]]] = {}
        for job, check in checks:
            hour = job.at.replace(minute=0, second=0, microsecond=0)
            hours.setdefault(hour, []).append((job, job.person, check))
        for asked in hours.values():
            self._message_decisions.check(asked, max(job.at for job, _, _ in asked))

    def _ask(self, names: Sequence[str], jobs: Sequence[Job]) -> None:
        journey = jobs[0].journey
        conditions = {name: journey.questions()[name] for name in names}
        paths = {path for name in names for path in journey.refs.get(name, ())}
        askings = [
            Question(job.run.id, job.run.profile_id, job.at, keys_for(job.run, paths) if paths else {}) for job in jobs
        ]
        replies = answer(self._shell.answerer, self._standing, conditions, askings)
        for name in names:
            ask = AskConditions(name)
            for job in jobs:
                job.answers[ask] = replies[name, job.run.id]

    def _keep(self, connection: Connection, jobs: Sequence[Job]) -> None:
        """Writes what came of a chunk: runs, their trail, messages, and what is said to the log."""
        wishes = self._shell.wishes()
        told: list[TrailRow] = []
        said: list[SystemEvent] = []
        for job in jobs:
            assert job.moved is not None
            wishes.add(job.moved.run, job.person, job.moved.effects, job.at)
            for line in job.moved.trail:
                told.append(
                    TrailRow(job.row.id, line.at, line.step or "", line.visit, line.what, line.reason, line.data)
                )
                if line.what in ("goal", "ended"):
                    said += told_of(job.moved.run, line.what, line.reason, line.at)
        # In the order of `lock_order`. Runs are saved after the log was written to, for they keep its last seq.
        runs.lock(connection, [job.row.id for job in jobs])
        self.done.queued += len(messages.queue(connection, wishes.messages))
        exited = [job.row.id for job in jobs if _was_left(job)]
        messages.skip_unfinished(connection, "exited", self._now, run_ids=exited)
        request_entries(connection, wishes.entries, self._now)
        log.say(connection, [*wishes.said, *said], self._now)
        seen = counters.last(connection, counters.SEQ) if wishes.spoke else 0
        runs.save(
            connection,
            [
                row_of(job.moved.run, job.row, job.at, seen if job.row.id in wishes.spoke else 0)
                for job in jobs
                if job.moved is not None
            ],
        )
        run_history.append(connection, [*told, *wishes.trail])
        self.done.moved += len(jobs)
        self.done.ended += sum(job.moved is not None and job.moved.run.status == "ended" for job in jobs)


def _earliest(
    waiting: WorkQueue, due: Sequence[RunRow], horizon: datetime, *, is_cut: bool
) -> tuple[list[WorkItem], list[RunRow]]:
    """Each customer's earliest: an item of the agenda, or the runs due at one instant. What happens comes before
    what is due at the same instant. When not all that is due was read, nothing later than it is looked at."""
    if is_cut:
        horizon = min(horizon, max(run.wake_at for run in due if run.wake_at is not None))
    by_profile: dict[int, list[RunRow]] = {}
    for run in due:
        held = by_profile.setdefault(run.profile_id, [])
        if not held or run.wake_at == held[0].wake_at:
            held.append(run)
    items: list[WorkItem] = []
    for who in list(waiting):
        queue: deque[WorkItem] = waiting[who]
        if queue[0].at > horizon:
            continue
        held = by_profile.get(who, [])
        if held and held[0].wake_at is not None and held[0].wake_at < queue[0].at:
            continue
        by_profile.pop(who, None)
        items.append(queue.popleft())
        if not queue:
            del waiting[who]
    return items, [run for held in by_profile.values() for run in held]


def _instant(run: RunRow, states: Mapping[str, JourneyState]) -> datetime:
    """When a due run looks round: when it was due, or since its journey goes on after a pause."""
    assert run.wake_at is not None
    state = states.get(run.journey)
    at = max(run.wake_at, run.since)
    return max(at, state.at) if state is not None and not state.is_paused else at


def _was_left(job: Job) -> bool:
    """Whether the run ended by its goal or an exit: what is still queued for it is not sent. Whoever came to the end
    of the steps gets what was decided on the way."""
    if job.moved is None or job.moved.run.status != "ended":
        return False
    ends = (
        ask
        for ask in job.journey.standing
        if ask.question != "goal" or (job.journey.goal is None or job.journey.goal.exit)
    )
    return any(reply.holds for ask in ends if (reply := job.answers.get(ask)) is not None)
