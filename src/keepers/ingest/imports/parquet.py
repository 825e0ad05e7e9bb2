"""A Parquet file as the same chunks of text cells, with the kinds of its own types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from keepers.ingest.imports.chunks import CHUNK_LINES, Chunk
from keepers.model.errors import UserError, problem
from keepers.warehouse.names import literal, quoted

MOST_TEXT = 256 << 20
"""bytes of the texts of a chunk's cells"""
_FEWEST_ROWS = 1000
_MEMORY = "1GB"
_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}


class ParquetFile:
    """Column names, their JSON kinds (`nested` for what is none) and the cells as text."""

    def __init__(self, path: Path) -> None:
        self._cursor = duckdb.connect()
        self._cursor.execute("SET TimeZone = 'UTC'")
        self._cursor.execute(f"SET memory_limit = '{_MEMORY}'")
        self._path = path
        self._from = f"read_parquet({literal(str(path))}, file_row_number = true)"
        try:
            rows = self._cursor.execute(f"DESCRIBE SELECT * EXCLUDE file_row_number FROM {self._from}").fetchall()
            counted = self._cursor.execute(f"SELECT count(*) FROM {self._from}").fetchall()
        except duckdb.Error as error:
            raise UserError(
                problem("{path} is no readable Parquet file: {error}", path=path, error=str(error).splitlines()[0]),
                code="file",
            ) from error
        self.types = {str(row[0]): str(row[1]) for row in rows}
        self.header = list(self.types)
        self.rows = int(counted[0][0])
        self.kinds = {name: _kind(declared) for name, declared in self.types.items()}

    def chunks(self) -> Iterator[Chunk]:
        """Rows numbered from 1, in the order of the file."""
        texts = ", ".join(f"{_cell(name, t)} AS c{i}" for i, (name, t) in enumerate(self.types.items()))
        first = 1
        while first <= self.rows:
            last = min(first + CHUNK_LINES - 1, self.rows)
            while (size := self._text_bytes(texts, first, last)) > MOST_TEXT and last - first >= _FEWEST_ROWS:
                last = first + (last - first) // 2
            if size > MOST_TEXT:
                raise UserError(
                    problem(
                        "{path}: rows {first:,} to {last:,} hold over {most} MB of text. Leave out columns that are "
                        "not imported.",
                        path=self._path,
                        first=first,
                        last=last,
                        most=MOST_TEXT >> 20,
                    ),
                    code="file",
                )
            cells: pa.Table = self._cursor.sql(f"{self._rows(texts, first, last)} ORDER BY 1").to_arrow_table()
            yield Chunk(first, last, cells, [], self._raw_of(cells, first))
            first = last + 1

    def _rows(self, texts: str, first: int, last: int) -> str:
        return (
            f"SELECT file_row_number + 1 AS line, {texts} FROM {self._from}"
            f" WHERE file_row_number BETWEEN {first - 1} AND {last - 1}"
        )

    def _text_bytes(self, texts: str, first: int, last: int) -> int:
        """How much text these rows hold: a few kilobytes of Parquet can repeat a long one for each of many rows."""
        lengths = " + ".join(f"coalesce(strlen(c{i}), 0)" for i in range(len(self.header)))
        (row,) = self._cursor.execute(f"SELECT sum({lengths}) FROM ({self._rows(texts, first, last)})").fetchall()
        return int(row[0])

    def _raw_of(self, cells: pa.Table, first: int) -> Callable[[int], str]:
        def raw_of(line: int) -> str:
            row = cells.slice(line - first, 1).to_pylist()[0]
            named = {name: row[f"c{i}"] for i, name in enumerate(self.header)}
            return msgspec.json.encode(named).decode()

        return raw_of


def _kind(declared: str) -> str:
    if declared in _WHOLE or declared in ("FLOAT", "DOUBLE") or declared.startswith("DECIMAL"):
        return "number"
    if declared == "BOOLEAN":
        return "boolean"
    is_nested = declared.endswith("]") or declared.startswith(("STRUCT", "MAP", "UNION"))
    return "nested" if is_nested else "text"


def _cell(name: str, declared: str) -> str:
    column = quoted(name)
    if declared in ("FLOAT", "DOUBLE"):
        whole = f"{column} = trunc({column}) AND abs({column}) < 1e15"
        return (
            f"CASE WHEN NOT isfinite({column}) THEN NULL WHEN {whole} THEN {column}::BIGINT::VARCHAR"
            f" ELSE {column}::DOUBLE::VARCHAR END"
        )
    if declared.startswith("TIMESTAMP WITH"):
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if declared.startswith("TIMESTAMP"):
        return f"strftime({column}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%f')"
    if declared == "BLOB":
        return f"base64({column})"
    if _kind(declared) == "nested":
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"
