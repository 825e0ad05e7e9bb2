"""Errors that people meet are raised with texts of the catalogues, not with plain English."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import keepers

ROOT = Path(keepers.__file__).parent
EXCEPTIONS = {
    "cli": "the command line's own errors stay English",
    "devtools/demo.py": "only `keepers demo` meets it",
    "devtools/demo_data.py": "only `keepers demo` meets it",
    "devtools/demo_mailbox.py": "only `keepers demo` meets it",
    "devtools/mailbox_page.py": "only `keepers mailbox` meets it, at its start",
    "i18n/catalogues.py": "it is about a catalogue that cannot be read",
    "server/bounce_loop.py": "a server's settings: only the command line meets it, at the start of `keepers serve`",
    "server/listen.py": "only the command line meets it, at the start of `keepers serve`",
    "server/serve.py": "only the command line meets it, at the start of `keepers serve`",
}
"""folder or file → why its errors are English only"""
ROOMS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and list(path.glob("*.py")))
OF_LIQUID = {"FilterArgumentError", "LimitError", "LiquidSyntaxError", "OutputStreamLimitError"}
"""raised in templates, and given on as a RenderError's reason"""
OTHER = {
    "_mistake": 0,  # how the playbook's loader collects errors
    "_RefusedError": 0,  # an item of a tracking call
    "_Answer": 2,  # the tracking calls' own answers, after status and code
}
"""other calls that take a text for people → at which place"""
ERRORS_OF_ERRORS = {"PlaybookErrors"}
"""made of errors that have texts of their own"""
_MAKERS = {"problem", "problem_as_written", "sentence"}
_TYPES = {"Problem", "Sentence"}
_CARRIERS = {"problem", "sentence"}
"""attributes of errors and findings that hold what can be translated"""


@cache
def parsed() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}


def bases_of(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}


@cache
def texts_of_errors() -> dict[str, int]:
    """The names of all classes of errors that people meet, and at which place they take their text."""
    bases: dict[str, set[str]] = {}
    for tree in parsed().values():
        bases.update(bases_of(tree))
    found = {"KeepersError"}
    while more := {name for name, own in bases.items() if own & found} - found:
        found |= more
    return dict.fromkeys((found | OF_LIQUID) - ERRORS_OF_ERRORS, 0) | OTHER


def is_type(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Name) and node.id in _TYPES


@cache
def makers() -> set[str]:
    """The names of the functions that return a problem or sentence, by their annotation."""
    found = set(_MAKERS)
    for tree in parsed().values():
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and is_type(node.returns)}
    return found


def is_translatable(node: ast.expr, made: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in makers() or name in made
        case ast.IfExp(body=first, orelse=second):
            return is_translatable(first, made) and is_translatable(second, made)
        case ast.BoolOp(values=values):
            return all(is_translatable(value, made) for value in values)
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
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if is_type(annotation):
                found.add(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=ast.Call(func=ast.Attribute(attr="mistake"))):
                found.add(name)
            case ast.arg(arg=name, annotation=annotation) if is_type(annotation):
                found.add(name)
            case ast.FunctionDef(name=name, returns=returns) if is_type(returns):
                found.add(name)
            case _:
                pass
    return found


def texts(tree: ast.AST) -> Iterator[ast.expr]:
    """What errors are made of: first arguments, and those of the ValueErrors of a definition's own check."""
    places = texts_of_errors()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in places:
                yield from args[places[name] : places[name] + 1]
            case ast.FunctionDef(name="__post_init__"):
                for inner in ast.walk(node):
                    match inner:
                        case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"), args=[text, *_])):
                            yield text
                        case _:
                            pass
            case _:
                pass


def untranslated(tree: ast.AST) -> Iterator[str]:
    """Line and text of each error that is not translated."""
    made = made_in(tree)
    for text in texts(tree):
        if not is_translatable(text, made):
            yield f"{text.lineno}: {ast.unparse(text)}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "HTTPException":
            yield f"{node.lineno}: raise RequestError instead, which is translated"


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_is_raised_with_a_text_of_the_catalogues(room: str) -> None:
    found, excepted = [], 0
    for path, tree in parsed().items():
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(f"{room}/"):
            continue
        lines = [f"{place}:{line}" for line in untranslated(tree)]
        if room in EXCEPTIONS or place in EXCEPTIONS:
            excepted += len(lines)
            assert lines or room in EXCEPTIONS, f"{place} is an exception no more"
        else:
            found += lines
    assert found == [], "write problem(“…”) instead"
    assert excepted or room not in EXCEPTIONS, f"{room} is an exception no more"


def test_the_search_covers_what_there_is() -> None:
    assert {"app", "contact", "devtools", "http", "model", "scores", "server", "store"} < set(ROOMS)
    assert {"UserError", "KeyRefusedError", "RequestError", "RenderError"} < texts_of_errors().keys()
    assert sum(1 for tree in parsed().values() for _ in texts(tree)) > 500
    assert all((ROOT / place).exists() for place in EXCEPTIONS)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('raise UserError("plain")', 1),
        ('raise UserError(f"about {name}")', 1),
        ('raise NotFoundError("a " + b, field="x")', 1),
        ('said = f"{x}"\nraise UserError(said)', 1),
        ("def refuse(said: str) -> None:\n    raise UserError(said)", 1),
        ("raise UserError(str(error))", 1),
        ("raise UserError(told or problem('x'))", 1),
        ("class A:\n    def __post_init__(self):\n        raise ValueError('plain')", 1),
        ('raise HTTPException("x", status_code=400)', 1),
        ('raise _Answer(400, "code", "plain")', 1),
        ("def parse(self):\n    raise ValueError('of Python')", 0),
        ("class A:\n    def __post_init__(self):\n        raise ValueError(problem('x'))", 0),
        ('raise _Answer(400, "code", problem("x"))', 0),
        ('raise UserError(problem("x"))', 0),
        ('said = problem("x")\nraise UserError(said)', 0),
        ("said: Problem = known.get(name)\nraise UserError(said)", 0),
        ("def refuse(said: Problem) -> None:\n    raise UserError(said)", 0),
        ("raise DefinitionError(error.problem)", 0),
    ],
)
def test_the_search_finds_plain_texts(source: str, count: int) -> None:
    assert len(list(untranslated(ast.parse(source)))) == count
