"""A staged chunk → the warehouse: messages as JSON, typed rows, traits, profiles, what is dirty; all in SQL."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

import duckdb
import msgspec
import pyarrow as pa

from keepers.conditions.schema import TRUSTED
from keepers.ingest.imports.mapping import Mapping
from keepers.ingest.imports.stage import CellValue, StagingPlan
from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import IMPORT
from keepers.warehouse.load import upsert_profiles
from keepers.warehouse.names import literal, quoted
from keepers.warehouse.rebuild import save_names
from keepers.warehouse.typed_tables import write_latest
from keepers.warehouse.values import read_date

_SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}


def value_of(value: CellValue) -> str:
    """SQL of the cell as its kind; NULL where the cell is empty."""
    if value.kind == "number":
        return f"try_cast(nullif({value.cell}, '') AS DOUBLE)"
    if value.kind == "boolean":
        return f"(CASE lower(trim({value.cell})) WHEN 'true' THEN true WHEN 'false' THEN false END)"
    return f"nfc_normalize(nullif({value.cell}, ''))"


def json_of(value: CellValue) -> str:
    """SQL of the cell as JSON text; numbers in their canonical form."""
    if value.kind == "number":
        cell = f"trim(nullif({value.cell}, ''))"
        return f"CASE WHEN regexp_matches({cell}, '[.eE]') THEN try_cast({cell} AS DOUBLE)::VARCHAR ELSE {cell} END"
    if value.kind == "boolean":
        return f"CASE WHEN trim({value.cell}) <> '' THEN lower(trim({value.cell})) END"
    if value.kind == "nested":
        return f"nullif({value.cell}, '')"
    return f"to_json(nullif({value.cell}, ''))::VARCHAR"


def message_of(kind: str, mapping: Mapping, values: tuple[CellValue, ...]) -> str:
    """SQL of the message as the same row sent over HTTP would be stored."""
    pairs = [f"{literal(_text(v.name) + ':')} || {json_of(v)}" for v in values if v.kind != "empty"]
    inside = f"concat_ws(',', {', '.join(pairs)})" if pairs else "''"
    event = f'"event":{_text(mapping.event or "")},' if kind == "track" else ""
    held = "properties" if kind == "track" else "traits"
    start = f'{{"type":"{kind}",{event}"userId":'
    return (
        f"{literal(start)} || to_json(who)::VARCHAR || {literal(f',{_text(held)}:{{')} || {inside} ||"
        """ '},"timestamp":"' || strftime(time, '%Y-%m-%dT%H:%M:%S.%fZ') || '"}'"""
    )


def add_names(warehouse: Warehouse, plan: StagingPlan, mapping: Mapping) -> None:
    """Gives new names their tables and columns, for the values that `staged` really holds. Hold `writing()`."""
    cursor = warehouse.cursor()
    registry = warehouse.registry
    if mapping.event is not None:
        layout = registry.layout(mapping.event)
        for value in _present(cursor, plan.properties):
            registry.column(layout, value.name, value.kind)
    for value in _present(cursor, plan.traits):
        registry.trait(value.name)
    if registry.is_changed:
        with warehouse.transaction() as writer:
            save_names(warehouse, writer)


def number_rows(cursor: duckdb.DuckDBPyConnection, first_seq: int, per_row: int, zone: str, has_zones: bool) -> None:
    """Makes `numbered`: staged rows with profile_id, seq (the first of the row's) and day, by profile.

    Reads `resolved`. Sorted once, so that every table written from it is in the order in which it will be read.
    """
    own = "coalesce(p.zone, " + literal(zone) + ")" if has_zones else literal(zone)
    profiles = "LEFT JOIN profiles AS p ON p.profile_id = r.profile_id" if has_zones else ""
    day = "n.time::DATE" if zone == "UTC" and not has_zones else "(n.time + to_seconds(o.offset_s))::DATE"
    offsets = ""
    if zone != "UTC" or has_zones:
        of_zone = "" if has_zones else f"WHERE zone = {literal(zone)}"
        offsets = f"""ASOF JOIN (SELECT zone, from_utc, offset_s FROM zone_offsets {of_zone}) AS o
            ON n.zone = o.zone AND n.time >= o.from_utc"""
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE numbered AS
        SELECT n.*, {day} AS day
        FROM (
            SELECT s.*, r.profile_id, {own} AS zone,
                   {first_seq} + {per_row} * (row_number() OVER (ORDER BY s.line) - 1) AS seq
            FROM staged AS s
            JOIN resolved AS r ON r.who = s.who
            {profiles}
        ) AS n
        {offsets}
        ORDER BY n.profile_id, n.seq"""
    )


