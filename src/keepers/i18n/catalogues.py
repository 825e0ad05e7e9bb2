"""Texts for people: gettext catalogues, one PO file a language, with English as the source.

A language is a file `<folder>/<language>/LC_MESSAGES/keepers.po` and nothing else. The shipped ones are read when a
text in that language is first asked for; a workspace may bring more, see `add_folder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from gettext import c2py
from pathlib import Path
from string import Formatter
from typing import NamedTuple

from keepers.i18n.locales import choose, language
from keepers.model.errors import UserError

SOURCE = "en"
"""the language of the texts in the code"""
SHIPPED = Path(__file__).parent / "locale"
FILE = Path("LC_MESSAGES") / "keepers.po"
LIQUID = "starter "
"""The start of contexts whose texts are Liquid and HTML, as in starter journeys; all other texts are Python formats."""
_OUTPUT = re.compile(r"\{\{-?\s*([\w.]+)")
_folders = [SHIPPED]


class TextId(NamedTuple):
    """The key of a text: its context, its English, and the English plural of a counted text."""

    context: str
    english: str
    many: str = ""


def text_id(context: str, english: str) -> TextId:
    """A text to translate. `make texts` finds it by this call, so both arguments are written as literals."""
    return TextId(context, english)


def plural_id(context: str, one: str, many: str) -> TextId:
    """A text with a number in it, in English for one and for many; literals, as for `text_id`."""
    return TextId(context, one, many)


def gettext(text: TextId, locale: str = SOURCE) -> str:
    """The text in a locale or its language; in English where it is not translated."""
    found = next((forms for forms, _ in _translations(text, locale)), None)
    return found[0] if found else text.english


def is_translated(text: TextId, locale: str) -> bool:
    """Whether a locale has a text of its own; English always has."""
    return language(locale) == SOURCE or any(True for _ in _translations(text, locale))


def ngettext(text: TextId, number: int, locale: str = SOURCE) -> str:
    """The form of a counted text that the language has for a number."""
    for forms, plural in _translations(text, locale):
        return forms[plural(number)]
    return text.english if number == 1 else text.many


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Every language there is a catalogue in, English first."""
    return _languages_of(_folders)


def shipped_languages() -> tuple[str, ...]:
    """Those that come with Keepers, English first."""
    return _languages_of([SHIPPED])


def _languages_of(folders: Sequence[Path]) -> tuple[str, ...]:
    found = {path.parts[-3] for folder in folders for path in folder.glob(f"*/{FILE}")}
    return (SOURCE, *sorted(found - {SOURCE}))


def folders() -> tuple[Path, ...]:
    """Where the texts come from, the folder added last first. Texts made of them may be kept while this is the same."""
    return tuple(_folders)


def add_folder(folder: Path) -> None:
    """Adds the languages of a folder, for the whole process. What it translates comes before the shipped texts.

    Raises UserError for a catalogue that cannot be read, or whose placeholders are not those of the English.
    """
    if folder in _folders or not folder.is_dir():
        return
    for path in sorted(folder.glob(f"*/{FILE}")):
        read_catalogue(path)
    _folders.insert(0, folder)
    _forget()


def remove_folder(folder: Path) -> None:
    """Takes the languages of a folder out again."""
    _folders.remove(folder)
    _forget()


def placeholders(text: str, context: str = "") -> set[str]:
    """What is put into a text: `{name}` of “about {name}”, or the variables that a text in Liquid shows.

    Raises ValueError where braces do not match.
    """
    if context.startswith(LIQUID):
        if any(text.count(opening) != text.count(closing) for opening, closing in (("{{", "}}"), ("{%", "%}"))):
            raise ValueError(f"braces do not match in “{text}”")
        return set(_OUTPUT.findall(text))
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


Forms = tuple[str, ...]
"""one text, or the plural forms of a counted one"""


class Catalogue(NamedTuple):
    """One PO file: the forms of each translated text by context and English, and which form a number takes."""

    forms: dict[tuple[str, str], Forms]
    plural: Callable[[int], int]


def read_catalogue(path: Path) -> Catalogue:
    """The translated texts of a PO file, fuzzy ones left out. Raises UserError."""
    from babel.messages.pofile import PoFileError, read_po  # read at first use: most commands show no translation

    forms: dict[tuple[str, str], Forms] = {}
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=None, abort_invalid=True)
        for message in catalogue:
            english, translated = _forms(message.id), _forms(message.string)
            if not english[0] or message.fuzzy or not any(translated):
                continue
            context = message.context or ""
            allowed = {name for one in english for name in placeholders(one, context)}
            if any(not placeholders(one, context) <= allowed for one in translated):
                raise UserError(f"{path}: the placeholders of “{english[0]}” are not those of its translation.")
            if not all(translated) or (len(english) > 1 and len(translated) != catalogue.num_plurals):
                raise UserError(f"{path}: “{english[0]}” needs {catalogue.num_plurals} plural forms.")
            forms[context, english[0]] = translated
        return Catalogue(forms, c2py(catalogue.plural_expr))
    except (OSError, ValueError, PoFileError) as error:
        raise UserError(f"{path} cannot be read as a PO file: {error}") from error


def _forms(value: str | Sequence[str] | None) -> Forms:
    return (value or "",) if value is None or isinstance(value, str) else tuple(value)


@lru_cache(maxsize=512)
def _language(locale: str) -> str:
    return choose((locale,), languages(), SOURCE)


@lru_cache(maxsize=64)
def _catalogues(language: str) -> tuple[Catalogue, ...]:
    """The catalogues of a language, of the folder added last first. None for English, unless a file rewords it."""
    return tuple(read_catalogue(path) for folder in _folders if (path := folder / language / FILE).is_file())


def _translations(text: TextId, locale: str) -> Iterator[tuple[Forms, Callable[[int], int]]]:
    for catalogue in _catalogues(_language(locale)):
        forms = catalogue.forms.get((text.context, text.english))
        if forms is not None:
            yield forms, catalogue.plural


def _forget() -> None:
    languages.cache_clear()
    _language.cache_clear()
    _catalogues.cache_clear()
