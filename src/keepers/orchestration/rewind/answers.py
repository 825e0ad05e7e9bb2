"""The warehouse at a moment: later answers are undone, later rows dated back to it as the log's are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from keepers.evaluation.changes import keep_number
from keepers.evaluation.evaluate import set_clock
from keepers.orchestration.rewind.log_rows import redated_time
from keepers.store.bulk import select_in
from keepers.store.database import Store
from keepers.store.events.log import OWN_SOURCE
from keepers.store.schema.core import log
from keepers.warehouse.identity_links import MergeLinks
from keepers.warehouse.rebuild import Progress, rebuild
from keepers.warehouse.typed_tables import STAMP
from keepers.warehouse.zone_offsets import local_day

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

REDATED = {
    "profiles": ("created_at",),
    "account_members": ("since", "until", "known_at"),
    "canon": ("at",),
    "merge_links": ("at",),
    "ended_merges": ("at", "until"),
    "zone_facts": ("time",),
    "imported": ("at",),
    "dirty": ("at",),
    "engaged": ("at",),
    "import_chunks": ("loaded_at",),
    "standing_queries": ("applied_at", "retired_at"),
}
"""columns of the fixed tables that say when something happened; tracks, states and changes are treated by themselves"""
_STAMPS = {"seq": pa.int64(), "time": STAMP, "received_at": STAMP, "known_at": STAMP, "day": pa.date32()}


def rewind_answers(warehouse: Warehouse, store: Store, to: datetime, progress: Progress | None = None) -> int:
    """Takes the warehouse back to `to`, after the store; how many changes were undone.

    The last tick is at `to` only when all is done: interrupted, it is done again. The next tick answers everybody.
    """
    with warehouse.transaction() as cursor:
        _remove_derived(cursor, store, to)
        _redate_tracks(cursor, warehouse, to)
        for table, columns in REDATED.items():
            for column in columns:
                cursor.execute(f'UPDATE {table} SET "{column}" = $to WHERE "{column}" > $to', {"to": to})
    rebuild(warehouse, progress)
    with warehouse.transaction() as cursor:
        undone = _undo_changes(cursor, to)
        cursor.execute("DELETE FROM event_times")
        cursor.execute("INSERT INTO event_times SELECT event, max(time) FROM tracks GROUP BY event")
        cursor.execute(
            """
            INSERT INTO dirty
            SELECT profile_id, ?, 'profile', '' FROM profiles
            WHERE profile_id NOT IN (SELECT from_id FROM canon)
            """,
            [to],
        )
        set_clock(cursor, to)
    warehouse.reload()
    return undone


def _remove_derived(cursor: duckdb.DuckDBPyConnection, store: Store, to: datetime) -> None:
    """Removes Keepers' own rows that the log does not have any more."""
    own = "SELECT seq FROM tracks WHERE source = ? AND received_at > ? ORDER BY seq"
    seqs = [row[0] for row in cursor.execute(own, [OWN_SOURCE, to]).fetchall()]
    with store.read() as connection:
        kept = {row.seq for row in select_in(connection, log.select().with_only_columns(log.c.seq), log.c.seq, seqs)}
    cursor.register("gone", pa.table({"seq": pa.array([seq for seq in seqs if seq not in kept], pa.int64())}))
    cursor.execute("DELETE FROM tracks WHERE seq IN (SELECT seq FROM gone)")
    cursor.execute("DELETE FROM zone_facts WHERE seq IN (SELECT seq FROM gone)")
    cursor.unregister("gone")


def _redate_tracks(cursor: duckdb.DuckDBPyConnection, warehouse: Warehouse, to: datetime) -> None:
    later = "SELECT seq, profile_id, time, received_at, known_at FROM tracks WHERE received_at > ? ORDER BY seq"
    rows = cursor.execute(later, [to]).fetchall()
    links = MergeLinks(cursor, {row[1] for row in rows}, warehouse.zone)
    stamps = []
    for seq, profile_id, happened_at, received_at, known_at in rows:
        time = redated_time(happened_at, received_at, to)
        stamps.append((seq, time, to, min(known_at, to), local_day(links.zone(profile_id), time)))
    columns = {name: pa.array([row[n] for row in stamps], kind) for n, (name, kind) in enumerate(_STAMPS.items())}
    cursor.register("stamps", pa.table(columns))
    cursor.execute(
        """
        UPDATE tracks
        SET time = s.time, received_at = s.received_at, known_at = s.known_at, day = s.day
        FROM stamps s WHERE s.seq = tracks.seq
        """
    )
    cursor.unregister("stamps")


def _undo_changes(cursor: duckdb.DuckDBPyConnection, to: datetime) -> int:
    """Gives everybody the answers of `to` and removes later changes. Rules first answered later are not answered."""
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE undone AS
        SELECT c.query_id, c.profile_id, arg_min(c.from_value, c.n) AS value, bool_or(c.initial) AS initial
        FROM changes c
        JOIN standing_queries q ON q.query_id = c.query_id AND q.is_active
        WHERE c."at" > ?
        GROUP BY c.query_id, c.profile_id
        """,
        [to],
    )
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE restored AS
        SELECT u.query_id, u.profile_id, u.value,
               coalesce(max(c."at"), least(any_value(s.since), $to)) AS since,
               coalesce(arg_max(c.cause, c.n), any_value(s.cause), 'time') AS cause
        FROM undone u
        LEFT JOIN changes c ON c.query_id = u.query_id AND c.profile_id = u.profile_id AND c."at" <= $to
        LEFT JOIN states s ON s.query_id = u.query_id AND s.profile_id = u.profile_id
        GROUP BY u.query_id, u.profile_id, u.value
        """,
        {"to": to},
    )
    cursor.execute(
        """
        DELETE FROM states USING undone u WHERE states.query_id = u.query_id AND states.profile_id = u.profile_id
        """
    )
    # Due at once: from when each answer changes next is computed again.
    cursor.execute(
        "INSERT INTO states SELECT query_id, profile_id, value, since, ?, cause FROM restored WHERE value > 0", [to]
    )
    keep_number(cursor)
    numbers = cursor.execute("SELECT count(*) FROM undone").fetchone()
    cursor.execute(
        """
        DELETE FROM changes
        WHERE "at" > ? AND query_id IN (SELECT query_id FROM standing_queries WHERE is_active)
        """,
        [to],
    )
    cursor.execute('UPDATE changes SET "at" = $to WHERE "at" > $to', {"to": to})
    first_answered = "SELECT query_id FROM undone WHERE initial"
    cursor.execute(f"UPDATE standing_queries SET is_answered = false WHERE query_id IN ({first_answered})")
    cursor.execute(f"DELETE FROM states WHERE query_id IN ({first_answered})")
    return int(numbers[0]) if numbers else 0