def write_profiles(cursor: duckdb.DuckDBPyConnection, zone: str, received_at: datetime) -> None:
    """Adds the chunk's people, noted as imported. `bucket_key` is `model.profile.bucket_key` of a user id."""
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE chunk_profiles AS
        SELECT profile_id, 'person' AS kind, md5('user_id:' || arg_min(who, line)) AS bucket_key,
               min(time) AS created_at, {literal(zone)} AS zone
        FROM numbered GROUP BY profile_id"""
    )
    cursor.execute(
        f"""
        INSERT INTO dirty SELECT profile_id, created_at, '{IMPORT}profile', '' FROM chunk_profiles
        WHERE profile_id NOT IN (SELECT profile_id FROM profiles)"""
    )
    cursor.execute("INSERT INTO imported SELECT profile_id, ? FROM chunk_profiles", [received_at])
    upsert_profiles(cursor, "chunk_profiles")
    cursor.execute("DROP TABLE chunk_profiles")


def write_events(
    warehouse: Warehouse,
    cursor: duckdb.DuckDBPyConnection,
    plan: StagingPlan,
    mapping: Mapping,
    received_at: datetime,
) -> dict[str, datetime]:
    """Writes the chunk's events; returns the event's latest time. Inside the chunk's transaction."""
    if mapping.event is None:
        return {}
    event = literal(mapping.event)
    seq = "seq + 1" if plan.traits else "seq"
    _write_tracks(
        cursor, "track", mapping.event, message_of("track", mapping, plan.properties), seq, mapping, received_at
    )
    layout = warehouse.registry.layout(mapping.event)
    if layout.table:
        held = {
            column: value_of(value)
            for value in plan.properties
            if (column := layout.kind(value.kind).get(value.name) if value.kind in _SQL_TYPES else None)
        }
        columns = ", ".join(["seq", "profile_id", "time", "known_at", "day", quoted(TRUSTED), *map(quoted, held)])
        values = ", ".join([seq, "profile_id", "time", "time", "day", "true", *held.values()])
        cursor.execute(f"INSERT INTO {quoted(layout.table)} ({columns}) SELECT {values} FROM numbered")
    cursor.execute(
        f"INSERT INTO dirty SELECT profile_id, min(time), '{IMPORT}event', {event} FROM numbered GROUP BY profile_id"
    )
    found = cursor.execute("SELECT max(time) FROM numbered").fetchall()[0][0]
    latest = {mapping.event: found} if found is not None else {}
    write_latest(cursor, latest)
    return latest


def write_traits(cursor: duckdb.DuckDBPyConnection, plan: StagingPlan, mapping: Mapping, received_at: datetime) -> None:
    """Writes the chunk's traits. Inside the chunk's transaction."""
    if not plan.traits:
        return
    _write_tracks(
        cursor, "identify", "identify", message_of("identify", mapping, plan.traits), "seq", mapping, received_at
    )
    for value in plan.traits:
        if value.kind not in _SQL_TYPES:
            continue
        name = literal(value.name)
        columns = ", ".join(value_of(value) if kind == value.kind else "NULL" for kind in _SQL_TYPES)
        dates = join = ""
        if value.kind == "text":
            _register_dates(cursor, value)
            join = f"LEFT JOIN trait_dates AS d ON d.text = {value_of(value)} AND d.zone = numbered.zone"
        dates = "d.instant, d.date" if join else "NULL, NULL"
        cursor.execute(
            f"""
            INSERT INTO trait_values
                (profile_id, trait, time, seq, known_at, number, text, boolean, instant, date, raw, trusted)
            SELECT profile_id, {name}, time, seq, time, {columns}, {dates}, {json_of(value)}, true
            FROM numbered {join}
            WHERE {json_of(value)} IS NOT NULL"""
        )
        cursor.execute(
            f"""
            INSERT INTO dirty SELECT profile_id, min(time), '{IMPORT}trait', {name} FROM numbered
            WHERE {json_of(value)} IS NOT NULL GROUP BY profile_id"""
        )
        if join:
            cursor.unregister("trait_dates")


def _register_dates(cursor: duckdb.DuckDBPyConnection, value: CellValue) -> None:
    """The trait's distinct texts that are dates, read by the very function that `load` uses."""
    rows = cursor.execute(
        f"""SELECT DISTINCT {value_of(value)} AS text, zone FROM numbered
        WHERE regexp_matches({value_of(value)}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"""
    ).fetchall()
    read = [(text, zone, *(read_date(text, zone) or (None, None))) for text, zone in rows]
    columns = list(zip(*read, strict=True)) or [(), (), (), ()]
    types = (pa.string(), pa.string(), pa.timestamp("us"), pa.date32())
    arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
    cursor.register("trait_dates", pa.table(arrays, names=["text", "zone", "instant", "date"]))


def _write_tracks(
    cursor: duckdb.DuckDBPyConnection,
    kind: str,
    event: str,
    message: str,
    seq: str,
    mapping: Mapping,
    received_at: datetime,
) -> None:
    cursor.execute(
        f"""
        INSERT INTO tracks (seq, profile_id, kind, event, time, received_at, known_at, day, source, raw, trusted)
        SELECT {seq}, profile_id, '{kind}', {literal(event)}, time, TIMESTAMP '{received_at.isoformat(sep=" ")}',
               time, day, {literal(mapping.source)}, {message}, true
        FROM numbered"""
    )


def _present(cursor: duckdb.DuckDBPyConnection, values: tuple[CellValue, ...]) -> list[CellValue]:
    """Those that have a value in some staged row, in order; a column that stays empty is no property."""
    held = [value for value in values if value.kind in _SQL_TYPES]
    if not held:
        return []
    counts = ", ".join(f"count({value_of(value)})" for value in held)
    answers = cursor.execute(f"SELECT {counts} FROM staged").fetchall()[0]
    return [value for value, count in zip(held, answers, strict=True) if count]


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def is_flat(plan: StagingPlan) -> bool:
    """Whether every value is a scalar and none is a reserved trait: such a chunk is written in SQL alone."""
    values = list(chain(plan.properties, plan.traits))
    reserved = {"timezone", "country"}
    return all(v.kind != "nested" for v in values) and not any(v.name in reserved for v in plan.traits)
