"""The first look at a whole file: its columns, what kind each one is, how many lines there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
from msgspec import Struct

from keepers.ingest.imports.chunks import Chunk, csv_chunks, header_of, ndjson_chunks
from keepers.ingest.imports.file_kind import FileKind, detect
from keepers.ingest.imports.mapping import Mapping
from keepers.ingest.imports.parquet import ParquetFile
from keepers.ingest.imports.stage import check_time_format, chosen_kind, column_kinds
from keepers.model.errors import UserError, problem


class Scan(Struct):
    """A file that was looked at, and the mapping bound to its columns."""

    kind: FileKind
    mapping: Mapping
    header: list[str]
    kinds: dict[str, str]
    lines: int
    chunks: Callable[[], Iterator[Chunk]]


def scan(path: Path, mapping: Mapping, *, chunks: int | None = None) -> Scan:
    """Reads the file once (or only its first `chunks`). Raises UserError for a file or mapping that can't work."""
    mapping = mapping.checked()
    kind = detect(path, mapping.delimiter)
    cursor = duckdb.connect()
    try:
        check_time_format(cursor, mapping.time_format)
        if kind.format == "parquet":
            return _scan_parquet(path, kind, mapping)
        if kind.format == "ndjson":
            return _scan_ndjson(path, kind, mapping, chunks)
        return _scan_csv(path, kind, mapping, chunks, cursor)
    finally:
        cursor.close()


def _scan_parquet(path: Path, kind: FileKind, mapping: Mapping) -> Scan:
    file = ParquetFile(path)
    bound = mapping.bound(file.header, str(path))
    return Scan(kind, bound, file.header, file.kinds, file.rows, file.chunks)


def _scan_csv(
    path: Path, kind: FileKind, mapping: Mapping, most: int | None, cursor: duckdb.DuckDBPyConnection
) -> Scan:
    header = header_of(path, kind, mapping)
    bound = mapping.bound(header, str(path))

    def chunks() -> Iterator[Chunk]:
        return csv_chunks(path, kind, header, has_header=not mapping.columns)

    cells = {name: f"c{i}" for i, name in enumerate(header)}
    read = {*bound.properties.values(), *bound.traits.values()}
    still = {cells[name]: {"number", "boolean", "empty"} for name in read}
    lines, width = 0, 0
    for number, chunk in enumerate(_until(chunks(), most)):
        column_kinds(cursor, chunk.cells, still)
        lines = chunk.last_line
        width += chunk.cells.num_rows
        if number == 0 and not chunk.cells.num_rows and len(chunk.rejects) > 1:
            raise UserError(
                problem(
                    "{path}, line {line}: {reason}; no line of it fits the columns “{columns}”. "
                    "Check --delimiter and --columns.",
                    path=path,
                    line=chunk.rejects[0].line,
                    reason=chunk.rejects[0].reason,
                    columns=", ".join(header)[:200],
                ),
                code="file",
            )
    kinds = {name: chosen_kind(still[cells[name]]) for name in read}
    return Scan(kind, bound, header, kinds, lines, chunks)


def _scan_ndjson(path: Path, kind: FileKind, mapping: Mapping, most: int | None) -> Scan:
    def chunks() -> Iterator[Chunk]:
        return ndjson_chunks(path, kind, mapping)

    keys: dict[str, str] = {}
    lines = 0
    for chunk in _until(chunks(), most):
        lines = chunk.last_line
        for record in (chunk.records or {}).values():
            if not record.keys() <= keys.keys():
                keys.update((key, "nested") for key in record if key not in keys)
    bound = mapping.bound(list(keys), str(path))
    return Scan(kind, bound, list(keys), keys, lines, chunks)


def _until(chunks: Iterator[Chunk], most: int | None) -> Iterator[Chunk]:
    for number, chunk in enumerate(chunks):
        if most is not None and number >= most:
            return
        yield chunk
