"""A chunk's cells as rows to write (profile, time, values), and the rejected rows with reasons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keepers.ingest.imports.mapping import ImportProblem, Mapping
from keepers.model.errors import UserError, problem
from keepers.model.identity import LONGEST_ID, PLACEHOLDERS
from keepers.warehouse.names import literal

NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_COLUMNS_AT_ONCE = 100
_ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
_OFFSET = r".{11,}(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$"


class CellValue(Struct, frozen=True):
    """One property or trait: its name, the cell it comes from and the kinds that its column holds."""

    name: str
    cell: str
    kind: str


class StagingPlan(Struct, frozen=True):
    """The mapping in terms of cells."""

    profile: str
    time: str | None
    properties: tuple[CellValue, ...]
    traits: tuple[CellValue, ...]


def plan(mapping: Mapping, header: list[str], kinds: dict[str, str]) -> StagingPlan:
    """A bound mapping → cells `c0` … of the chunk and each column's kind."""
    cell = {name: f"c{i}" for i, name in enumerate(header)}

    def values(named: dict[str, str]) -> tuple[CellValue, ...]:
        return tuple(CellValue(name, cell[column], kinds.get(column, "empty")) for name, column in named.items())

    return StagingPlan(
        cell[mapping.profile],
        cell[mapping.time] if mapping.time else None,
        values(mapping.properties),
        values(mapping.traits),
    )


def column_kinds(cursor: duckdb.DuckDBPyConnection, cells: pa.Table, still: dict[str, set[str]]) -> None:
    """Narrows, chunk by chunk, which kinds each cell column may be. `still`: cell → candidate kinds."""
    tests = {
        "number": "bool_and({c} = '' OR regexp_full_match(trim({c}), '"
        + NUMBER
        + "') AND isfinite(try_cast({c} AS DOUBLE)))",
        "boolean": "bool_and({c} = '' OR lower(trim({c})) IN ('true', 'false'))",
        "empty": "bool_and(trim({c}) = '')",
    }
    if cells.num_rows == 0:
        return
    open_cells = [cell for cell, kinds in still.items() if kinds]
    # A query's cost grows with the square of its columns: two thousand at once took half a minute.
    for start in range(0, len(open_cells), _COLUMNS_AT_ONCE):
        some = open_cells[start : start + _COLUMNS_AT_ONCE]
        tested = [(cell, kind) for cell in some for kind in still[cell]]
        cursor.register("cells", cells.select(some))
        shown = ", ".join(f"coalesce({tests[kind].format(c=cell)}, true)" for cell, kind in tested)
        answers = cursor.execute(f"SELECT {shown} FROM cells").fetchall()[0]
        cursor.unregister("cells")
        for (cell, kind), holds in zip(tested, answers, strict=True):
            if not holds:
                still[cell].discard(kind)


def chosen_kind(candidates: set[str]) -> str:
    """The kind of a column once all of it was seen."""
    return next((kind for kind in ("empty", "boolean", "number") if kind in candidates), "text")


def check_time_format(cursor: duckdb.DuckDBPyConnection, time_format: str | None) -> None:
    """Raises UserError for a format that strptime does not know."""
    if time_format is None:
        return
    try:
        cursor.execute(f"SELECT try_strptime('x', {literal(time_format)})").fetchall()
    except duckdb.Error as error:
        raise UserError(
            problem(
                "“{time_format}” is no time format: {error}. Write it as strptime does, such as %Y-%m-%d %H:%M.",
                time_format=time_format,
                error=str(error).splitlines()[0],
            ),
            code="mapping",
        ) from None


