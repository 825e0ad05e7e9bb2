"""Makes typed tables, child tables and trait_values from `tracks.raw`: all of them anew, sorted for scoped reads, or
those of names that get a table or a column after rows of theirs have arrived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from keepers.conditions.graph import NamedProperties
from keepers.conditions.schema import EVENT_KINDS, TRUSTED
from keepers.warehouse.identity_links import ZONE_TRAITS, MergeLinks
from keepers.warehouse.names import quoted
from keepers.warehouse.privacy.retention import EMPTIED
from keepers.warehouse.typed_tables import (
    TRAITS,
    TypedRows,
    append,
    arrow,
    collector_paused,
    event_properties,
    write_latest,
)
from keepers.warehouse.values import object_in, trait_values
from keepers.warehouse.zone_offsets import zone_of

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

_BATCH = 100_000
PIECE = 10_000
"""rows that are written again in one transaction, after their names were promoted"""
_ANY_TIME = datetime(1970, 1, 1)  # a replay needs the order of merges, not when they were
_EMPTIED = f"SELECT seq FROM tracks WHERE raw = '{EMPTIED}'"
"""what cannot be written again"""
Progress = Callable[[int, int], None]


def rebuild(warehouse: Warehouse, progress: Progress | None = None) -> int:
    """Rebuilds everything that is made from `tracks.raw`; returns the number of tracks read.

    What was made of events whose JSON is kept no longer stays as it is.

    One transaction: either all is rebuilt or nothing changed. The tables hold the same rows as before, sorted
    by (profile_id, time). `progress` is called with (tracks done, all tracks).
    """
    registry = warehouse.registry
    with warehouse.transaction() as cursor:
        new = {event for event, unfilled in registry.filling.unfilled.items() if unfilled.is_new}
        while True:
            registry.filling.begin_all()
            for table in (*typed_tables(warehouse), "trait_values"):
                cursor.execute(f"DELETE FROM {quoted(table)} WHERE seq NOT IN ({_EMPTIED})")
            with collector_paused():
                done = _replay(warehouse, cursor, progress)
            if not registry.filling.promoted:
                break
            # A name that only trusted rows later on made known: all rows have its columns the next time.
            new |= {event for event, promoted in registry.filling.promoted.items() if promoted.is_new}
            registry.filling.promoted = {}
        for event in sorted(new):
            _insert_emptied(cursor, event, registry.events[event].table)
        registry.filling.end_all()
        registry.save(cursor)
        _sort(warehouse, cursor)
    return done


def _insert_emptied(cursor: duckdb.DuckDBPyConnection, event: str, table: str) -> None:
    """Adds the rows whose JSON is kept no longer to an event's new table, where they are not in it yet."""
    if not table:
        return
    cursor.execute(
        f"""
        INSERT INTO {quoted(table)} (seq, profile_id, time, known_at, day, {quoted(TRUSTED)})
        SELECT seq, profile_id, time, known_at, day, trusted FROM tracks
        WHERE event = ? AND kind IN {EVENT_KINDS} AND raw = '{EMPTIED}'
            AND seq NOT IN (SELECT seq FROM {quoted(table)})""",
        [event],
    )


def take_names(warehouse: Warehouse, named: NamedProperties) -> None:
    """Gives what the playbook names its tables and columns, also where it came by public keys alone."""
    if warehouse.registry.named == named:
        return

    def has_rows(event: str) -> bool:
        query = f"SELECT 1 FROM tracks WHERE event = ? AND kind IN {EVENT_KINDS} LIMIT 1"
        return bool(cursor.execute(query, [event]).fetchall())

    with warehouse.transaction() as cursor:
        warehouse.registry.name(named, has_rows)
        save_names(warehouse, cursor)


def save_names(warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection) -> None:
    """Saves the registry, and begins to write again the rows that lack what their events have now (`fill`), in the
    caller's transaction. The rows of a batch that is being read are not yet in `tracks`."""
    registry = warehouse.registry
    if registry.filling.promoted:
        (until,) = cursor.execute("SELECT max(seq) FROM tracks").fetchall()[0]
        for event in registry.filling.begin(-1 if until is None else until):
            query = f"SELECT max(time) FROM tracks WHERE event = ? AND kind IN {EVENT_KINDS}"
            (latest,) = cursor.execute(query, [event]).fetchall()[0]
            if latest is not None:
                times = {event: latest}
                write_latest(cursor, times)
                warehouse.latest.update(times)
    registry.save(cursor)
    if registry.filling.unfilled:
        _fill(warehouse, cursor, PIECE)


def fill(warehouse: Warehouse, pieces: int) -> int:
    """Writes again what rows lack that arrived before their names were promoted, up to so many pieces; how many were.

    Each is a transaction of its own, so that no other writer waits for longer, and what a crash leaves is carried on.
    """
    for done in range(pieces):
        with warehouse.writing():
            if not warehouse.registry.filling.unfilled:
                return done
            with warehouse.transaction() as cursor:
                _fill(warehouse, cursor, PIECE)
    return pieces


def _fill(warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection, most: int) -> None:
    """The next rows of what is unfilled, `most` of them."""
    for event in list(warehouse.registry.filling.unfilled):
        with collector_paused():
            most -= _fill_event(warehouse, cursor, event, most)
        if most <= 0:
            break
    warehouse.registry.save(cursor)


