"""Brings every answer up to a moment: what is dirty and what is due, instant by instant, in waves.

A wave takes each subject's earliest waiting instant, answers what is to be answered there, and may leave a later one;
so after an outage transitions carry the time they were due. Results and processed work commit together.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from keepers.conditions.compile.compile import by_mode
from keepers.evaluation.account_components import hold_back
from keepers.evaluation.changes import LAST_NUMBER
from keepers.evaluation.waves import Wave, count_of
from keepers.model.errors import ConflictError, problem
from keepers.model.moments import format_instant
from keepers.warehouse.fixed_tables import IMPORT

if TYPE_CHECKING:
    import duckdb

    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator
    from keepers.warehouse.database import Warehouse

CLOCK = "last_tick"
BACKFILL = "backfill_from"
WAVE_SIZE = 200_000
Progress = Callable[[int, int], None]
"""(subjects answered, subjects known to be waiting)"""


class Evaluated(Struct, frozen=True):
    """What was done. `is_done`: nothing was left waiting at the end."""

    waves: int = 0
    subjects: int = 0
    changes: int = 0
    is_done: bool = False

    def __add__(self, other: Evaluated) -> Evaluated:
        waves, subjects = self.waves + other.waves, self.subjects + other.subjects
        return Evaluated(waves, subjects, self.changes + other.changes, other.is_done)


def last_tick(warehouse: Warehouse) -> datetime | None:
    """The moment up to which everything has been answered."""
    row = warehouse.cursor().execute("SELECT value FROM meta WHERE name = ?", [CLOCK]).fetchone()
    return datetime.fromisoformat(row[0]) if row else None


def refuse_past(warehouse: Warehouse, now: datetime) -> datetime | None:
    """The last tick's moment. Raises ConflictError when `now` lies before it."""
    before = last_tick(warehouse)
    if before is not None and now < before:
        raise ConflictError(
            problem(
                "The last tick was at {before}; a tick at {now} would go back in time. To read the past, use "
                "--now with count, stages or profile.",
                before=format_instant(before),
                now=format_instant(now),
            ),
            code="clock",
        )
    return before


def backfill_from(warehouse: Warehouse) -> datetime | None:
    """While a backfill is under way: the moment from which instants are processed; else None."""
    row = warehouse.cursor().execute("SELECT value FROM meta WHERE name = ?", [BACKFILL]).fetchone()
    return datetime.fromisoformat(row[0]) if row else None


def evaluate(
    evaluator: Evaluator,
    queries: ActiveQueries,
    unanswered: frozenset[int],
    now: datetime,
    progress: Progress | None = None,
) -> Evaluated:
    """Answers all that is new, dirty or due up to `now`. Raises ConflictError when `now` is before the last tick."""
    warehouse = evaluator.warehouse
    before = refuse_past(warehouse, now)
    resumed = backfill_from(warehouse)
    before = resumed if resumed is not None else before
    answered = queries.numbers - unanswered
    total = Evaluated()
    # Known rules are brought up to now first: the first answer of a new rule is as of now.
    while answered:
        done = _wave(evaluator, queries, answered, before, now, is_backfill=resumed is not None)
        total += done
        if progress is not None:
            progress(total.subjects, total.subjects)
        if done.is_done:
            break
    return total + _initial(evaluator, queries, unanswered, now)


def _initial(evaluator: Evaluator, queries: ActiveQueries, unanswered: frozenset[int], now: datetime) -> Evaluated:
    with evaluator.warehouse.transaction() as cursor:
        if not unanswered:
            set_clock(cursor, now)
            return Evaluated()
        wave = Wave(evaluator, cursor, queries)
        for layer in queries.layers:
            for fresh in by_mode(q for q in layer if q.number in unanswered):
                wave.answer_everybody(fresh, now)
        if unanswered == queries.numbers:
            # Everything was answered again for everybody, so nothing is dirty.
            cursor.execute("DELETE FROM dirty")
        set_clock(cursor, now)
        return Evaluated(1, count_of(cursor, "SELECT count(*) FROM profiles"), wave.moved)


def _wave(
    evaluator: Evaluator,
    queries: ActiveQueries,
    answered: frozenset[int],
    before: datetime | None,
    now: datetime,
    *,
    is_backfill: bool,
) -> Evaluated:
    with evaluator.warehouse.transaction() as cursor:
        moved = _leave_merged(cursor, now)
        subjects = _gather(cursor, queries, answered, before, now)
        if not subjects:
            cursor.execute("DELETE FROM meta WHERE name = ?", [BACKFILL])
            return Evaluated(is_done=True)
        if is_backfill:
            cursor.execute("UPDATE people_scope SET cause = 'backfill'")
        wave = Wave(evaluator, cursor, queries)
        numbers = _queries_of_wave(cursor, queries) & answered
        earliest = cursor.execute("SELECT min(now) FROM people_scope").fetchone()
        if queries.has_accounts:
            _add_accounts(cursor)
        assert earliest is not None
        if numbers:
            wave.answer_scope(numbers, earliest[0])
        cursor.execute(
            """
            DELETE FROM dirty USING work
            WHERE dirty.profile_id = work.identified_id AND dirty."at" = work.dirty_at
              AND dirty.kind = work.kind AND dirty.name = work.name
            """
        )
        # Finding what waits reads all states: skipped when it is known that nothing can.
        is_done = not is_backfill and not moved and not _leaves_waiting(cursor, now, has_answers=bool(numbers))
        return Evaluated(1, subjects, wave.moved + moved, is_done)


