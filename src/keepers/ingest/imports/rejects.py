"""The rejects file: line, reason and raw row of everything an import can't use, and whom it is about, where that is
known."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepers.ingest.imports.mapping import ImportProblem

FOLDER = "rejects"
"""beside the warehouse"""
HEADER = ("line", "reason", "row", "who")


class Rejects:
    """Appends rejects of a run; what an interrupted run wrote past its last committed line is taken out first."""

    def __init__(self, folder: Path | None, file: str, key: tuple[str, str], committed_line: int) -> None:
        # One per file and mapping, as the ledger has it: the same file may be imported as events and as traits.
        mark = "-".join(sha[:8] for sha in key)
        self.path = folder / f"{file}.{mark}.csv" if folder is not None else None
        self.first: list[ImportProblem] = []
        self.count = 0
        kept = [row for row in self._rows() if row[0].isdigit() and int(row[0]) <= committed_line]
        if self.path is not None and self.path.exists():
            self.path.unlink()
        self._write([(int(line), *rest) for line, *rest in kept])

    def add(self, problems: list[ImportProblem], who: Mapping[int, str]) -> None:
        """Writes a chunk's rejects, before the chunk is committed. `who`: line → whom it is about, of rows that could
        be taken apart."""
        self.count += len(problems)
        self.first += problems[: max(0, 20 - len(self.first))]
        self._write([(p.line, p.reason, p.raw, who.get(p.line, "")) for p in problems])

    @property
    def written(self) -> str | None:
        """Where the file is, if there is anything in it."""
        return str(self.path) if self.path is not None and self.path.exists() else None

    def _rows(self) -> list[list[str]]:
        if self.path is None or not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as stream:
            # A run that was killed may have left half a line at the end; a former version wrote three columns.
            return [
                [*row, ""][: len(HEADER)] for row in csv.reader(stream) if len(row) in (len(HEADER) - 1, len(HEADER))
            ][1:]

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows or self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            if is_new:
                writer.writerow(HEADER)
            writer.writerows(rows)
