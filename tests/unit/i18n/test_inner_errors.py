"""Errors of the inner packages are told in every language: none is raised with a plain English text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import keepers
from keepers.i18n.problems import error_text
from keepers.journeys.broadcast import parse_broadcast
from keepers.model.errors import DefinitionError, NotFoundError
from keepers.render.definition import parse_message
from keepers.render.errors import RenderError
from keepers.render.renderer import Renderer
from keepers.store.database import Store
from keepers.store.profiles import profiles

ROOT = Path(keepers.__file__).parent
PACKAGES = (
    "broadcasts", "channels", "conditions", "delivery", "evaluation", "journeys", "orchestration", "render", "store",
    "warehouse",
)  # fmt: skip
OF_LIQUID = {"FilterArgumentError", "LimitError", "LiquidSyntaxError", "OutputStreamLimitError"}
"""raised in templates, and given on as a RenderError's reason"""


def errors_of(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def told() -> set[str]:
    """The names of all classes of errors that are told to people."""
    bases = {}
    for path in ROOT.rglob("*.py"):
        bases.update(errors_of(ast.parse(path.read_text(encoding="utf-8"))))
    found = {"KeepersError"}
    while more := {name for name, own in bases.items() if own & found} - found:
        found |= more
    return found | OF_LIQUID


def is_plain(text: ast.expr) -> bool:
    match text:
        case ast.Constant(value=str()) | ast.JoinedStr() | ast.BinOp():
            return True
        case ast.Call(func=ast.Name(id="str") | ast.Attribute(attr="format" | "join")):
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return is_plain(body) or is_plain(orelse)
        case _:
            return False


@pytest.mark.parametrize("package", PACKAGES)
def test_no_error_is_raised_with_a_plain_text(package: str) -> None:
    names = told()
    plain, found = [], 0
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in names:
                    found += 1
                    plain += [f"{path.relative_to(ROOT)}:{node.lineno}"] if is_plain(text) else []
                case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"), args=[text])) if is_init(path, node):
                    plain += [f"{path.relative_to(ROOT)}:{node.lineno}"] if is_plain(text) else []
                case _:
                    pass
    assert plain == []
    assert found


def is_init(path: Path, wanted: ast.Raise) -> bool:
    """Whether it is raised by a definition's own check of its fields, whose ValueErrors are told too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == "__post_init__":
            return any(isinstance(n, ast.Raise) and n.lineno == wanted.lineno for n in ast.walk(node))
    return False


def renderer(body: str) -> Renderer:
    content = {"en": {"subject": "x", "body": body}}
    message = parse_message({"id": "hello", "channel": "email", "topic": "t", "content": content})
    return Renderer({"hello": message}, {})


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "message “hello”, en, body, line 2: {{ is not closed by }}"),
        ("it", "messaggio “hello”, en, body, riga 2: {{ non è chiuso da }}"),
        ("pl", "wiadomość „hello”, en, body, wiersz 2: {{ nie jest zamknięte przez }}"),
        ("ru", "сообщение «hello», en, body, строка 2: {{ не закрыто }}"),
        ("zh", "消息“hello”，en，body，第 2 行：{{ 没有用 }} 结束"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_told_with_its_place(locale: str, text: str) -> None:
    with pytest.raises(RenderError) as caught:
        renderer("a\n{{ b").render("hello", {}, ["en"], None)
    assert error_text(caught.value, locale) == text


def test_a_limit_met_while_rendering_is_told_too() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("{{ x | round: 5000 }}").render("hello", {"x": 1}, ["en"], None)
    assert error_text(caught.value, "pl").endswith(": round: wynik byłby za duży")


def test_the_engine_s_own_words_stay_as_they_are() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("{% if %}{% endif %}").render("hello", {}, ["en"], None)
    assert error_text(caught.value, "ru").startswith("сообщение «hello», en, body, строка 1: ")
    assert error_text(caught.value, "ru").partition("1: ")[2] == caught.value.reason


def test_what_is_not_there_is_told_with_what_is_near(store: Store) -> None:
    with store.read() as connection, pytest.raises(NotFoundError) as caught:
        profiles.get(connection, 7)
    assert error_text(caught.value, "it") == "Non c’è nessun profilo 7."
    with pytest.raises(DefinitionError) as wrong:
        parse_broadcast({"id": "b", "message": "m", "include": {"trait": "age", "gtee": 3}})
    assert error_text(wrong.value, "zh") == "字段 include: “gtee”不是运算符。您是否指 “gte” 或 “gt”？"
