"""The catalogues are whole: every text of the code is in every PO file, with its placeholders and plural forms."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

import keepers
from keepers.i18n.catalogues import FILE, LIQUID, SHIPPED, SOURCE, languages, placeholders

PACKAGE = Path(keepers.__file__).parent
TRANSLATED = [language for language in languages() if language != SOURCE]
_LIQUID = re.compile(r"<[^>]*>|\{%.*?%\}|\{\{.*?\}\}|&\w+;")
_FOREIGN = re.compile(r"[Ѐ-ӿ一-鿿]")


@cache
def extracted() -> dict[tuple[str, str], tuple[str, ...]]:
    """What `make texts` finds in the code: (context, English) → the English forms."""
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    found = {}
    for mapping in project["tool"]["babel"]["mappings"]:
        pattern = mapping["pattern"].removeprefix("src/keepers/")
        keywords = parse_keywords(mapping["keywords"])
        for _, _, text, _, context in extract_from_dir(PACKAGE, [(pattern, mapping["method"])], keywords=keywords):
            forms = text if isinstance(text, tuple) else (text,)
            found[context or "", forms[0]] = forms
    return found


@cache
def catalogue(language: str) -> Catalog:
    with (SHIPPED / language / FILE).open("rb") as file:
        return read_po(file, abort_invalid=True)


def entries(language: str) -> dict[tuple[str, str], Message]:
    return {(m.context or "", m.id[0] if isinstance(m.id, tuple) else m.id): m for m in catalogue(language) if m.id}


def forms(message: Message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (message.string,)


def test_the_five_languages_ship() -> None:
    assert languages() == ("en", "it", "pl", "ru", "zh")
    assert len(extracted()) > 1200
    assert sum(context.startswith(LIQUID) for context, _ in extracted()) > 300


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_the_texts_of_the_code_and_no_others(language: str) -> None:
    assert sorted(entries(language)) == sorted(extracted()), "run `make texts`"
    assert not catalogue(language).obsolete
    for key, message in entries(language).items():
        assert not message.fuzzy, key
        assert (message.id if isinstance(message.id, tuple) else (message.id,)) == extracted()[key]
        assert all(one and one.strip() == one for one in forms(message)), key


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_are_those_of_the_english(language: str) -> None:
    for key, english in extracted().items():
        context = key[0]
        wanted = [placeholders(one, context) for one in english]
        assert all(one == wanted[0] for one in wanted), key
        for one in forms(entries(language)[key]):
            found = placeholders(one, context)
            # A message may leave a name out where the language would have to inflect it.
            assert found <= wanted[0] if context.startswith(LIQUID) else found == wanted[0], (key, one)


@pytest.mark.parametrize("language", TRANSLATED)
def test_counted_texts_have_every_plural_form_of_the_language(language: str) -> None:
    number, rule = get_plural(language)
    assert catalogue(language).num_plurals == number
    assert catalogue(language).plural_expr == rule.strip("()") or catalogue(language).plural_expr == rule
    counted = [message for message in entries(language).values() if isinstance(message.id, tuple)]
    assert counted
    assert all(len(forms(message)) == number for message in counted)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_is_in_its_own_script(language: str) -> None:
    for key, message in entries(language).items():
        for text in forms(message):
            plain = _LIQUID.sub("", text) if key[0].startswith(LIQUID) else re.sub(r"\{\w*\}", "", text)
            has_words = re.search(r"\w{4}", plain) is not None
            if language in ("pl", "it"):
                assert not _FOREIGN.search(text), key
            elif has_words and not re.fullmatch(r"[\W\d]*(?:[A-Z]\w*[\W\d]*)+", plain):
                assert _FOREIGN.search(text), key


def test_nothing_is_read_before_a_translation_is_asked_for() -> None:
    script = (
        "import sys\n"
        "from keepers.cli.common import load_commands\n"
        "load_commands()\n"
        "from keepers.i18n import catalogues\n"
        "assert catalogues._catalogues.cache_info().currsize == 0\n"
        "assert 'babel.messages.pofile' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
