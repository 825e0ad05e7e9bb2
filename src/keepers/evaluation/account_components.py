"""Subjects connected by accounts take their instants in one order: none is answered ahead of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def hold_back(cursor: duckdb.DuckDBPyConnection) -> None:
    """Removes from `people_scope` those who must wait for an earlier instant of a connected subject.

    An account's answer at an instant is read by all its members. Were one of them answered at a later instant first,
    the account's earlier transition would reach them too late. A component is all accounts that share members, with
    those members; people without an account are in none.
    """
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE ties AS
        SELECT DISTINCT m.account_id, coalesce(c.to_id, m.profile_id) AS profile_id, m.account_id AS component
        FROM account_members m
        LEFT JOIN canon c ON c.from_id = m.profile_id
        """
    )
    # Each round an account takes the least component among those of its members; most accounts share none.
    while _join_components(cursor):
        pass
    cursor.execute(
        """
        DELETE FROM people_scope
        USING (
            SELECT t.subject, min(s.now) OVER (PARTITION BY t.component) AS first
            FROM (
                SELECT profile_id AS subject, min(component) AS component FROM ties GROUP BY profile_id
                UNION ALL
                SELECT account_id, min(component) FROM ties GROUP BY account_id
            ) t
            JOIN people_scope s ON s.profile_id = t.subject
        ) tied
        WHERE people_scope.profile_id = tied.subject AND people_scope.now > tied.first
        """
    )


def _join_components(cursor: duckdb.DuckDBPyConnection) -> bool:
    joined = cursor.execute(
        """
        UPDATE ties SET component = least.component
        FROM (
            SELECT account_id, min(of_person) AS component
            FROM (SELECT account_id, min(component) OVER (PARTITION BY profile_id) AS of_person FROM ties)
            GROUP BY account_id
        ) least
        WHERE ties.account_id = least.account_id AND ties.component > least.component
        """
    ).fetchone()
    return bool(joined and joined[0])
