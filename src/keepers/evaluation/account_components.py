"""Subjects tied together by accounts take their instants in one order: nobody is answered ahead of the others."""

from __future__ import annotations

import duckdb


def hold_back(cursor: duckdb.DuckDBPyConnection) -> None:
    """Takes out of `people_scope` who must wait for a colleague's earlier instant.

    An account's answer at an instant is asked about by all its members. Were one of them answered at a later
    instant first, the account's earlier transition would reach them too late, or take them back in time. A circle
    is all accounts that share members, with those members; people without an account are in none.
    """
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE ties AS
        SELECT DISTINCT m.account_id, coalesce(c.to_id, m.profile_id) AS profile_id, m.account_id AS circle
        FROM account_members m
        LEFT JOIN canon c ON c.from_id = m.profile_id
        """
    )
    # Each round an account takes the least circle among those of its members; most accounts share none.
    while _join_circles(cursor):
        pass
    cursor.execute(
        """
        DELETE FROM people_scope
        USING (
            SELECT t.subject, min(s.now) OVER (PARTITION BY t.circle) AS first
            FROM (
                SELECT profile_id AS subject, min(circle) AS circle FROM ties GROUP BY profile_id
                UNION ALL
                SELECT account_id, min(circle) FROM ties GROUP BY account_id
            ) t
            JOIN people_scope s ON s.profile_id = t.subject
        ) tied
        WHERE people_scope.profile_id = tied.subject AND people_scope.now > tied.first
        """
    )


def _join_circles(cursor: duckdb.DuckDBPyConnection) -> bool:
    joined = cursor.execute(
        """
        UPDATE ties SET circle = least.circle
        FROM (
            SELECT account_id, min(of_person) AS circle
            FROM (SELECT account_id, min(circle) OVER (PARTITION BY profile_id) AS of_person FROM ties)
            GROUP BY account_id
        ) least
        WHERE ties.account_id = least.account_id AND ties.circle > least.circle
        """
    ).fetchone()
    return bool(joined and joined[0])
