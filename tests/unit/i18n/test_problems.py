"""Errors carry what they say, so that each is told in the language asked for."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import keepers
from keepers.conditions.parsing.conditions import parse_condition
from keepers.http.common.problems import problem_of
from keepers.i18n.catalogues import languages, placeholders
from keepers.i18n.problems import error_text, errors_text
from keepers.journeys.parse import parse_journey
from keepers.model.errors import DefinitionError, UserError, nearest, problem
from keepers.playbook.load import PlaybookErrors, load

ROOT = Path(keepers.__file__).parent


def wrong(read: Any, data: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read(data)
    return caught.value


def test_a_problem_is_given_what_its_text_names() -> None:
    found = 0
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="problem"), args=[text], keywords=keywords):
                    assert isinstance(text, ast.Constant), f"{path}:{node.lineno}: the text is written as a literal"
                    passed = {str(keyword.arg) for keyword in keywords} - {"near"}
                    assert passed == placeholders(str(text.value)), f"{path}:{node.lineno}"
                    found += 1
                case _:
                    pass
    assert found > 100


@pytest.mark.parametrize("locale", languages())
def test_a_mistake_in_a_condition_is_told_with_its_field_and_hint(locale: str) -> None:
    error = wrong(parse_condition, {"all": [{"segment": "active"}]})
    assert error.message == "field all[0]: “segment” is no kind of condition. Did you mean “in_segment”?"
    assert {
        "en": error.message,
        "it": "campo all[0]: “segment” non è un tipo di condizione. Forse intendevi “in_segment”?",
        "pl": "pole all[0]: „segment” nie jest rodzajem warunku. Może chodziło o „in_segment”?",
        "ru": "поле all[0]: «segment» — не вид условия. Возможно, имелось в виду «in_segment»?",
        "zh": "字段 all[0]: “segment”不是条件类型。您是否指 “in_segment”？",
    }[locale] == error_text(error, locale)


def test_what_a_step_refuses_is_told_too() -> None:
    steps = [{"id": "a", "update": {"traits": {}}}]
    error = wrong(parse_journey, {"id": "j", "enter": [{"api": True}], "steps": steps})
    assert error.reason == "no trait is named; write {traits: {welcomed: true}}"
    assert error_text(error, "it").endswith("nessun attributo indicato; scrivi {traits: {welcomed: true}}")


def test_kinds_of_values_in_a_sentence_are_told_in_its_language() -> None:
    steps = [{"id": "a", "delay": {"offset": ["1d"]}}]
    error = wrong(parse_journey, {"id": "j", "enter": [{"api": True}], "steps": steps})
    assert error.reason == "expected a text, got a list"
    assert error_text(error, "pl").endswith("oczekiwane: tekst, a podano: lista")
    assert error_text(error, "zh").endswith("应为文本，实际为列表")


def test_what_is_not_in_the_catalogues_is_told_as_it_is() -> None:
    assert error_text(UserError("A plain {text}."), "ru") == "A plain {text}."
    assert error_text(UserError(problem("About {name}.", name="{x}")), "ru") == "About {x}."


def test_a_hint_lists_the_nearest_names_or_all_of_a_few() -> None:
    assert str(nearest("emial", ["email", "sms"])) == " Did you mean “email”?"
    assert str(nearest("x", ["email", "sms"])) == " Known: “email”, “sms”."
    assert str(nearest("x", [str(n) * 9 for n in range(20)])) == ""


def test_several_mistakes_are_told_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("segments:\n  - id: a\n  - id: b\n", encoding="utf-8")
    with pytest.raises(PlaybookErrors) as caught:
        load(tmp_path)
    lines = [line.partition("/")[2] for line in error_text(caught.value, "pl").splitlines()]
    assert lines == [
        "a.yaml:2, pole segments[0]: segment potrzebuje “who”: warunku",
        "a.yaml:3, pole segments[1]: segment potrzebuje “who”: warunku",
    ]
    assert errors_text([UserError("x")] * 53, "pl").splitlines()[-1] == "… i jeszcze 3"


def test_the_api_answers_in_the_language_asked_for() -> None:
    error = wrong(parse_condition, {"did": ""})
    assert problem_of(error).detail == "field did: expected a name"
    answer = problem_of(error, "ru")
    assert (answer.detail, answer.code, answer.field) == ("поле did: ожидалось имя", "definition", "did")
    several = problem_of(PlaybookErrors([error, error]), "zh")
    assert [flaw.message for flaw in several.errors] == ["字段 did: 应为名称"] * 2
