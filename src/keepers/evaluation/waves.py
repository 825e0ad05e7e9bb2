"""One wave: answers standing queries for the subjects in `scope`, each at its own instant, and records what changed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from keepers.conditions.compile.compile import by_mode
from keepers.conditions.compile.tables import Mode
from keepers.evaluation.changes import LAST_NUMBER

if TYPE_CHECKING:
    import duckdb

    from keepers.conditions.compile.compile import StandingQuery
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator

SCOPE = "CREATE OR REPLACE TEMP TABLE scope (profile_id BIGINT, now TIMESTAMP, cause VARCHAR)"

_NEAR = "SELECT profile_id FROM people_scope"
_NEAR_ACCOUNTS = """
    WITH belonging AS (
        SELECT m.account_id, coalesce(c.to_id, m.profile_id) AS member_id
        FROM account_members m
        LEFT JOIN canon c ON c.from_id = m.profile_id
    ), people AS (
        SELECT profile_id FROM people_scope
        UNION SELECT b.member_id FROM belonging b JOIN account_scope s ON s.profile_id = b.account_id
    )
    SELECT profile_id FROM people
    UNION SELECT profile_id FROM account_scope
    UNION SELECT b.account_id FROM belonging b JOIN people p ON p.profile_id = b.member_id
"""
"""also the members that an account's answer may wake, and all their accounts"""


