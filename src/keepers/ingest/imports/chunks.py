"""A file as chunks of cells: always the same chunks for the same file, each cell a text, each row with its line."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from msgspec import Struct

from keepers.ingest.imports.file_kind import FileKind, open_bytes
from keepers.ingest.imports.mapping import ImportProblem, Mapping
from keepers.model.errors import UserError, problem

CHUNK_LINES = 200_000
LONGEST_RECORD = 1000
"""lines of one quoted record; past it a quote is taken for one that was never closed"""
LONGEST_LINE = 1 << 20
CHUNK_BYTES = 64 << 20
"""of a chunk's lines; a file of long lines has fewer of them in each chunk"""
RECORDS_BYTES = 16 << 20
"""the same for NDJSON, whose parsed objects take many times their text"""
_RECORD_BYTES = 4 << 20
"""of one quoted record's lines; past it a quote is taken for one that was never closed"""
_READ = 1 << 18
_TOO_LONG = "longer than 1 MB"


class Chunk(Struct):
    """Lines `first_line` to `last_line`: rows as texts, `line` first, or (NDJSON) as parsed objects."""

    first_line: int
    last_line: int
    cells: pa.Table
    rejects: list[ImportProblem]
    raw_of: Callable[[int], str]
    records: dict[int, dict[str, Any]] | None = None


