"""What a template reads: its variables, which of them have no fallback, and its filters."""

from __future__ import annotations

from collections.abc import Iterator

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.filtered import Filter, TernaryFilteredExpression
from liquid.builtin.output import OutputNode
from liquid.expression import Expression
from msgspec import Struct

from keepers.render.liquid.tags import InlineNode


class VariableRead(Struct, frozen=True):
    """A variable as written: `customer.first_name` is ("customer", "first_name")."""

    path: tuple[str, ...]
    offset: int
    """in the template's source"""
    has_fallback: bool
    """printed with a default, tested by an {% if %} around it, or not printed at all"""


class Used(Struct, frozen=True):
    reads: tuple[VariableRead, ...]
    filters: tuple[tuple[str, int], ...]
    """name and offset"""


def used(template: BoundTemplate) -> Used:
    """Everything a template reads from outside; names it assigns itself are left out."""
    looking = _Looking(RenderContext(template))
    looking.nodes(template.nodes, frozenset(), frozenset())
    return Used(tuple(looking.reads), tuple(looking.filters))


class _Looking:
    def __init__(self, static: RenderContext) -> None:
        self.static = static
        self.assigned: set[str] = set()
        self.reads: list[VariableRead] = []
        self.filters: list[tuple[str, int]] = []

    def nodes(self, nodes: list[Node], known: frozenset[str], tested: frozenset[tuple[str, ...]]) -> None:
        for node in nodes:
            self.node(node, known, tested)

    def node(self, node: Node, known: frozenset[str], tested: frozenset[tuple[str, ...]]) -> None:
        for expression in node.expressions():
            self.expression(expression, known, tested, is_printed=isinstance(node, OutputNode))
            tested |= {p for p, _ in _paths(expression)} if not isinstance(node, OutputNode) else frozenset()
        self.assigned |= {str(name) for name in node.template_scope()}
        if isinstance(node, InlineNode):
            outside, self.assigned = self.assigned, set()
            self.node(node.block, frozenset(node.bound_names()), tested)
            self.assigned = outside
            return
        known |= {str(name) for name in node.block_scope()}
        for child in node.children(self.static, include_partials=False):
            self.node(child, known, tested)

    def expression(
        self, expression: Expression, known: frozenset[str], tested: frozenset[tuple[str, ...]], *, is_printed: bool
    ) -> None:
        applied = list(_filters(expression))
        self.filters += [(f.name, f.token.start_index) for f in applied]
        has_default = any(f.name == "default" for f in applied)
        printed = expression.left if isinstance(expression, FilteredExpression) else None
        for path, found in _paths(expression):
            if path[0] in known or path[0] in self.assigned:
                continue
            bare = is_printed and found is printed and not has_default
            self.reads.append(VariableRead(path, found.token.start_index, not bare or path in tested))


def _paths(expression: Expression) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Paths up to the first segment that is computed or a number."""
    if isinstance(expression, Path) and isinstance(expression.path[0], str):
        names: list[str] = []
        for segment in expression.path:
            if not isinstance(segment, str):
                break
            names.append(segment)
        yield tuple(names), expression
    for child in expression.children():
        yield from _paths(child)


def _filters(expression: Expression) -> Iterator[Filter]:
    if isinstance(expression, FilteredExpression):
        yield from expression.filters or ()
    elif isinstance(expression, TernaryFilteredExpression):
        yield from (*(expression.filters or ()), *(expression.tail_filters or ()))
    for child in expression.children():
        yield from _filters(child)