def _leaves_waiting(cursor: duckdb.DuckDBPyConnection, now: datetime, *, has_answers: bool) -> bool:
    """Whether a wave left something due by `now`: what waited later, or came due by the answers."""
    work, waiting = (count_of(cursor, f"SELECT count(*) FROM {table}") for table in ("work", "waiting"))
    if work < waiting:
        return True
    return has_answers and count_of(cursor, "SELECT count(*) FROM restated WHERE changes_at <= ?", [now]) > 0


def _gather(
    cursor: duckdb.DuckDBPyConnection,
    queries: ActiveQueries,
    answered: frozenset[int],
    before: datetime | None,
    now: datetime,
) -> int:
    """Fills `work` (what waits at each subject's earliest instant) and `people_scope`; returns how many subjects.

    What arrived late, or lies ahead, is processed now; the rest at the instant from which it counts.
    """
    active = ", ".join(map(str, sorted(answered)))
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE waiting AS
        SELECT coalesce(c.to_id, d.profile_id) AS profile_id, d.profile_id AS identified_id, d."at" AS dirty_at,
               CASE WHEN d."at" <= ? OR d."at" > ? THEN ? ELSE d."at" END AS due, d.kind, d.name
        FROM dirty d
        LEFT JOIN canon c ON c.from_id = d.profile_id
        UNION ALL
        SELECT profile_id, NULL, NULL, changes_at, 'due', query_id::VARCHAR
        FROM states
        WHERE changes_at <= ? AND query_id IN ({active})
        """,
        [before or datetime.min.replace(year=1900), now, now, now],
    )
    # An event comes before a merge of the same instant: signing up often causes one.
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE people_scope AS
        SELECT w.profile_id, min(w.due) AS now,
               arg_min(
                   CASE WHEN w.kind = 'due' THEN 'time' ELSE w.kind || ':' || w.name END,
                   (w.due, w.kind = 'merge')
               ) AS cause
        FROM waiting w
        GROUP BY w.profile_id
        ORDER BY 2
        LIMIT {WAVE_SIZE}
        """
    )
    if count_of(cursor, "SELECT count(*) FROM imported"):
        _name_imports(cursor)
    if queries.has_accounts:
        hold_back(cursor)
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE work AS
        SELECT w.*
        FROM waiting w
        JOIN people_scope s ON s.profile_id = w.profile_id AND s.now = w.due
        """
    )
    return count_of(cursor, "SELECT count(*) FROM people_scope")


def _name_imports(cursor: duckdb.DuckDBPyConnection) -> None:
    """Marks the cause of imported history as an import: while any of it waits, and at all instants up to its arrival,
    at which answers may change by themselves."""
    cursor.execute(
        f"""
        UPDATE people_scope SET cause = '{IMPORT}' || people_scope.cause
        FROM (
            SELECT coalesce(c.to_id, i.profile_id) AS profile_id, max(i."at") AS arrived_at
            FROM imported i
            LEFT JOIN canon c ON c.from_id = i.profile_id
            GROUP BY 1
        ) i
        WHERE people_scope.profile_id = i.profile_id AND NOT starts_with(people_scope.cause, '{IMPORT}')
          AND (
              people_scope.now <= i.arrived_at
              OR people_scope.profile_id IN (SELECT profile_id FROM waiting WHERE starts_with(kind, '{IMPORT}'))
          )
        """
    )


def _queries_of_wave(cursor: duckdb.DuckDBPyConnection, queries: ActiveQueries) -> frozenset[int]:
    numbers: set[int] = set()
    for kind, name in cursor.execute("SELECT DISTINCT kind, name FROM work").fetchall():
        if kind == "due":
            numbers |= queries.with_dependents([int(name)])
        else:
            numbers |= queries.reading(kind, name)
    return frozenset(numbers)


def _add_accounts(cursor: duckdb.DuckDBPyConnection) -> None:
    """Adds the accounts of members who are evaluated, at the same instants."""
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE account_scope AS
        SELECT profile_id, min(now) AS now, any_value(cause) AS cause
        FROM (
            SELECT s.profile_id, s.now, s.cause
            FROM people_scope s
            JOIN profiles p ON p.profile_id = s.profile_id AND p.kind = 'account'
            UNION ALL
            SELECT m.account_id, s.now, s.cause
            FROM account_members m
            LEFT JOIN canon c ON c.from_id = m.profile_id
            JOIN people_scope s ON s.profile_id = coalesce(c.to_id, m.profile_id)
        )
        GROUP BY profile_id
        """
    )


def _leave_merged(cursor: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """A profile merged into another is no subject any more: it leaves whatever it was in."""
    if not count_of(cursor, "SELECT count(*) FROM dirty WHERE kind = 'merge'"):
        return 0
    left = cursor.execute(
        f"""
        INSERT INTO changes
        SELECT {LAST_NUMBER} + row_number() OVER (ORDER BY query_id, profile_id),
               query_id, profile_id, value, 0, ?, 'merge', false
        FROM states
        WHERE value > 0 AND profile_id IN (SELECT from_id FROM canon)
        """,
        [now],
    ).fetchone()
    cursor.execute("DELETE FROM states WHERE profile_id IN (SELECT from_id FROM canon)")
    return int(left[0]) if left else 0


def set_clock(cursor: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Records up to when everything has been answered, in the transaction that answers it."""
    cursor.execute('DELETE FROM imported WHERE "at" <= ?', [now])
    cursor.execute("DELETE FROM meta WHERE name = ?", [CLOCK])
    cursor.execute("INSERT INTO meta VALUES (?, ?)", [CLOCK, now.isoformat()])
