"""One small tree of errors: a code, a sentence a person can act on, and data. Nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple


class NearNames(NamedTuple):
    """The known names that a wrong one is near to, or all of them where none is near and they are few."""

    close: tuple[str, ...] = ()
    few: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A hint sentence in English, with a space before it; empty where there is nothing to hint at."""
        if self.close:
            return " Did you mean " + " or ".join(f"“{c}”" for c in self.close) + "?"
        return " Known: " + ", ".join(f"“{n}”" for n in self.few) + "." if self.few else ""


class Problem(NamedTuple):
    """What is wrong, for any language: the English text of the catalogues and what is put in, problems among it."""

    english: str
    values: dict[str, Any]
    near: NearNames

    def __str__(self) -> str:
        return self.english.format(**self.values) + str(self.near)


def problem(english: str, near: NearNames = NearNames(), **values: Any) -> Problem:  # noqa: B008 - it is immutable
    """A problem. `make texts` finds it by this call, so the text is written as a literal."""
    return Problem(english, values, near)


def problem_as_written(text: str) -> Problem:
    """A problem whose text is not in the catalogues, such as a library's own; braces in it stay as they are."""
    return Problem(text.replace("{", "{{").replace("}", "}}"), {}, NearNames())


class KeepersError(Exception):
    """The root. `code` is stable and machine-readable, `message` says in English what, where and the remedy.

    It is made of a Problem or of another object that can be given in other languages too and whose `str` is English
    (kept as `problem`), or of a plain text, which stays English.
    """

    code = "internal"

    def __init__(self, message: object, *, code: str | None = None, **data: Any) -> None:
        super().__init__(str(message))
        self.problem = message
        self.message = str(message)
        self.code = code or type(self).code
        self.data = data


class UserError(KeepersError):
    """Something the person can put right: exit code 2, HTTP 4xx."""

    code = "invalid"


class NotFoundError(UserError):
    """A profile, definition, file or workspace that is not there."""

    code = "not_found"


class ConflictError(UserError):
    """The request is right but the present state refuses it."""

    code = "conflict"


class DefinitionError(UserError):
    """A definition in the playbook that cannot be used. Says file, line and field where they are known."""

    code = "definition"

    def __init__(self, message: object, *, field: str = "", file: str = "", line: int | None = None) -> None:
        where = file + (f":{line}" if file and line else "")
        place = ", ".join(p for p in (where, f"field {field}" if field else "") if p)
        super().__init__(f"{place}: {message}" if place else message, field=field, file=file, line=line)
        self.problem = message
        self.reason = str(message)
        self.field = field
        self.file = file
        self.line = line


def shown(value: object) -> str | Problem:
    """A value in a sentence: short, and safe for whatever was sent, however deeply it is nested."""
    if isinstance(value, dict):
        return problem("an object")
    if isinstance(value, list | tuple | set):
        return problem("a list")
    text = str(value)
    return f"“{text}”" if len(text) <= 60 else f"“{text[:57]}…”"


def nearest(name: str, known: Iterable[object]) -> NearNames:
    """The nearest known names, at most three; `str` is a hint sentence or an empty text."""
    names = sorted({str(k) for k in known})
    lowered = {n.lower(): n for n in names}
    close = tuple(lowered[c] for c in get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6))
    return NearNames(close, () if close or len(names) > 12 else tuple(names))
