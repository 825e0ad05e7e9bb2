"""Names: what was renamed does not come back, and what is private stays within its module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "keepers").rglob("*.py"))
_WORDS = """
agenda answerer ask asked asker asking asks brake brakes calm circles consequences desk door give given hit hits
holders hopeful in_force keep letter letters look meet news note pacing perform portrait pulse rehearsal roster said
sheet standing surroundings sweep take telling told trail unsweep weave wish wishes world woven
"""
REPLACED = frozenset(_WORDS.split())
"""words that the glossary replaced, as whole identifiers; texts, addresses and fields of JSON may hold them"""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.alias(name=name, asname=other):
                yield other or name, node.lineno


def replaced(tree: ast.Module) -> list[str]:
    """The identifiers that are replaced words, with or without underscores before them, in either case."""
    return [f"{name}, line {n}" for name, n in identifiers(tree) if name.lstrip("_").lower() in REPLACED]


def test_no_identifier_or_module_is_a_replaced_word() -> None:
    found = {str(path.relative_to(ROOT)): words for path in SOURCES if (words := replaced(parsed(path)))}
    assert found == {}
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.stem in REPLACED] == []


@pytest.mark.parametrize("text", ["def f(told): ...", "x.asks", "class Desk: ...", "import a as _given", "Asked = 1"])
def test_a_replaced_word_is_found_wherever_a_name_stands(text: str) -> None:
    assert len(replaced(ast.parse(text))) == 1


def borrowed(tree: ast.Module) -> list[str]:
    """The private names that a module imports from others."""
    return [
        f"{node.module}.{one.name}, line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for one in node.names
        if one.name.startswith("_") and not one.name.startswith("__")
    ]


def test_no_module_imports_a_private_name_of_another() -> None:
    files = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): names for path in files if (names := borrowed(parsed(path)))}
    assert found == {}


def test_a_private_name_of_another_module_is_found() -> None:
    assert borrowed(ast.parse("from a.b import c, _d, __version__")) == ["a.b._d, line 1"]
