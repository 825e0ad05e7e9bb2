"""One small tree of errors: a code, a sentence a person can act on, and data. Nothing here knows HTTP."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any


class KeepersError(Exception):
    """The root. `code` is stable and machine-readable, `message` says what, where and the remedy."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
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

    def __init__(self, message: str, *, field: str = "", file: str = "", line: int | None = None) -> None:
        where = file + (f":{line}" if file and line else "")
        place = ", ".join(p for p in (where, f"field {field}" if field else "") if p)
        super().__init__(f"{place}: {message}" if place else message, field=field, file=file, line=line)
        self.reason = message
        self.field = field
        self.file = file
        self.line = line


def shown(value: object) -> str:
    """A value in a sentence: short, and safe for whatever was sent, however deeply it is nested."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple | set):
        return "a list"
    text = str(value)
    return f"“{text}”" if len(text) <= 60 else f"“{text[:57]}…”"


def nearest(name: str, known: object) -> str:
    """A hint sentence with the nearest known names, or an empty text. `known` is any iterable of texts."""
    names = sorted({str(k) for k in known})  # type: ignore[attr-defined]
    lowered = {n.lower(): n for n in names}
    close = [lowered[c] for c in get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)]
    if close:
        return " Did you mean " + " or ".join(f"“{c}”" for c in close) + "?"
    if names and len(names) <= 12:
        return " Known: " + ", ".join(f"“{n}”" for n in names) + "."
    return ""