def stage(
    cursor: duckdb.DuckDBPyConnection,
    cells: pa.Table,
    plan: StagingPlan,
    mapping: Mapping,
    zone: str,
    now: datetime,
    has_all_cells: bool,
) -> list[tuple[int, str]]:
    """Makes the temporary table `staged` (line, who, time, the cells) and returns (line, reason) of the others.

    Rows whose cells are all blank are neither.
    """
    cursor.register("cells", cells)
    names = [name for name in cells.column_names if name != "line"]
    # An object of NDJSON is never blank: its other values are not among the cells.
    blank = " AND ".join(f"coalesce(trim({name}), '') = ''" for name in names) if has_all_cells else "false"
    if plan.time is None:
        local, is_zoned = f"TIMESTAMP '{now.isoformat(sep=' ')}'", "true"
    else:
        local, is_zoned = _parsed(f"trim({plan.time})", mapping.time_format)
    utc = "local"
    join = ""
    if zone != "UTC" and plan.time is not None:
        utc = "CASE WHEN is_zoned THEN local ELSE local - to_seconds(o.offset_s) END"
        join = f"""
            ASOF LEFT JOIN (FROM zone_offsets WHERE zone = {literal(zone)}) AS o ON parsed.local >= o.local_from"""
    placeholders = ", ".join(literal(value) for value in sorted(PLACEHOLDERS))
    shown_time = f"{plan.time}" if plan.time else "''"
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE staged AS
        WITH parsed AS (
            SELECT cells.*, trim({plan.profile}, {literal(_BLANKS)}) AS who, {local} AS local, {is_zoned} AS is_zoned
            FROM cells WHERE NOT ({blank})
        )
        SELECT parsed.* EXCLUDE (local, is_zoned), {utc} AS time,
            CASE
                WHEN coalesce(who, '') = '' THEN 'no profile'
                WHEN length(who) < 40 AND lower(who) IN ({placeholders}) THEN '“' || who || '” stands for nobody'
                WHEN length(who) > {LONGEST_ID} THEN 'the profile is longer than {LONGEST_ID} characters'
                WHEN local IS NULL AND coalesce(trim({shown_time}), '') = '' THEN 'no time'
                WHEN local IS NULL THEN '“' || left({shown_time}, 60) || '” is not a time'
                WHEN NOT isfinite(local) OR local < TIMESTAMP '1970-01-01' OR local >= TIMESTAMP '2101-01-01'
                    THEN 'the time is outside 1970 to 2100'
            END AS reason
        FROM parsed {join}"""
    )
    cursor.unregister("cells")
    rejected = cursor.execute("SELECT line, reason FROM staged WHERE reason IS NOT NULL ORDER BY line").fetchall()
    if rejected:
        cursor.execute("DELETE FROM staged WHERE reason IS NOT NULL")
    return rejected


_BLANKS = " \t\r\n\u00a0\ufeff"


def _parsed(text: str, time_format: str | None) -> tuple[str, str]:
    """SQL of the wall time (or UTC) that a text says, and of whether it is UTC already."""
    if time_format is not None:
        if "%z" in time_format.replace("%%", "") or "%Z" in time_format.replace("%%", ""):
            return f"(try_strptime({text}, {literal(time_format)}) AT TIME ZONE 'UTC')", "true"
        return f"try_strptime({text}, {literal(time_format)})", "false"
    is_zoned = f"regexp_matches({text}, '{_OFFSET}')"
    parsed = f"""
        CASE WHEN NOT regexp_full_match({text}, '{_ISO}') THEN NULL
             WHEN length({text}) = 10 THEN try_cast({text} AS TIMESTAMP)
             WHEN {is_zoned} THEN try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
             ELSE try_cast({text} AS TIMESTAMP) END"""
    return parsed, is_zoned


def distinct_ids(cursor: duckdb.DuckDBPyConnection) -> tuple[list[str], list[datetime]]:
    """Who is in `staged` and not yet in `resolved`, in the order of first lines, and since when each is known."""
    rows = cursor.sql(
        """
        SELECT who, min(time) AS since FROM staged
        WHERE who NOT IN (SELECT who FROM resolved)
        GROUP BY who ORDER BY min(line)"""
    ).to_arrow_table()
    return rows.column(0).to_pylist(), rows.column(1).to_pylist()


def who_of(cells: pa.Table, plan: StagingPlan, lines: list[int]) -> dict[int, str]:
    """Line → whom it is about, of some lines."""
    rows = cells.select(["line", plan.profile]).filter(pc.is_in(cells["line"], pa.array(lines, cells["line"].type)))
    return {line: who or "" for line, who in zip(*(column.to_pylist() for column in rows.columns), strict=True)}


def problems(rejected: list[tuple[int, str]], raw_of: Any) -> list[ImportProblem]:
    """Rejects with their raw rows."""
    return [ImportProblem(line, reason, raw_of(line)) for line, reason in rejected]
