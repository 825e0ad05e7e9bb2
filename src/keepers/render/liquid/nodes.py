"""A parsed template made ready for being rendered often: it asks for the time in loops, and takes shorter ways.

Nodes and expressions of the parser are swapped in place for ones that do the same with fewer calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO, cast

from liquid import RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import Path
from liquid.builtin.output import Output as OutputTag
from liquid.builtin.output import OutputNode
from liquid.expression import Expression
from liquid.output import NullIO
from liquid.stringify import to_liquid_string

if TYPE_CHECKING:
    from keepers.render.liquid.context import Context

_TICK_EVERY = 64
_LOOPS = ("for", "tablerow", "inline")
_SPECIAL = frozenset("&<>\"'")


class PlainPath(Path):
    """A path of plain names, all known beforehand."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return context.get(cast(list[object], self.path), token=self.token)


class Block(BlockNode):
    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        written = 0
        target = cast(TextIO, NullIO()) if self.blank else buffer
        for node in self.nodes:
            written += node.render(context, target)
        return 0 if self.blank else written


class Text(ContentNode):
    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(self.text)


class Printed(OutputNode):
    """Texts that need no escaping are written as they are."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if type(value) is str and not (context.autoescape and not _SPECIAL.isdisjoint(value)):
            return buffer.write(value)
        return buffer.write(to_liquid_string(value, context.autoescape))

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.render(context, buffer)


class PrintTag(OutputTag):
    node_class = Printed


class Tick(Node):
    """Asks for the time left."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        cast("Context", context).letter.tick()
        return 0

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.render(context, buffer)


def make_ready(nodes: list[Node], static: RenderContext) -> None:
    """Prepares a template's nodes, in place."""
    for node in nodes:
        _prepare(node, static, in_loop=False)


def _prepare(node: Node, static: RenderContext, *, in_loop: bool) -> None:
    inside = in_loop or node.token.value in _LOOPS
    if type(node) is ContentNode:
        _become(node, Text)
    elif type(node) is BlockNode:
        _become(node, Block)
    for expression in node.expressions():
        _quicken(expression)
    for child in node.children(static, include_partials=False):
        _prepare(child, static, in_loop=inside)
    if isinstance(node, BlockNode) and in_loop:
        spread: list[Node] = []
        for n, child in enumerate(node.nodes):
            if n % _TICK_EVERY == 0:
                spread.append(Tick(node.token))
            spread.append(child)
        node.nodes = spread


def _quicken(expression: Expression) -> None:
    if type(expression) is Path and all(isinstance(name, str) for name in expression.path):
        _become(expression, PlainPath)
    for child in expression.children():
        _quicken(child)


def _become(thing: Any, kind: type[Any]) -> None:
    thing.__class__ = kind
