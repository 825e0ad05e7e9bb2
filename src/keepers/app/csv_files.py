"""Files of rows for the commands that take and give lists: CSV in UTF-8, a chunk at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from keepers.model.errors import UserError, problem

T = TypeVar("T")
CHUNK = 2_000
MOST_PROBLEMS = 20


class RefusedRow(Struct, frozen=True):
    line: int
    reason: str


class CsvImported(Struct, frozen=True):
    """What came of a file's rows."""

    taken: Annotated[int, Meta(ge=0, description="Rows that were imported.")]
    rejected: Annotated[int, Meta(ge=0, description="Rows that cannot be used.")]
    problems: Annotated[list[RefusedRow], Meta(description=f"The first {MOST_PROBLEMS} of them.")]


class CsvWritten(Struct, frozen=True):
    """A file that was written."""

    written: Annotated[int, Meta(ge=0, description="Rows in it.")]
    file: str


class CsvReport:
    """Counts what comes of an import, line by line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.taken = 0
        self.rejected = 0
        self._problems: list[RefusedRow] = []

    def refuse(self, line: int, sentence: str) -> None:
        """Counts a row that cannot be used; the first few are listed."""
        self.rejected += 1
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(RefusedRow(line, sentence))

    def imported(self) -> CsvImported:
        return CsvImported(self.taken, self.rejected, self._problems)


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
                raise UserError(
                    problem(
                        "{path} has no column “{missing}”; needed are {needed}.",
                        path=file,
                        missing=missing[0],
                        needed=", ".join(needed),
                    ),
                    code="file",
                )
            yield ((reader.line_num, {k: v or "" for k, v in row.items() if k}) for row in reader)
    except OSError as error:
        raise UserError(
            problem("{path} cannot be read: {error}.", path=file, error=error.strerror or error), code="file"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            problem("{path} is no CSV file in UTF-8: {error}.", path=file, error=error), code="file"
        ) from None


def first_column(file: Path) -> list[str]:
    """The codes of a file: its lines, or the first column, without a heading. Raises UserError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            found = [row[0] for row in csv.reader(stream) if row]
    except OSError as error:
        raise UserError(
            problem("{path} cannot be read: {error}.", path=file, error=error.strerror or error), code="file"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(problem("{path} is no text in UTF-8: {error}.", path=file, error=error), code="file") from None
    return found[1:] if found and found[0].strip().lower() in ("code", "coupon") else found


@contextmanager
def new_file(path: str) -> Iterator[Callable[[Sequence[str]], object]]:
    """Writes rows of CSV. Raises UserError where the file cannot be written."""
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            yield csv.writer(stream).writerow
    except OSError as error:
        raise UserError(
            problem("{path} cannot be written: {error}.", path=path, error=error.strerror or error), code="file"
        ) from None