def header_of(path: Path, kind: FileKind, mapping: Mapping) -> list[str]:
    """The names of the file's columns. Raises UserError for a header with an empty or doubled name."""
    if mapping.columns:
        return list(mapping.columns)
    with open_bytes(path, kind.is_gzip) as stream:
        lines = _lines(stream, kind.encoding)
        first = next((line for line in lines if line.strip()), b"").decode("utf-8", "replace")
    if len(first) > LONGEST_LINE:
        raise UserError(
            problem("{path}: the first line is longer than 1 MB, so it is no header.", path=path), code="file"
        )
    names = [name.strip() for name in _split(first, kind.delimiter)]
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled:
        raise UserError(
            problem(
                "{path}, line 1: the header names “{name}” twice. Give names with --columns "
                "(and remove the header line).",
                path=path,
                name=doubled[0],
            ),
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
            block, is_last = _block(lines, carried, CHUNK_BYTES)
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
        while block := _block(lines, [], RECORDS_BYTES)[0]:
            records: dict[int, dict[str, Any]] = {}
            rejects: list[ImportProblem] = []
            for number, line in enumerate(block, first):
                if not line.strip():
                    continue
                if len(line) > LONGEST_LINE:
                    rejects.append(ImportProblem(number, _TOO_LONG, _shown(line)))
                    continue
                try:
                    found = decode(line)
                    if isinstance(found, dict):
                        records[number] = found
                    else:
                        rejects.append(ImportProblem(number, "not a JSON object", _shown(line)))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    rejects.append(ImportProblem(number, f"not JSON: {error}", _shown(line)))
            columns = [mapping.profile] + ([mapping.time] if mapping.time else [])
            cells = {"line": pa.array(list(records), pa.int64())}
            for i, name in enumerate(dict.fromkeys(columns)):
                cells[f"c{i}"] = pa.array([_text(r.get(name)) for r in records.values()], pa.string())
            last = first + len(block) - 1
            yield Chunk(first, last, pa.table(cells), rejects, _raw_lines(block, first), records)
            first = last + 1


def _read_block(block: list[bytes], first: int, delimiter: str, header: list[str], is_last: bool) -> tuple[Chunk, int]:
    """One block of lines → a chunk and how many lines it took; a record still open is left for the next."""
    rejects: list[ImportProblem] = []
    used = len(block)
    blob = b"".join(block)
    if not _is_clean(block, blob):
        block = _only_readable(block, first, rejects)
        blob = b"".join(block)
    if delimiter == "whitespace":
        blob = b"\n".join(b"\t".join(line.split()) for line in block) + b"\n"
        cells = _plain(block, blob, first, "\t", header, rejects)
    elif b'"' in blob:
        texts = [line.decode() for line in block]
        cells, used = _quoted(texts, first, delimiter, header, rejects, is_last)
    else:
        cells = _plain(block, blob, first, delimiter, header, rejects)
    rejects.sort(key=lambda problem: problem.line)
    if is_last and rejects and not block[-1].endswith(b"\n") and rejects[-1].line == first + len(block) - 1:
        last = rejects[-1]
        rejects[-1] = ImportProblem(last.line, f"{last.reason}; the file ends in the middle of this line", last.raw)
    return Chunk(first, first + used - 1, cells, rejects, _raw_lines(block, first)), used


def _plain(
    block: list[bytes], blob: bytes, first: int, delimiter: str, header: list[str], rejects: list[ImportProblem]
) -> pa.Table:
    """Without quotes a line is a record, and Arrow splits a whole block at once."""
    ragged: list[int] = []

    def skip(row: Any) -> str:
        place = row.number - 1
        if block[place].strip():
            rejects.append(_ragged(first + place, row.actual_columns, len(header), _shown(block[place])))
        ragged.append(place)
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
    numbers = np.arange(first, first + len(block), dtype=np.int64)
    return _named(header, pa.array(np.delete(numbers, ragged)), table.columns)


def _quoted(
    texts: list[str], first: int, delimiter: str, header: list[str], rejects: list[ImportProblem], is_last: bool
) -> tuple[pa.Table, int]:
    """With quotes a record may span lines; a quote that is never closed costs its own line only."""
    csv.field_size_limit(LONGEST_LINE)
    numbers: list[int] = []
    rows: list[list[str]] = []
    place, width, used = 0, len(header), len(texts)
    while place < len(texts):
        start = place
        reader = csv.reader(islice(texts, start, None), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                record, place = place, start + reader.line_num
                if len(row) == width:
                    numbers.append(first + record)
                    rows.append(row)
                elif row and any(cell.strip() for cell in row):
                    rejects.append(_ragged(first + record, len(row), width, texts[record]))
        except csv.Error as error:
            is_open = "unexpected end of data" in str(error)
            if is_open and not is_last and _may_go_on(texts[place : place + LONGEST_RECORD]):
                used = place
                break
            reason = "a quote is opened and never closed" if is_open else f"badly quoted ({error})"
            rejects.append(ImportProblem(first + place, reason, texts[place].rstrip("\r\n")[:2000]))
            place += 1
    columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
    return _named(header, pa.array(numbers, pa.int64()), columns or [pa.array([], pa.string())] * width), used


def _may_go_on(texts: list[str]) -> bool:
    """Whether the lines of an open record, all there are, are few enough for the rest to be in the next block."""
    return len(texts) < LONGEST_RECORD and sum(map(len, texts)) < _RECORD_BYTES


def _named(header: list[str], lines: pa.Array, columns: list[Any]) -> pa.Table:
    # The line number has a name that no header can have taken.
    return pa.table([lines, *columns], names=["line", *(f"c{i}" for i in range(len(header)))])


def _ragged(line: int, found: int, width: int, raw: str) -> ImportProblem:
    return ImportProblem(line, f"has {found} of {width} columns", raw.rstrip("\r\n")[:2000])


def _is_clean(block: list[bytes], blob: bytes) -> bool:
    """Whether every line can be read as it is: UTF-8, no lone carriage return, none too long."""
    if len(max(block, key=len)) > LONGEST_LINE or blob.count(b"\r") != blob.count(b"\r\n"):
        return False
    try:
        return blob.isascii() or bool(blob.decode())
    except UnicodeDecodeError:
        return False


def _only_readable(block: list[bytes], first: int, rejects: list[ImportProblem]) -> list[bytes]:
    """The lines with those that can't be read left blank, and the reasons among the rejects."""
    kept = []
    for number, line in enumerate(block, first):
        reason = ""
        if len(line) > LONGEST_LINE:
            reason = _TOO_LONG
        elif b"\r" in line.rstrip(b"\r\n"):
            reason = "a carriage return inside the line"
        else:
            try:
                line.decode()
            except UnicodeDecodeError:
                reason = "not UTF-8 (mixed encodings)"
        if reason:
            rejects.append(ImportProblem(number, reason, _shown(line)))
        kept.append(b"\n" if reason else line)
    return kept


def _block(lines: Iterator[bytes], carried: list[bytes], most: int) -> tuple[list[bytes], bool]:
    """The lines of a chunk after those carried over, one at least, up to so many bytes; and whether the file ends."""
    block, size = carried, sum(map(len, carried))
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= most or len(block) >= CHUNK_LINES:
            return block, False
    return block, True


def _lines(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The lines as UTF-8, without a byte-order mark. Of one longer than LONGEST_LINE only so much is kept that it can
    be seen to be."""
    if encoding == "utf-8":
        start = stream.read(len(codecs.BOM_UTF8))
        rest = iter(lambda: stream.read(_READ), b"")
        yield from _bounded(chain([start.removeprefix(codecs.BOM_UTF8)], rest))
        return
    texts = codecs.iterdecode(iter(lambda: stream.read(_READ), b""), encoding, "replace")
    first = next(texts, "").removeprefix("\ufeff")
    yield from _bounded(text.encode() for text in chain([first], texts))


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > LONGEST_LINE + 1:
            rest = rest[: LONGEST_LINE + 1]
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == "whitespace":
        return line.split()
    csv.field_size_limit(LONGEST_LINE)
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