def _fill_event(warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection, event: str, most: int) -> int:
    """An event's next rows from the record, in place of those that are there; how many there were.

    All of them into a new table, else those that are not trusted, since trusted ones have every column. Rows whose JSON
    is kept no longer stay as they are.
    """
    registry = warehouse.registry
    unfilled, layout = registry.filling.unfilled[event], registry.events[event]
    table = quoted(layout.table)
    only = f"NOT trusted AND raw <> '{EMPTIED}'"
    if unfilled.is_new:
        only = f"(raw <> '{EMPTIED}' OR seq NOT IN (SELECT seq FROM {table}))"
    found = cursor.execute(
        f"""
        SELECT seq, profile_id, kind, time, known_at, day, raw, trusted FROM tracks
        WHERE event = ? AND kind IN {EVENT_KINDS} AND seq > ? AND seq <= ? AND {only} ORDER BY seq LIMIT {most}""",
        [event, unfilled.after, unfilled.until],
    ).fetchall()
    decode = msgspec.json.Decoder().decode
    typed = TypedRows(registry)
    for seq, profile_id, kind, time, known_at, day, raw, trusted in found:
        typed.add(event, seq, profile_id, time, known_at, day, trusted, event_properties(kind, decode(raw)))
    registry.save(cursor)
    cursor.register("written_again", pa.table({"seq": pa.array([row[0] for row in found], pa.int64())}))
    for name in (layout.table, *(child.table for child in layout.children.values() if child.table)):
        cursor.execute(f"DELETE FROM {quoted(name)} WHERE seq IN (SELECT seq FROM written_again)")
    cursor.unregister("written_again")
    typed.write(cursor)
    registry.filling.advance(cursor, event, found[-1][0] if len(found) == most else unfilled.until)
    return len(found)


def typed_tables(warehouse: Warehouse) -> list[str]:
    """Every typed event table and child table."""
    found = []
    for layout in warehouse.registry.events.values():
        if layout.table:
            found.append(layout.table)
            found += [child.table for child in layout.children.values() if child.table]
    return found


def _sort(warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection) -> None:
    for layout in warehouse.registry.events.values():
        if layout.table:
            _sort_table(cursor, layout.table, "profile_id, time, seq")
            for child in layout.children.values():
                if child.table:
                    _sort_table(cursor, child.table, "profile_id, seq, position")
    _sort_table(cursor, "trait_values", "profile_id, trait, time, seq")


def _sort_table(cursor: duckdb.DuckDBPyConnection, table: str, order: str) -> None:
    cursor.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS SELECT * FROM {quoted(table)} ORDER BY {order}")


def _replay(warehouse: Warehouse, cursor: duckdb.DuckDBPyConnection, progress: Progress | None) -> int:
    decode = msgspec.json.Decoder().decode
    total = int(cursor.execute("SELECT count(*) FROM tracks WHERE raw <> ?", [EMPTIED]).fetchall()[0][0])
    relinks = cursor.execute("SELECT seq, kind, from_id, to_id FROM merge_log ORDER BY seq DESC").fetchall()
    links = MergeLinks(cursor, (), warehouse.zone)
    # What is kept no longer still says which zone the dates of later traits are of.
    facts = cursor.execute(
        "SELECT profile_id, trait, time, seq, zone, trusted FROM zone_facts"
        " WHERE seq IN (SELECT seq FROM tracks WHERE raw = ?) ORDER BY seq",
        [EMPTIED],
    ).fetchall()
    for subject, trait, time, seq, zone, trusted in facts:
        links.learn(subject, trait, time, seq, zone, trusted=trusted)
    done, after = 0, -1
    while True:
        tracks = cursor.execute(
            """
            SELECT seq, profile_id, other_id, kind, event, time, known_at, day, raw, trusted FROM tracks
            WHERE seq > ? AND raw <> ? ORDER BY seq LIMIT ?""",
            [after, EMPTIED, _BATCH],
        ).fetchall()
        if not tracks:
            return done
        typed = TypedRows(warehouse.registry)
        traits: list[tuple[Any, ...]] = []
        for seq, profile_id, other_id, kind, event, time, known_at, day, raw, trusted in tracks:
            while relinks and relinks[-1][0] < seq:
                _relink(links, relinks.pop())
            message = decode(raw)
            if kind in EVENT_KINDS:
                typed.add(event, seq, profile_id, time, known_at, day, trusted, event_properties(kind, message))
            elif kind == "identify" or (kind == "group" and other_id is not None):
                subject = profile_id if kind == "identify" else other_id
                sent = object_in(message, "traits")
                for trait in ZONE_TRAITS:
                    if trait in sent:
                        links.learn(subject, trait, time, seq, zone_of(trait, sent[trait]), trusted=trusted)
                for trait, held in trait_values(sent, links.zone(subject)):
                    traits.append((subject, trait, time, seq, known_at, *held, trusted))
        warehouse.registry.save(cursor)
        typed.write(cursor)
        append(cursor, "trait_values", arrow(TRAITS, traits))
        done, after = done + len(tracks), tracks[-1][0]
        if progress is not None:
            progress(done, total)


def _relink(links: MergeLinks, row: tuple[int, str, int, int]) -> None:
    seq, kind, source, target = row
    if kind == "merge":
        links.merge(source, target, seq, _ANY_TIME)
    else:
        links.unmerge(source, _ANY_TIME)
