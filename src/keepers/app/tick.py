"""One tick: feedback on messages → inbox → log → warehouse → answers → journeys → broadcasts, over what is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from keepers.app.ticked import Ticked
from keepers.broadcasts.advance import Broadcaster
from keepers.evaluation import query_numbers, relay
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluate import Progress, evaluate, refuse_past
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.score_fit import fit_score
from keepers.ingest.identify import Identified, identify
from keepers.ingest.load import BATCH
from keepers.model.json_text import LIMITS, Limits
from keepers.orchestration.advance import Advanced, Advancer
from keepers.playbook.active_playbook import ActivePlaybook, freeze_figures, load_active_playbook
from keepers.scores.registry import SCORES
from keepers.store import definitions
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import LogRow
from keepers.store.privacy import erasures
from keepers.warehouse import engagement_times
from keepers.warehouse.fixed_tables import LOADED
from keepers.warehouse.load import KINDS, load
from keepers.warehouse.rebuild import fill, take_names

_PIECES = 4
"""of rows that are written again in one tick, for names that were promoted"""


class Ticker:
    """Runs ticks of one workspace. The caller holds the sequencer's lock."""

    def __init__(
        self,
        store: Store,
        evaluator: Evaluator,
        zone: ZoneInfo,
        advancer: Advancer,
        broadcaster: Broadcaster,
        collect_feedback: Callable[[datetime], int],
        carry_on_erasures: Callable[[datetime], int],
        limits: Limits = LIMITS,
    ) -> None:
        self._store = store
        self._evaluator = evaluator
        self._zone = zone
        self._advancer = advancer
        self._collect_feedback = collect_feedback
        self._carry_on_erasures = carry_on_erasures
        self._limits = limits
        self._broadcaster = broadcaster
        self._seen_version = -1
        self._queries: ActiveQueries | None = None
        self._unanswered: frozenset[int] = frozenset()
        self._active_playbook: ActivePlaybook | None = None

    def tick(self, now: datetime, progress: Progress | None = None) -> Ticked:
        """Everything there is, up to `now`. Raises ConflictError when that is before the last tick."""
        refuse_past(self._evaluator.warehouse, now)
        relay.resume(self._store, self._evaluator.warehouse, now)
        feedback, identified, loaded = self.take_in(now)
        self._carry_on_erasures(now)
        answered = self._evaluator.warehouse.watermark(LOADED)
        engagement_times.refresh(self._evaluator.warehouse)
        queries = self._current(now, arrived=bool(loaded))
        fill(self._evaluator.warehouse, _PIECES)
        done = evaluate(self._evaluator, queries, self._unanswered, now, progress)
        self._unanswered = frozenset()
        advanced = self._advance(queries, now, answered)
        broadcast = self._broadcast(queries, now)
        return Ticked(
            now, identified.events, loaded, done.waves, done.subjects, done.changes, feedback,
            advanced.entered, advanced.moved, advanced.ended, advanced.queued + broadcast,
        )  # fmt: skip

    def take_in(self, now: datetime) -> tuple[int, Identified, int]:
        """Takes in what has arrived: feedback, what was identified, and how many rows were loaded."""
        feedback = self._collect_feedback(now)
        identified = identify(self._store, now, self._limits)
        return feedback, identified, self.load()

    def _advance(self, queries: ActiveQueries, now: datetime, answered: int) -> Advanced:
        """Runs move by what was answered, up to the seq `answered`, and by the changes that came of it."""
        assert self._active_playbook is not None
        if self._advancer.relay(self._active_playbook, now):
            answered = self._pass_unloaded(answered)
        return self._advancer.advance(self._active_playbook, queries, now, answered)

    def _pass_unloaded(self, position: int) -> int:
        """The last seq past a position before the next row that the warehouse has to load and evaluate.

        The rows up to there, such as relayed changes, are for journeys alone and need only their place.
        """
        while True:
            with self._store.read() as connection:
                rows = log.read(connection, position, BATCH)
            passed = list(takewhile(lambda row: row.kind not in KINDS, rows))
            if passed:
                load(self._evaluator.warehouse, passed)
                position = passed[-1].seq
            if not passed or len(passed) < BATCH:
                return position

    def _broadcast(self, queries: ActiveQueries, now: datetime) -> int:
        assert self._active_playbook is not None
        return self._broadcaster.advance(self._active_playbook, queries, now)

    @property
    def queries(self) -> ActiveQueries:
        """The definitions of the last tick."""
        assert self._queries is not None, "no tick yet"
        return self._queries

    def load(self) -> int:
        """The log's rows past the warehouse's watermark."""
        total = 0
        while True:
            position = self._evaluator.warehouse.watermark(LOADED)
            with self._store.read() as connection:
                rows = log.read(connection, position, BATCH)
            if not rows:
                return total
            total += load(self._evaluator.warehouse, self._without_erased(rows))

    def _without_erased(self, rows: list[LogRow]) -> list[LogRow]:
        """The rows but those of somebody who was erased: what was under way then is removed from the log too."""
        with self._store.read() as connection:
            erased = erasures.profile_ids(connection, sorted({row.profile_id for row in rows}))
        if not erased:
            return rows
        with self._store.begin() as connection:
            log.remove(connection, [row.seq for row in rows if row.profile_id in erased])
        return [row for row in rows if row.profile_id not in erased]

    def _current(self, now: datetime, arrived: bool) -> ActiveQueries:
        """The definitions in force, read again when something was applied since."""
        with self._store.read() as connection:
            version = definitions.newest_version(connection)
        if self._queries is None or version != self._seen_version:
            with self._store.read() as connection:
                self._active_playbook = load_active_playbook(connection, self._zone)
            self._sync(now)
            self._seen_version = version
        if self._fit_first_time(now, arrived):
            return self._current(now, arrived=False)
        assert self._queries is not None
        return self._queries

    def _sync(self, now: datetime) -> None:
        assert self._active_playbook is not None
        take_names(self._evaluator.warehouse, self._active_playbook.named())
        self._queries, self._unanswered = query_numbers.sync(
            self._evaluator.warehouse, self._active_playbook.definitions(), now
        )

    def _fit_first_time(self, now: datetime, arrived: bool) -> bool:
        """Freezes scores' figures as soon as they rest on enough; later ones go through a plan."""
        live = self._active_playbook
        assert live is not None
        waiting = [score for name, score in SCORES.items() if name not in live.fitted_at]
        if not waiting or not (arrived or self._unanswered or self._has_waiting()):
            return False
        fitted = {score.id: fit_score(score, self._evaluator, live.definitions(), now) for score in waiting}
        fitted = {name: figures for name, figures in fitted.items() if SCORES[name].is_enough(figures)}
        if not fitted:
            return False
        with self._store.begin() as connection:
            freeze_figures(connection, fitted, now)
        return True

    def _has_waiting(self) -> bool:
        row = self._evaluator.warehouse.cursor().execute("SELECT count(*) FROM dirty").fetchone()
        return bool(row and row[0])


def until_idle(ticker: Ticker, now: datetime, progress: Progress | None = None) -> Ticked:
    """Ticks until nothing is left to do; what was done in all."""
    total = Ticked(now)
    while True:
        done = ticker.tick(now, progress)
        total += done
        if not done.did_something:
            return total
