"""What the files of a workspace quote of a person: rejected rows of imports, mail set aside, the log of errors."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from keepers.app.workspace.files.folder import ERRORS_FILE
from keepers.channels.email.bounces.set_aside import FOLDER as SET_ASIDE
from keepers.ingest.imports.rejects import FOLDER as REJECTS
from keepers.ingest.imports.rejects import HEADER

_REPLACED = "[a line that named somebody who was erased]\n"
_FRAME = '  File "'
"""what a line of a traceback begins with that says where in the code; it quotes nobody"""
_WORD = re.compile(r"[\w.@+-]+")
"""what identifiers and addresses are made of; the rest ends them"""
_VALUE_ENDS = re.compile(r"""[,;|\t"{}\[\]]|(?<=["}\]]):""")
_MARKS = re.compile(r"""["'“”‘’]""")
_BREAKS = ("\\n", "\\r", "\\t")
"""line breaks and tabs as `repr` writes them"""


class Quotable(NamedTuple):
    """A text that files may quote a person by. `is_trusted`: it is theirs by a source that is believed."""

    text: str
    is_trusted: bool


class _Texts(NamedTuple):
    """`words` are looked up, however many anybody made up; `phrases` have other signs too, and each is searched for."""

    words: frozenset[str]
    phrases: list[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Texts:
        """The texts, also as JSON escapes them."""
        found: set[str] = set()
        for one in texts:
            escaped = one.encode("ascii", "backslashreplace").decode()
            found |= {one, escaped, msgspec.json.encode(one).decode()[1:-1]}
        words = frozenset(one for one in found if _WORD.fullmatch(one) is not None and not one.endswith("."))
        return cls(words, sorted(found - words))


class _Sought(NamedTuple):
    """Addresses in lower case, which have no other, and identifiers, which do."""

    addresses: _Texts
    identifiers: _Texts
    exact: frozenset[str]
    """what trusted sources call the person, however short: it counts where it is the whole of a value"""


def is_searched_for(one: Quotable) -> bool:
    """Whether a text names nobody else by chance: what is searched for takes away all that quotes it.

    An address does, and an identifier of six characters with two digits. What anybody may have made up has to be one
    word: an address, or sixteen characters with four letters and four digits, as a UUID is.
    """
    text = one.text
    digits, alphabetic = sum(map(str.isdigit, text)), sum(map(str.isalpha, text))
    if one.is_trusted:
        return _is_address(text) or (len(text) >= 6 and digits >= 2)
    is_word = _WORD.fullmatch(text) is not None and not text.startswith(".") and text[-1].isalnum()
    return is_word and text.isascii() and (_is_address(text) or (len(text) >= 16 and digits >= 4 and alphabetic >= 4))


def forget_in_files(data: Path, warehouse: Path | None, named: Iterable[Quotable]) -> dict[str, int]:
    """Removes rejected rows and set-aside mails that quote one of the texts, and lines of the log of errors; how many
    of each. Of addresses the case does not matter. May be repeated.

    A text counts as a whole: where it is part of a longer identifier or address it does not. See `is_searched_for`.
    """
    named = list(named)
    searched = {one.text.strip() for one in named if is_searched_for(one)}
    addresses = {text for text in searched if _is_address(text)}
    exact = frozenset(one.text.strip() for one in named if one.is_trusted) - {""}
    sought = _Sought(_Texts.of(one.casefold() for one in addresses), _Texts.of(searched - addresses), exact)
    rejects = (warehouse.parent if warehouse is not None else data) / REJECTS
    return {
        "rejects": sum(_forget_rows(file, sought) for file in sorted(rejects.glob("*.csv"))),
        "set_aside_mails": _forget_mails(data / SET_ASIDE, sought),
        "error_lines": _forget_lines(data / ERRORS_FILE, sought),
    }


def _is_address(text: str) -> bool:
    """Whether a text has the form of an e-mail address, or of a telephone number with its country."""
    local, _, domain = text.strip().rpartition("@")
    if local and "." in domain.strip("."):
        return not any(map(str.isspace, text.strip()))
    number = text.strip().replace(" ", "")
    return number.startswith("+") and number[1:].isdigit() and len(number) >= 9


def _holds(text: str, sought: _Sought) -> bool:
    return _quotes(text, sought.identifiers) or _quotes(text.casefold(), sought.addresses)


def _is_quoted(line: str, sought: _Sought) -> bool:
    """Whether a line of the log of errors quotes the person, also by a short name in quotation marks."""
    return _holds(line, sought) or not sought.exact.isdisjoint(one.strip() for one in _MARKS.split(line)[1:-1])


def _quotes(text: str, texts: _Texts) -> bool:
    return not texts.words.isdisjoint(_words(text)) or any(_stands_in(text, phrase) for phrase in texts.phrases)


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        # A full stop may end a sentence.
        word = found[0].rstrip(".")
        yield word
        if text[found.start() - 1 : found.start() + 1] in _BREAKS:
            yield word[1:]


def _stands_in(text: str, phrase: str) -> bool:
    place = text.find(phrase)
    while place >= 0:
        if _begins(text, place) and _ends(text, place + len(phrase)):
            return True
        place = text.find(phrase, place + 1)
    return False


def _begins(text: str, place: int) -> bool:
    before = text[max(place - 2, 0) : place]
    return before in _BREAKS or _WORD.fullmatch(before[-1:]) is None


def _ends(text: str, place: int) -> bool:
    after = text[place : place + 2]
    return _WORD.fullmatch(after[:1]) is None or (after[:1] == "." and not after[1:].isalnum())


def _forget_rows(file: Path, sought: _Sought) -> int:
    """Writes the file anew without the rows, but with its header; atomically, so that a kill leaves the old or the new
    one."""
    gone = 0
    fresh = file.with_suffix(".new")
    with file.open(encoding="utf-8", newline="") as stream, fresh.open("w", encoding="utf-8", newline="") as kept:
        writer = csv.writer(kept)
        for number, row in enumerate(csv.reader(stream)):
            if number and (_holds(" ".join(row[1:3]), sought) or _is_about(row, sought)):
                gone += 1
            else:
                writer.writerow(row)
    if gone:
        os.replace(fresh, file)
    else:
        fresh.unlink()
    return gone


def _is_about(row: list[str], sought: _Sought) -> bool:
    """Whether a rejected row (line, reason, row as it was, whom it is about) is the person's. One that could not be
    taken apart is, when one of its values is what the person is called."""
    who = row[3].strip() if len(row) == len(HEADER) else ""
    values = [who] if who else [value.strip() for value in _VALUE_ENDS.split(row[2] if len(row) > 2 else "")]
    return not sought.exact.isdisjoint(values)


def _forget_mails(folder: Path, sought: _Sought) -> int:
    gone = 0
    for mail in sorted(folder.glob("*.eml")):
        if _holds(mail.read_bytes().decode("utf-8", "replace"), sought):
            mail.unlink()
            gone += 1
    return gone


def _forget_lines(file: Path, sought: _Sought) -> int:
    """In place: a server that runs has the file open, and writes at its end."""
    if not file.exists():
        return 0
    with file.open("r+", encoding="utf-8", errors="replace") as stream:
        lines = stream.readlines()
        kept = [_REPLACED if not line.startswith(_FRAME) and _is_quoted(line, sought) else line for line in lines]
        if kept != lines:
            stream.seek(0)
            stream.writelines(kept)
            stream.truncate()
    return sum(one != other for one, other in zip(kept, lines, strict=True))
