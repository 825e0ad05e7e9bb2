"""Detects a file's format, compression, encoding and delimiter from its first bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, cast

from msgspec import Struct

from keepers.model.errors import NotFoundError, UserError, problem

Format = Literal["csv", "ndjson", "parquet"]
SAMPLE = 1 << 20
MOST_RATIO = 200
"""unpacked bytes for each packed one"""
SMALL = 64 << 20
"""bytes that any file may unpack to"""
_DELIMITERS = (",", ";", "\t", "|")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "whitespace": "whitespace"}
_MAGIC = {
    b"PK\x03\x04": problem("a zip archive or an Excel workbook. Save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": problem("an Excel workbook. Save the sheet as CSV"),
    b"%PDF": problem("a PDF"),
    b"SQLite format 3": problem("a SQLite database. Export the table as CSV"),
    b"\x89PNG": problem("an image"),
    b"BZh": problem("a bzip2 archive. Unpack it first"),
    b"\xfd7zXZ": problem("an xz archive. Unpack it first"),
    b"\x28\xb5\x2f\xfd": problem("a zstd archive. Unpack it first"),
}


class FileKind(Struct, frozen=True):
    format: Format
    is_gzip: bool
    encoding: str
    delimiter: str
    remark: str = ""


def detect(path: Path, delimiter: str | None) -> FileKind:
    """Raises UserError naming the format of a file that cannot be imported."""
    if not path.exists():
        raise NotFoundError(problem("There is no file {path}.", path=path), code="file")
    if not path.is_file():
        raise UserError(problem("{path} is not a file.", path=path), code="file")
    try:
        with path.open("rb") as raw:
            magic = raw.read(16)
        if magic.startswith(b"PAR1"):
            return FileKind("parquet", False, "", "")
        is_gzip = magic.startswith(b"\x1f\x8b")
        with open_bytes(path, is_gzip) as stream:
            sample = stream.read(SAMPLE)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(problem("{path} cannot be read: {error}.", path=path, error=error), code="file") from error
    if not sample.strip():
        raise UserError(problem("{path} is empty.", path=path), code="file")
    for start, what in _MAGIC.items():
        if sample.startswith(start):
            raise UserError(problem("{path} is {what}, not CSV, NDJSON or Parquet.", path=path, what=what), code="file")
    encoding, remark = _encoding(path, sample)
    text = sample.decode(encoding, errors="replace").lstrip("\ufeff")
    if "\n" not in text and "\r" in text:
        raise UserError(
            problem(
                "{path} ends its lines with a lone carriage return (an old Mac file). Save it with LF or CRLF.",
                path=path,
            ),
            code="file",
        )
    if text.lstrip().startswith("{"):
        return FileKind("ndjson", is_gzip, encoding, "", remark)
    if text.lstrip().startswith("[") and path.name.endswith((".json", ".json.gz")):
        raise UserError(
            problem("{path} is one JSON list. Write one object a line (NDJSON), such as jq -c '.[]'.", path=path),
            code="file",
        )
    return FileKind("csv", is_gzip, encoding, _delimiter(text, delimiter), remark)


def open_bytes(path: Path, is_gzip: bool) -> BinaryIO:
    """The file's bytes, unpacked. Reading raises UserError once a file unpacks to more than it may."""
    return cast(BinaryIO, _Unpacking(path)) if is_gzip else path.open("rb")


class _Unpacking(gzip.GzipFile):
    """Refuses a file that was packed to cost time: real ones are 3 to 30 times larger unpacked, and gzip can do 1,000
    times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._path = path
        self._most = max(MOST_RATIO * path.stat().st_size, SMALL)
        self._unpacked = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._unpacked += len(data)
        if self._unpacked > self._most:
            raise UserError(
                problem(
                    "{path} is over {ratio} times larger unpacked, which no file of events or traits is. Unpack it to "
                    "import it all the same.",
                    path=self._path,
                    ratio=MOST_RATIO,
                ),
                code="file",
            )
        return data


def _encoding(path: Path, sample: bytes) -> tuple[str, str]:
    if sample.startswith(b"\xef\xbb\xbf"):
        return "utf-8", ""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", "The file is UTF-16 and was read as that."
    head = sample[:4096]
    if b"\0" in head:
        evens, odds = head[0::2].count(0), head[1::2].count(0)
        if max(evens, odds) > len(head) // 5 and min(evens, odds) < len(head) // 50:
            name = "utf-16-le" if odds > evens else "utf-16-be"
            return name, "The file is UTF-16 without a byte-order mark and was read as that."
    control = sum(head.count(byte) for byte in (*range(1, 9), *range(14, 27), 127))
    if head.count(0) > max(len(head) // 100, 2) or control > len(head) // 20:
        raise UserError(problem("{path} is a binary file, not CSV, NDJSON or Parquet.", path=path), code="file")
    is_utf8, is_other = 0, 0
    for line in sample.split(b"\n")[: None if len(sample) < SAMPLE else -1]:
        if not line.isascii():
            try:
                line.decode("utf-8")
                is_utf8 += 1
            except UnicodeDecodeError:
                is_other += 1
    if is_other and not is_utf8:
        return "cp1252", "The file is not UTF-8; it was read as Windows-1252 (Latin-1)."
    return "utf-8", ""


def _delimiter(text: str, wanted: str | None) -> str:
    if wanted:
        chosen = _NAMED.get(wanted.lower(), wanted)
        if chosen != "whitespace" and (len(chosen) != 1 or chosen in '"\r\n\0'):
            raise UserError(
                problem("“{wanted}” is no delimiter. Use a single character, tab or whitespace.", wanted=wanted),
                code="mapping",
            )
        return chosen
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {sign: first.count(sign) for sign in _DELIMITERS}
    best = max(counts, key=lambda sign: counts[sign])
    if counts[best]:
        return best
    return "whitespace" if len(first.split()) > 1 and '"' not in first else ","
