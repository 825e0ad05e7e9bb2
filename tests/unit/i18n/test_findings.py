"""What `check` finds is a code with data, told in the language asked for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import keepers
from keepers.i18n.catalogues import languages, placeholders
from keepers.i18n.findings import TEXTS, as_written, sentence, with_nearest
from keepers.playbook.check import check
from keepers.playbook.load import load

ROOT = Path(keepers.__file__).parent
PLAYBOOK = """
segments:
  - id: active
    name: Active
    who: {did: Order Completed, within: 30d}
  - id: keen
    name: Keen
    who: {in_segment: activ}
"""


def data_names() -> dict[str, list[set[str]]]:
    """code → the names of the data it is given, at each place; codes in f-strings are patterns."""
    found: dict[str, list[set[str]]] = {}
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "i18n.findings import" not in text and path.name != "findings.py":
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Name(id="sentence"), args=[code], keywords=keywords):
                    names = {str(keyword.arg) for keyword in keywords}
                    for one in ast.walk(code):
                        match one:
                            case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
                                for known in TEXTS:
                                    if known.startswith(start):
                                        found.setdefault(known, []).append(names)
                            case ast.Constant(value=str(known)) if not isinstance(code, ast.JoinedStr):
                                found.setdefault(known, []).append(names)
                            case _:
                                pass
                case ast.Constant(value=str(known)) if known in TEXTS:
                    found.setdefault(known, [])
                case _:
                    pass
    return found


def test_every_text_is_used_with_its_data_and_every_code_has_a_text() -> None:
    used = data_names()
    assert used.keys() >= TEXTS.keys()
    for code, places in used.items():
        for names in places:
            assert names == placeholders(TEXTS[code].english), code


@pytest.mark.parametrize("locale", languages())
def test_a_finding_is_in_the_language_asked_for(tmp_path: Path, locale: str) -> None:
    (tmp_path / "shop.yaml").write_text(PLAYBOOK, encoding="utf-8")
    (finding,) = check(load(tmp_path))
    assert (finding.level, finding.sentence.inner) == ("error", sentence("unknown_segment", name="activ"))
    assert finding.field == "segment/keen.who.in_segment"
    assert {
        "en": "there is no segment “activ”. Did you mean “active”?",
        "it": "non c’è il segmento “activ”. Forse intendevi “active”?",
        "pl": "nie ma segmentu „activ”. Może chodziło o „active”?",
        "ru": "нет сегмента «activ». Возможно, имелось в виду «active»?",
        "zh": "没有分群“activ”。您是否指 “active”？",
    }[locale] == finding.sentence.in_locale(locale)


def test_names_to_choose_from_are_listed_where_none_is_near() -> None:
    finding = with_nearest(sentence("unknown_topic", name="x"), "x", ["news", "offers"])
    assert str(finding) == "there is no topic “x”. Known: “news”, “offers”."
    assert finding.in_locale("pl") == "nie ma tematu „x”. Znane: „news”, „offers”."
    assert with_nearest(sentence("unsent"), "x", []) == sentence("unsent")
    assert finding.inner == sentence("unknown_topic", name="x")


def test_what_a_template_engine_says_is_told_with_its_line() -> None:
    finding = sentence("at_line", line=3, sentence=as_written("template_error", "unexpected {tag}"))
    assert finding.in_locale("ru") == "строка 3: unexpected {tag}"
    assert finding.inner.code == "template_error"


def test_a_code_without_a_text_is_refused() -> None:
    with pytest.raises(KeyError):
        sentence("no_such_code")
    assert all(re.fullmatch(r"[a-z_]+", code) for code in TEXTS)
