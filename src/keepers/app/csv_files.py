"""Files of rows for the commands that take and give lists: CSV in UTF-8, a chunk at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from keepers.model.errors import UserError

T = TypeVar("T")
CHUNK = 2_000
MOST_PROBLEMS = 20


class CsvReport(msgspec.Struct):
    """What came of an import, line by line."""

    source: str
    taken: int = 0
    rejected: int = 0
    problems: list[dict[str, Any]] = []

    def refuse(self, line: int, sentence: str) -> None:
        """A row that cannot be used; the first few are told."""
        self.rejected += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"line": line, "reason": sentence})

    def told(self) -> dict[str, Any]:
        """The report as plain data."""
        return {"taken": self.taken, "rejected": self.rejected, "problems": self.problems}


def chunks_of(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of at most `CHUNK`, so that memory stays flat and transactions short."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if len(some) == CHUNK:
            yield some
            some = []
    if some:
        yield some


@contextmanager
def rows_of(file: Path, needed: Sequence[str]) -> Iterator[Iterator[tuple[int, dict[str, str]]]]:
    """A CSV file's rows with their lines; names of columns in lower case. Raises UserError for what is no such file."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            missing = [name for name in needed if name not in reader.fieldnames]
            if missing:
                raise UserError(f"{file} has no column “{missing[0]}”; needed are {', '.join(needed)}.", code="file")
            yield ((reader.line_num, {k: v or "" for k, v in row.items() if k}) for row in reader)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.", code="file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no CSV file in UTF-8: {error}.", code="file") from None


def first_column(file: Path) -> list[str]:
    """The codes of a file: its lines, or the first column, without a heading. Raises UserError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            found = [row[0] for row in csv.reader(stream) if row]
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.", code="file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no text in UTF-8: {error}.", code="file") from None
    return found[1:] if found and found[0].strip().lower() in ("code", "coupon") else found


@contextmanager
def new_file(path: str) -> Iterator[Callable[[Sequence[str]], object]]:
    """Writes rows of CSV. Raises UserError where the file cannot be written."""
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            yield csv.writer(stream).writerow
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.", code="file") from None
