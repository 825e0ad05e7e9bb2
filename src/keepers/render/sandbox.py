"""Liquid held within bounds: time, output, loops and memory; no files, no clock, no chance.

python-liquid bounds loops, nesting and local variables. What it leaves open is bounded here: wall time (asked in
every round of a loop and before every filter), and single filters whose result would be huge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, TextIO, cast
from zoneinfo import ZoneInfo

from liquid import BoundTemplate, Environment, Mode, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.output import Output as OutputTag
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError, OutputStreamLimitError
from liquid.stringify import to_liquid_string
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from keepers.render.outbound import Outbound

MOST_OUTPUT = 1_000_000
"""characters of one part of a message"""
MOST_ROUNDS = 10_000
"""of loops, those inside each other multiplied"""
MOST_TIME = 1.0
"""seconds of wall time for all parts of a message together"""
MOST_ITEMS = 10_000
"""of a list a filter is given or makes"""
_MOST_KEPT = 4_000_000
_MOST_BITS = 1024
_ROUND_EVERY = 64
_MOST_DIGITS = 100
_SPECIAL = re.compile("[&<>\"']")


class LimitError(LiquidError):
    """A template went over one of the limits."""


class Letter:
    """What rendering one message may use: its locale, moment, links, and the time left."""

    __slots__ = ("clock", "currency", "deadline", "locale", "now", "outbound", "zone")

    def __init__(
        self,
        locale: str = "en",
        outbound: Outbound | None = None,
        *,
        clock: Callable[[], float],
        now: datetime | None = None,
        zone: ZoneInfo | None = None,
        currency: str = "",
    ) -> None:
        self.clock = clock
        self.deadline = clock() + MOST_TIME
        self.locale = locale
        self.outbound = outbound or Outbound(None, ())
        self.now = now
        self.zone = zone
        self.currency = currency

    def tick(self) -> None:
        if self.clock() > self.deadline:
            raise LimitError(f"rendering took longer than {MOST_TIME:g} s; simplify the loops", token=None)


class Output:
    """Where a template writes, up to a limit."""

    __slots__ = ("parts", "room")

    def __init__(self, room: int = MOST_OUTPUT) -> None:
        self.parts: list[str] = []
        self.room = room

    def write(self, text: str) -> int:
        self.room -= len(text)
        if self.room < 0:
            raise OutputStreamLimitError(f"the text grew beyond {MOST_OUTPUT:,} characters", token=None)
        self.parts.append(text)
        return len(text)

    def getvalue(self) -> str:
        return "".join(self.parts)


class Context(RenderContext):
    """A render context that knows its letter, and whose variables are those given: python-liquid's own clock
    (`now`, `today`) is left out."""

    __slots__ = ("letter",)

    def __init__(self, template: BoundTemplate, *, letter: Letter | None = None, **rest: Any) -> None:
        super().__init__(template, **rest)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        parent = self.parent_context
        self.letter: Letter = letter or cast(Context, parent).letter

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """As the original, with a short way for names in plain data."""
        found: Any = self.scope.get(cast(str, path[0]), UNDEFINED)
        for name in path[1:]:
            if type(found) is not dict or type(name) is not str or (found := found.get(name, UNDEFINED)) is UNDEFINED:
                return super().get(path, token=token, default=default)
        return super().get(path, token=token, default=default) if found is UNDEFINED else found

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.letter.tick()
        return super().filter(name, token)

    def get_buffer(self, buf: TextIO | None = None) -> Any:
        return Output(buf.room if isinstance(buf, Output) else MOST_OUTPUT)


class _OutputNode(OutputNode):
    """As the original, with a short way for texts that need no escaping."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if type(value) is str and not (context.autoescape and _SPECIAL.search(value)):
            return buffer.write(value)
        return buffer.write(to_liquid_string(value, context.autoescape))


class _OutputTag(OutputTag):
    node_class = _OutputNode


