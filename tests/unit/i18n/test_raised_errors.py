"""Errors that people meet through the API are raised with texts of the catalogues."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import keepers
from keepers.model.errors import KeepersError

ROOT = Path(keepers.__file__).parent
ROOMS = ("app", "http", "reports", "playbook", "ingest")
_MAKERS = {"problem", "problem_as_written"}
_CARRIERS = {"problem", "sentence"}
"""attributes of errors and findings that hold what can be translated"""


def error_names() -> set[str]:
    """The names of all classes of errors, those that the rooms define themselves among them."""
    for room in ROOMS:
        package = importlib.import_module(f"keepers.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"keepers.{room}."):
            importlib.import_module(module.name)
    found, waiting = set[str](), [KeepersError]
    while waiting:
        kind = waiting.pop()
        found.add(kind.__name__)
        waiting += kind.__subclasses__()
    # PlaybookErrors is made of errors that have texts of their own; _mistake is how the loader collects them.
    return found - {"PlaybookErrors"} | {"_mistake"}


def is_translatable(node: ast.expr, made: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _MAKERS or name in made
        case ast.IfExp(body=first, orelse=second):
            return is_translatable(first, made) and is_translatable(second, made)
        case ast.Attribute(attr=name):
            return name in _CARRIERS
        case ast.Name(id=name):
            return name in made
        case _:
            return False


def made_in(tree: ast.AST) -> set[str]:
    """Names of variables, parameters and functions of a module that are problems."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_translatable(value, found):
                found.add(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=ast.Call(func=ast.Attribute(attr="mistake"))):
                found.add(name)
            case ast.arg(arg="said") | ast.arg(annotation=ast.Name(id="Problem")):
                found.add(node.arg)
            case ast.FunctionDef(name=name, returns=ast.Name(id="Problem")):
                found.add(name)
            case _:
                pass
    return found


def untranslated(path: Path, errors: set[str]) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = made_in(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[said, *_]) if name in errors:
                if not is_translatable(said, made):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(said)}"
            case ast.Call(func=ast.Name(id="HTTPException")):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: raise RequestError instead, which is translated"
            case _:
                pass


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_is_raised_with_a_text_of_the_catalogues(room: str) -> None:
    errors = error_names()
    found = [line for path in sorted((ROOT / room).rglob("*.py")) for line in untranslated(path, errors)]
    assert found == [], "write problem(“…”) instead"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('raise UserError("plain")', 1),
        ('raise UserError(f"about {name}")', 1),
        ('raise NotFoundError("a " + b, field="x")', 1),
        ('said = f"{x}"\nraise UserError(said)', 1),
        ('raise HTTPException("x", status_code=400)', 1),
        ('raise UserError(problem("x"))', 0),
        ('said = problem("x")\nraise UserError(said)', 0),
        ("raise DefinitionError(error.problem)", 0),
    ],
)
def test_the_search_finds_plain_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, count: int) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert len(list(untranslated(path, error_names()))) == count