class Wave:
    """Runs inside one transaction of the caller. `moved` counts recorded changes."""

    def __init__(self, evaluator: Evaluator, cursor: duckdb.DuckDBPyConnection, queries: ActiveQueries) -> None:
        self._evaluator = evaluator
        self._cursor = cursor
        self._queries = queries
        self.moved = 0

    def answer_scope(self, numbers: frozenset[int], earliest: datetime) -> None:
        """Answers queries for the rows of table `people_scope` (and `account_scope`), layer by layer."""
        schema = self._evaluator.warehouse.schema(earliest)
        self._bring_states()
        for layer in self._queries.layers:
            for queries in by_mode(q for q in layer if q.number in numbers):
                kind = queries[0].subject
                source = "account_scope" if kind == "account" else "people_scope"
                self._cursor.execute(SCOPE)
                self._cursor.execute(f"INSERT INTO scope SELECT profile_id, now, cause FROM {source}")
                mode = Mode(scoped=True, subject=kind, trusted_only=queries[0].trusted_only)
                sql = self._evaluator.sql(queries, schema, self._queries.vocabulary, mode)
                self._record(queries, sql)
                if kind == "account":
                    self._wake_members()
        self._write_states()

    def answer_everybody(self, queries: tuple[StandingQuery, ...], now: datetime) -> None:
        """The first answer of new rules that one expression answers, for everybody: recorded as initial."""
        schema = self._evaluator.warehouse.schema(now)
        self._cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        mode = Mode(subject=queries[0].subject, trusted_only=queries[0].trusted_only)
        sql = self._evaluator.sql(queries, schema, self._queries.vocabulary, mode)
        self._record_first(queries, sql)
        for query in queries:
            self._inherit(query)
            self._cursor.execute("UPDATE standing_queries SET is_answered = true WHERE query_id = ?", [query.number])

    def _record_first(self, queries: tuple[StandingQuery, ...], sql: str) -> None:
        """Writes the first answers of queries. There is nothing to compare with, and the order of `changes` is free."""
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE answers AS {sql}")
        # Sorted by query, then in the order of the answers: one range of rows per query makes reading one query cheap.
        self._cursor.execute(
            f"""
            INSERT INTO states
            SELECT query_id, profile_id, value, CASE WHEN value > 0 THEN now END, changes_at, 'initial'
            FROM ({_long(queries)})
            WHERE value > 0 OR changes_at IS NOT NULL
            """
        )
        moved = self._cursor.execute(
            f"""
            INSERT INTO changes
            SELECT {LAST_NUMBER} + row_number() OVER (),
                   query_id, profile_id, 0, value, now, 'initial', true
            FROM ({_long(queries)})
            WHERE value > 0
            """
        ).fetchone()
        self.moved += int(moved[0]) if moved else 0

    def _bring_states(self) -> None:
        """Makes `near_states`, the states that this wave may read: the large table is read once.

        `place` is the row in `states`; layers see in `near_states` what those before them answered.
        """
        self._cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE near_states AS
            SELECT rowid AS place, query_id, profile_id, value, since, changes_at
            FROM states
            WHERE profile_id IN ({_NEAR_ACCOUNTS if self._queries.has_accounts else _NEAR})
            """
        )
        self._cursor.execute(
            """
            CREATE OR REPLACE TEMP TABLE restated (
                place BIGINT, query_id INTEGER, profile_id BIGINT, value SMALLINT, since TIMESTAMP,
                changes_at TIMESTAMP, cause VARCHAR, old_value SMALLINT, now TIMESTAMP
            )
            """
        )

    def _write_states(self) -> None:
        """Replaces the states that were answered; moves go to `changes`."""
        self._cursor.execute("DELETE FROM states WHERE rowid IN (SELECT place FROM restated WHERE place IS NOT NULL)")
        self._cursor.execute(
            """
            INSERT INTO states
            SELECT query_id, profile_id, value, since, changes_at, cause
            FROM restated
            WHERE value > 0 OR changes_at IS NOT NULL
            """
        )
        moved = self._cursor.execute(
            f"""
            INSERT INTO changes
            SELECT {LAST_NUMBER} + row_number() OVER (ORDER BY now, profile_id, query_id),
                   query_id, profile_id, old_value, value, now, cause, false
            FROM restated
            WHERE value <> old_value
            """
        ).fetchone()
        self.moved += int(moved[0]) if moved else 0

    def _record(self, queries: tuple[StandingQuery, ...], sql: str) -> None:
        """Compares answers with states and records the differences."""
        execute = self._cursor.execute
        execute(f"CREATE OR REPLACE TEMP TABLE answers AS {sql}")
        execute(
            f"""
            CREATE OR REPLACE TEMP TABLE differing AS
            SELECT o.place, a.query_id, a.profile_id, a.now, a.value, a.changes_at, s.cause,
                   coalesce(o.value, 0) AS old_value,
                   CASE WHEN a.value = coalesce(o.value, 0) THEN o.since ELSE a.now END AS since
            FROM ({_long(queries)}) a
            JOIN scope s ON s.profile_id = a.profile_id
            LEFT JOIN near_states o ON o.query_id = a.query_id AND o.profile_id = a.profile_id
            WHERE a.value <> coalesce(o.value, 0) OR a.changes_at IS DISTINCT FROM o.changes_at
            """
        )
        execute(
            """
            INSERT INTO restated
            SELECT place, query_id, profile_id, value, since, changes_at, cause, old_value, now
            FROM differing
            """
        )
        execute(
            """
            DELETE FROM near_states USING differing d
            WHERE near_states.query_id = d.query_id AND near_states.profile_id = d.profile_id
            """
        )
        execute("INSERT INTO near_states SELECT NULL, query_id, profile_id, value, since, changes_at FROM differing")

    def _inherit(self, query: StandingQuery) -> None:
        """Those in the same stage under the new rule keep the time since they entered it under the old."""
        old = self._cursor.execute(
            "SELECT max(query_id) FROM standing_queries WHERE definition = ? AND query_id < ? AND NOT is_active",
            [query.id, query.number],
        ).fetchone()
        if old is None or old[0] is None:
            return
        self._cursor.execute(
            f"""
            UPDATE states SET since = old.since
            FROM states old
            JOIN standing_query_values ov ON ov.query_id = old.query_id AND ov.value = old.value
            JOIN standing_query_values nv ON nv.query_id = {query.number} AND nv.stage = ov.stage
            WHERE old.query_id = {int(old[0])} AND states.query_id = {query.number}
              AND states.profile_id = old.profile_id AND states.value = nv.value
            """
        )
        self._cursor.execute(f"DELETE FROM states WHERE query_id = {int(old[0])}")

    def _wake_members(self) -> None:
        """Adds the members of accounts whose answer changed to the people evaluated, at that instant."""
        waiting = self._cursor.execute(
            """
            SELECT count(*) FROM differing d
            JOIN account_members m ON m.account_id = d.profile_id
            WHERE d.value <> d.old_value
            """
        ).fetchone()
        if not waiting or not waiting[0]:
            return
        self._cursor.execute(
            """
            INSERT INTO people_scope
            SELECT profile_id, max(now), coalesce(min(handed_on), 'account')
            FROM (
                SELECT coalesce(c.to_id, m.profile_id) AS profile_id, d.now,
                       CASE WHEN starts_with(d.cause, 'import') THEN 'import account'
                            WHEN starts_with(d.cause, 'backfill') THEN 'backfill' END AS handed_on
                FROM differing d
                JOIN account_members m ON m.account_id = d.profile_id
                LEFT JOIN canon c ON c.from_id = m.profile_id
                WHERE d.value <> d.old_value
            )
            WHERE profile_id NOT IN (SELECT profile_id FROM people_scope)
            GROUP BY profile_id
            """
        )


def _long(queries: tuple[StandingQuery, ...]) -> str:
    """The wide table `answers` as rows: query_id, profile_id, now, value, changes_at."""
    return "\nUNION ALL ".join(
        f"SELECT {q.number} AS query_id, profile_id, now, v{q.number} AS value, x{q.number} AS changes_at FROM answers"
        for q in queries
    )


def count_of(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | None = None) -> int:
    """The single number a query gives."""
    row = cursor.execute(sql, parameters or []).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