class Sandbox(Environment):
    """An environment with the limits set. `autoescape` for HTML, without it for text."""

    loop_iteration_limit = MOST_ROUNDS
    local_namespace_limit = _MOST_KEPT
    output_stream_limit = MOST_OUTPUT
    context_depth_limit = 60
    block_nesting_limit = 60

    def __init__(self, *, autoescape: bool, **rest: Any) -> None:
        super().__init__(tolerance=Mode.STRICT, autoescape=autoescape, **rest)
        del self.tags["include"]  # its names are dynamic, and {% render %} does what it is for
        del self.filters["safe"]  # nothing a customer's data holds is HTML
        del self.filters["escapejs"]
        self.add_tag(_OutputTag)
        for name, function in self.filters.items():
            self.filters[name] = bounded(name, function)

    def compiled(self, source: str, name: str = "") -> BoundTemplate:
        """A template that asks for the time in its loops. Raises LiquidError."""
        template = self.from_string(source, name=name)
        static = RenderContext(template)
        for node in template.nodes:
            _add_ticks(node, static, in_loop=False)
        return template


def run(template: BoundTemplate, variables: Mapping[str, object], letter: Letter) -> str:
    """The text of a template. Raises LiquidError."""
    output = Output()
    context = Context(template, globals=variables, letter=letter)
    template.render_with_context(context, cast(TextIO, output))
    return output.getvalue()


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses what would be huge before making it, and what became too large."""

    @wraps(function)
    def within(value: Any, *args: Any, **more: Any) -> Any:
        if (isinstance(value, range) and value.stop - value.start > MOST_ITEMS) or (
            isinstance(value, list | tuple) and len(value) > MOST_ITEMS
        ):
            raise _too_large(name)
        if name in _GROWING:
            _refuse_growth(name, value, args)
        result = function(value, *args, **more)
        kind = type(result)
        if kind is int:
            if result.bit_length() > _MOST_BITS:
                raise _too_large(name)
        elif (kind is list and len(result) > MOST_ITEMS) or (isinstance(result, str) and len(result) > MOST_OUTPUT):
            raise _too_large(name)
        return result

    return within


_GROWING = frozenset({"replace", "join", "round", "plus", "minus", "times", "divided_by", "modulo"})


def _refuse_growth(name: str, value: Any, args: tuple[Any, ...]) -> None:
    if name == "replace":
        text, wanted, by = str(value), str(args[0]) if args else "", str(args[1]) if len(args) > 1 else ""
        if len(by) > len(wanted):
            found = text.count(wanted) if wanted else len(text) + 1
            if len(text) + found * (len(by) - len(wanted)) > MOST_OUTPUT:
                raise _too_large(name)
    elif name == "join":
        if isinstance(value, list | tuple):
            between = len(str(args[0])) if args else 1
            if sum(len(v) if isinstance(v, str) else 8 for v in value) + between * len(value) > MOST_OUTPUT:
                raise _too_large(name)
    else:
        numbers = (value, *args)
        if any(isinstance(n, str) and ("e" in n or "E" in n or len(n) > _MOST_DIGITS) for n in numbers):
            raise LimitError(f"{name}: not a plain number", token=None)
        if name == "round" and any(isinstance(n, int | float) and abs(n) > _MOST_DIGITS for n in args):
            raise _too_large(name)


def _too_large(name: str) -> LimitError:
    return LimitError(f"{name}: the result would be too large", token=None)


class _Tick(Node):
    """Asks for the time left."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        cast(Context, context).letter.tick()
        return 0

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.render(context, buffer)


def _add_ticks(node: Node, static: RenderContext, *, in_loop: bool) -> None:
    inside = in_loop or node.token.value in ("for", "tablerow", "inline")
    if isinstance(node, BlockNode) and in_loop:
        spread: list[Node] = []
        for n, child in enumerate(node.nodes):
            if n % _ROUND_EVERY == 0:
                spread.append(_Tick(node.token))
            spread.append(child)
        node.nodes = spread
    for child in node.children(static, include_partials=False):
        _add_ticks(child, static, in_loop=inside)
