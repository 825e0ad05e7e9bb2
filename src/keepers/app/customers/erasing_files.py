"""What the files of a workspace quote of a person: rejected rows of imports, mail set aside, the log of errors."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from keepers.channels.email.bounces.set_aside import FOLDER as SET_ASIDE
from keepers.ingest.imports.rejects import FOLDER as REJECTS

ERRORS = "errors.log"
_REPLACED = "[a line that named somebody who was erased]\n"
_FRAME = '  File "'
"""what a line of a traceback begins with that says where in the code; it quotes nobody"""


def forget_in_files(data: Path, warehouse: Path | None, values: Iterable[str]) -> dict[str, int]:
    """Removes rejected rows and set-aside mails that hold one of the values, whatever its case, and lines of the log of
    errors; how many of each. May be repeated.

    A value counts where letters or digits stand neither before nor after it.
    """
    sought = _forms(values)
    rejects = (warehouse.parent if warehouse is not None else data) / REJECTS
    return {
        "rejects": sum(_forget_rows(file, sought) for file in sorted(rejects.glob("*.csv"))),
        "set_aside_mails": _forget_mails(data / SET_ASIDE, sought),
        "error_lines": _forget_lines(data / ERRORS, sought),
    }


def _forms(values: Iterable[str]) -> list[str]:
    """The values in lower case, also as JSON escapes them."""
    found: set[str] = set()
    for value in values:
        plain = value.strip().casefold()
        escaped = plain.encode("ascii", "backslashreplace").decode()
        found |= {plain, escaped, msgspec.json.encode(plain).decode()[1:-1]}
    return sorted(found - {""})


def _holds(text: str, sought: Sequence[str]) -> bool:
    folded = text.casefold()
    for value in sought:
        place = folded.find(value)
        while place >= 0:
            before, after = folded[place - 1 : place], folded[place + len(value) : place + len(value) + 1]
            if not before.isalnum() and not after.isalnum():
                return True
            place = folded.find(value, place + 1)
    return False


def _forget_rows(file: Path, sought: Sequence[str]) -> int:
    """Writes the file anew without the rows; atomically, so that a kill leaves the old or the new one."""
    gone = 0
    fresh = file.with_suffix(".new")
    with file.open(encoding="utf-8", newline="") as stream, fresh.open("w", encoding="utf-8", newline="") as kept:
        writer = csv.writer(kept)
        for row in csv.reader(stream):
            if _holds(" ".join(row), sought):
                gone += 1
            else:
                writer.writerow(row)
    if gone:
        os.replace(fresh, file)
    else:
        fresh.unlink()
    return gone


def _forget_mails(folder: Path, sought: Sequence[str]) -> int:
    gone = 0
    for mail in sorted(folder.glob("*.eml")):
        if _holds(mail.read_bytes().decode("utf-8", "replace"), sought):
            mail.unlink()
            gone += 1
    return gone


def _forget_lines(file: Path, sought: Sequence[str]) -> int:
    """In place: a server that runs has the file open, and writes at its end."""
    if not file.exists():
        return 0
    with file.open("r+", encoding="utf-8", errors="replace") as stream:
        lines = stream.readlines()
        kept = [_REPLACED if not line.startswith(_FRAME) and _holds(line, sought) else line for line in lines]
        if kept != lines:
            stream.seek(0)
            stream.writelines(kept)
            stream.truncate()
    return sum(one != other for one, other in zip(kept, lines, strict=True))
