"""A file as chunks of cells: always the same chunks for the same file, each cell a text, each row with its line."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.csv as arrow_csv
from msgspec import Struct

from keepers.model.errors import UserError
from keepers.pipeline.imports.detect import FileKind, open_bytes
from keepers.pipeline.imports.mapping import Mapping, Problem

CHUNK_LINES = 200_000
LONGEST_RECORD = 1000
"""lines of one quoted record; past it a quote is taken for one that was never closed"""
LONGEST_LINE = 1 << 20


class Chunk(Struct):
    """Lines `first_line` to `last_line`: rows as texts, `line` first, or (NDJSON) as parsed objects."""

    first_line: int
    last_line: int
    cells: pa.Table
    rejects: list[Problem]
    raw_of: Callable[[int], str]
    records: dict[int, dict[str, Any]] | None = None


def header_of(path: Path, kind: FileKind, mapping: Mapping) -> list[str]:
    """The names of the file's columns. Raises UserError for a header with an empty or doubled name."""
    if mapping.columns:
        return list(mapping.columns)
    with open_bytes(path, kind.is_gzip) as stream:
        lines = _lines(stream, kind.encoding)
        first = next((line for line in lines if line.strip()), b"").decode("utf-8", "replace")
    names = [name.strip() for name in _split(first, kind.delimiter)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(
            f"{path}, line 1: the header names “{doubled[0]}” twice. Give names with --columns"
            " (and remove the header line).",
            code="file",
        )
    return names


def csv_chunks(path: Path, kind: FileKind, header: list[str], has_header: bool) -> Iterator[Chunk]:
    """The chunks of a CSV file or of whitespace-separated text."""
    with open_bytes(path, kind.is_gzip) as stream:
        lines = _lines(stream, kind.encoding)
        line = 1
        if has_header:
            for found in lines:
                line += 1
                if found.strip():
                    break
        carried: list[bytes] = []
        while True:
            block = carried + list(islice(lines, max(CHUNK_LINES - len(carried), 1)))
            is_last = len(block) < CHUNK_LINES
            if not block:
                break
            chunk, used = _read_block(block, line, kind.delimiter, header, is_last)
            carried = block[used:]
            line += used
            yield chunk
            if is_last:
                break


def ndjson_chunks(path: Path, kind: FileKind, mapping: Mapping) -> Iterator[Chunk]:
    """The chunks of a file with one JSON object a line; the cells hold the profile and time alone."""
    decode = msgspec.json.Decoder().decode
    with open_bytes(path, kind.is_gzip) as stream:
        lines = _lines(stream, kind.encoding)
        first = 1
        while block := list(islice(lines, CHUNK_LINES)):
            records: dict[int, dict[str, Any]] = {}
            rejects: list[Problem] = []
            for number, line in enumerate(block, first):
                if not line.strip():
                    continue
                try:
                    found = decode(line)
                    if isinstance(found, dict):
                        records[number] = found
                    else:
                        rejects.append(Problem(number, "not a JSON object", _shown(line)))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    rejects.append(Problem(number, f"not JSON: {error}", _shown(line)))
            columns = [mapping.profile] + ([mapping.time] if mapping.time else [])
            cells = {"line": pa.array(list(records), pa.int64())}
            for name in dict.fromkeys(columns):
                cells[name] = pa.array([_text(r.get(name)) for r in records.values()], pa.string())
            last = first + len(block) - 1
            yield Chunk(first, last, pa.table(cells), rejects, _raw_lines(block, first), records)
            first = last + 1


def _read_block(
    block: list[bytes], first: int, delimiter: str, header: list[str], is_last: bool
) -> tuple[Chunk, int]:
    """One block of lines → a chunk and how many lines it took; a record still open is left for the next."""
    rejects: list[Problem] = []
    texts = _decoded(block, first, rejects)
    if delimiter == "whitespace":
        texts = ["\t".join(text.split()) if text is not None else None for text in texts]
        delimiter = "\t"
        cells, used = _plain(texts, first, delimiter, header, rejects), len(block)
    elif any('"' in text for text in texts if text):
        cells, used = _quoted(texts, first, delimiter, header, rejects, is_last)
    else:
        cells, used = _plain(texts, first, delimiter, header, rejects), len(block)
    if is_last and rejects and not block[-1].endswith(b"\n") and rejects[-1].line == first + len(block) - 1:
        last = rejects[-1]
        rejects[-1] = Problem(last.line, f"{last.reason}; the file ends in the middle of this line", last.raw)
    return Chunk(first, first + used - 1, cells, rejects, _raw_lines(block, first)), used


def _plain(
    texts: list[str | None], first: int, delimiter: str, header: list[str], rejects: list[Problem]
) -> pa.Table:
    """Without quotes a line is a record, and Arrow splits a whole block at once."""
    kept = [text if text is not None else "" for text in texts]
    blob = "\n".join(text.rstrip("\r\n") for text in kept).encode() + b"\n"
    ragged: set[int] = set()

    def skip(row: Any) -> str:
        place = row.number - 1
        if kept[place].strip():
            rejects.append(_ragged(first + place, row.actual_columns, len(header), kept[place]))
        ragged.add(place)
        return "skip"

    table = arrow_csv.read_csv(
        io.BytesIO(blob),
        read_options=arrow_csv.ReadOptions(
            column_names=[f"c{i}" for i in range(len(header))], use_threads=False, block_size=1 << 24
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, quote_char=False, ignore_empty_lines=False, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={f"c{i}": pa.string() for i in range(len(header))}, strings_can_be_null=False
        ),
    )
    numbers = [first + place for place in range(len(kept)) if place not in ragged]
    return _named(header, pa.array(numbers, pa.int64()), table.columns)


def _quoted(
    texts: list[str | None], first: int, delimiter: str, header: list[str], rejects: list[Problem], is_last: bool
) -> tuple[pa.Table, int]:
    """With quotes a record may span lines; a quote that is never closed costs its own line only."""
    csv.field_size_limit(LONGEST_LINE)
    numbers: list[int] = []
    rows: list[list[str]] = []
    place, width, used = 0, len(header), len(texts)
    while place < len(texts):
        start = place
        reader = csv.reader((text or "" for text in islice(texts, start, None)), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                record, place = place, start + reader.line_num
                if len(row) == width:
                    numbers.append(first + record)
                    rows.append(row)
                elif row and any(cell.strip() for cell in row):
                    rejects.append(_ragged(first + record, len(row), width, texts[record] or ""))
        except csv.Error as error:
            is_open = "unexpected end of data" in str(error)
            if is_open and not is_last and len(texts) - place < LONGEST_RECORD:
                used = place
                break
            reason = "a quote is opened and never closed" if is_open else f"badly quoted ({error})"
            rejects.append(Problem(first + place, reason, (texts[place] or "").rstrip("\r\n")[:2000]))
            place += 1
    columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
    return _named(header, pa.array(numbers, pa.int64()), columns or [pa.array([], pa.string())] * width), used


def _named(header: list[str], lines: pa.Array, columns: list[Any]) -> pa.Table:
    # The line number has a name that no header can have taken.
    return pa.table([lines, *columns], names=["line", *(f"c{i}" for i in range(len(header)))])


def _ragged(line: int, found: int, width: int, raw: str) -> Problem:
    return Problem(line, f"has {found} of {width} columns", raw.rstrip("\r\n")[:2000])


# What `str.splitlines` takes for the end of a line and a file's reader does not.
_ODD_BREAKS = re.compile(rb"[\x0b\x0c\x1c\x1d\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")


def _decoded(block: list[bytes], first: int, rejects: list[Problem]) -> list[str | None]:
    """The lines as texts, None for one that can't be read. Whole blocks at once where that is the same."""
    blob = b"".join(block)
    if len(max(block, key=len)) > LONGEST_LINE or _ODD_BREAKS.search(blob) or b"\r" in blob.replace(b"\r\n", b""):
        return _each(block, first, rejects)
    try:
        return list(blob.decode("utf-8").splitlines(keepends=True))
    except UnicodeDecodeError:
        return _each(block, first, rejects)


def _each(block: list[bytes], first: int, rejects: list[Problem]) -> list[str | None]:
    texts: list[str | None] = []
    for number, line in enumerate(block, first):
        try:
            text = line.decode("utf-8")
            reason = "longer than 1 MB" if len(line) > LONGEST_LINE else ""
            if not reason and "\r" in text.rstrip("\r\n"):
                reason = "a carriage return inside the line"
            texts.append(None if reason else text)
            if reason:
                rejects.append(Problem(number, reason, _shown(line)))
        except UnicodeDecodeError:
            texts.append(None)
            rejects.append(Problem(number, "not UTF-8 (mixed encodings)", _shown(line)))
    return texts


def _lines(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The lines as UTF-8, without a byte-order mark."""
    if encoding == "utf-8":
        first = stream.readline()
        if first:
            yield first.removeprefix(codecs.BOM_UTF8)
        yield from stream
        return
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    for line in text:
        yield line.lstrip("\ufeff").encode()


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == "whitespace":
        return line.split()
    return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])


def _raw_lines(block: list[bytes], first: int) -> Callable[[int], str]:
    return lambda number: _shown(block[number - first])


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")[:2000]


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return None
