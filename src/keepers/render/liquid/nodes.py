"""Nodes that replace those of python-liquid: output takes a shorter path, and loops check the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO, cast

from liquid import RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.output import Output as OutputTag
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.output import NullIO
from liquid.stringify import to_liquid_string

from keepers.render.liquid.data_size import refuse_large

if TYPE_CHECKING:
    from keepers.render.liquid.context import Context, Output

_TICK_EVERY = 64
_SPECIAL = frozenset("&<>\"'")


class Text(ContentNode):
    """A text node without the check for disabled tags, of which there are none."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        if isinstance(buffer, NullIO):  # of a block that has nothing but white space
            return buffer.write(self.text)
        return cast("Output", buffer).write_own(self.text)


class TextTag(Literal):
    node_class = Text


class Printed(OutputNode):
    """Texts that need no escaping are written as they are."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if type(value) is str and not (context.autoescape and not _SPECIAL.isdisjoint(value)):
            return buffer.write(value)
        refuse_large("print", value)
        return buffer.write(to_liquid_string(value, context.autoescape))


class PrintTag(OutputTag):
    node_class = Printed


class Echoed(EchoNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        refuse_large("echo", self.expression.evaluate(context))
        return super().render_to_output(context, buffer)


class EchoedTag(EchoTag):
    node_class = Echoed


class Cycled(CycleNode):
    """Its items are made a text to know the tag by, so they are bounded as what is printed is."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        cast("Context", context).message.tick()
        refuse_large("cycle", [arg.evaluate(context) for arg in self.args])
        return super().render_to_output(context, buffer)


class CycledTag(CycleTag):
    node_class = Cycled


class Tick(Node):
    """Checks the time left."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        cast("Context", context).message.tick()
        return 0

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.render(context, buffer)


def make_ready(nodes: list[Node], static: RenderContext) -> None:
    """Adds time checks to all blocks, in place: of loops for their rounds, of others for their number."""
    for node in nodes:
        make_ready(list(node.children(static, include_partials=False)), static)
        if isinstance(node, BlockNode):
            spread: list[Node] = []
            for n, child in enumerate(node.nodes):
                if n % _TICK_EVERY == 0:
                    spread.append(Tick(node.token))
                spread.append(child)
            node.nodes = spread
