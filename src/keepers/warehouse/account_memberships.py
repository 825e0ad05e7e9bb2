"""Memberships in accounts: one interval per stretch that a `group` call newly covers, never overlapping."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from keepers.warehouse.typed_tables import STAMP, append, arrow

if TYPE_CHECKING:
    import duckdb

Interval = tuple[datetime, datetime | None, datetime]
"""since, until, known_at"""


class Members:
    """The memberships of a batch's people, kept up row by row."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, people: Iterable[int]) -> None:
        self._known: dict[tuple[int, int], list[Interval]] = {}
        self._new: list[tuple[int, int, datetime, datetime | None, datetime]] = []
        listed = list(people)
        if not listed:
            return
        cursor.register("wanted", pa.table({"id": pa.array(listed, pa.int64())}))
        rows = cursor.execute(
            "SELECT account_id, profile_id, since, until, known_at FROM account_members"
            " WHERE profile_id IN (SELECT id FROM wanted)"
        ).fetchall()
        cursor.unregister("wanted")
        for account, person, *interval in rows:
            self._known.setdefault((account, person), []).append((interval[0], interval[1], interval[2]))

    def join(self, account: int, person: int, since: datetime, known_at: datetime) -> None:
        """A person is known to be a member from `since`. A late call adds only the stretch before what is known.

        So each interval keeps when it became known, and a join never counts a member's event twice.
        """
        known = self._known.setdefault((account, person), [])
        if any(start <= since and (until is None or since < until) for start, until, _ in known):
            return
        until = min((start for start, _, _ in known if start > since), default=None)
        known.append((since, until, known_at))
        self._new.append((account, person, since, until, known_at))

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Appends the new intervals."""
        kinds = {
            "account_id": pa.int64(),
            "profile_id": pa.int64(),
            "since": STAMP,
            "until": STAMP,
            "known_at": STAMP,
        }
        append(cursor, "account_members", arrow(kinds, self._new))
