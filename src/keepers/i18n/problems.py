"""Errors as text in a language; in English where the catalogues have no translation."""

from __future__ import annotations

from collections.abc import Sequence

from keepers.i18n.catalogues import gettext, text_id
from keepers.i18n.findings import in_language
from keepers.model.errors import DefinitionError, KeepersError

_MORE = text_id("problem", "… and {number} more")
_FIELD = text_id("problem", "field {field}")

MOST_SHOWN = 50
"""of several errors, each on a line of its own"""


def problem_text(message: object, locale: str = "en") -> str:
    """The text of a Problem or Sentence in a language; any other object as `str`."""
    return str(in_language(message, locale))


def error_text(error: KeepersError, locale: str = "en") -> str:
    """An error in a language, with its file, line and field where it is about a definition."""
    several = error.data.get("errors")
    if several:
        return errors_text(several, locale)
    text = problem_text(error.problem, locale)
    if not isinstance(error, DefinitionError):
        return text
    where = error.file + (f":{error.line}" if error.file and error.line else "")
    field = gettext(_FIELD, locale).format(field=error.field) if error.field else ""
    place = ", ".join(part for part in (where, field) if part)
    return f"{place}: {text}" if place else text


def errors_text(errors: Sequence[KeepersError], locale: str = "en") -> str:
    """Several errors, a line each, and how many more there are."""
    lines = [error_text(one, locale) for one in errors[:MOST_SHOWN]]
    more = len(errors) - MOST_SHOWN
    return "\n".join([*lines, *([gettext(_MORE, locale).format(number=more)] if more > 0 else [])])
