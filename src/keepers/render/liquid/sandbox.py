"""Liquid with limits: time, output, loops and memory; no files, no clock, no randomness.

python-liquid limits loops, nesting and local variables. The rest is limited here: wall time (checked in every round of
a loop and before every filter), and single filters whose result would be huge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TextIO, cast

from liquid import BoundTemplate, Environment, Markup, Mode, RenderContext
from liquid.exceptions import LiquidError, LiquidInterrupt, LiquidSyntaxError

from keepers.model.errors import problem
from keepers.render.liquid.context import MOST_OUTPUT, Context, LimitError, MessageContext, Output
from keepers.render.liquid.data_size import MOST_ITEMS, refuse_large
from keepers.render.liquid.nodes import CycledTag, EchoedTag, PrintTag, TextTag, make_ready

MOST_ROUNDS = 10_000
"""of loops; those of nested loops multiply"""
_MOST_KEPT = 4_000_000
_MOST_BITS = 1024
_MOST_DIGITS = 100


class Sandbox(Environment):
    """An environment with the limits set. `autoescape` for HTML."""

    loop_iteration_limit = MOST_ROUNDS
    local_namespace_limit = _MOST_KEPT
    output_stream_limit = MOST_OUTPUT
    context_depth_limit = 60
    block_nesting_limit = 60

    def __init__(self, *, autoescape: bool, **rest: Any) -> None:
        super().__init__(tolerance=Mode.STRICT, autoescape=autoescape, **rest)
        del self.tags["include"]  # its names are dynamic; {% render %} replaces it
        del self.filters["safe"]  # customers' data is never HTML
        del self.filters["escapejs"]
        self.add_tag(TextTag)
        self.add_tag(PrintTag)
        self.add_tag(EchoedTag)
        self.add_tag(CycledTag)
        for name, function in self.filters.items():
            self.filters[name] = bounded(name, function)

    def compiled(self, source: str, name: str = "") -> BoundTemplate:
        """A template with time checks in its loops. Raises LiquidError."""
        template = self.from_string(source, name=name)
        make_ready(template.nodes, RenderContext(template))
        return template


def run(template: BoundTemplate, variables: Mapping[str, object], message: MessageContext) -> str:
    """The text of a template, in which addresses of data that are not allowed make no links. Raises LiquidError."""
    output = Output()
    context = Context(template, variables, message)
    for node in template.nodes:
        try:
            message.tick()
            node.render(context, cast(TextIO, output))
        except LiquidInterrupt as error:
            raise LiquidSyntaxError(problem("unexpected '{tag}'", tag=error), token=node.token) from None
        except LiquidError as error:
            error.token = error.token or node.token
            raise
    return message.outbound.printed(output.getvalue(), output.spans)


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses huge arguments and results."""

    @wraps(function)
    def within(value: Any, *args: Any, **more: Any) -> Any:
        refuse_large(name, value)
        for argument in args:
            refuse_large(name, argument)
        if name in _GROWING:
            _refuse_growth(name, value, args)
        if name in _REPLACING:
            # An author's texts count as HTML, except here: `replace: '&lt;', '<'` would undo the escaping.
            args = tuple(str.__str__(a) if isinstance(a, Markup) else a for a in args)
        result = function(value, *args, **more)
        kind = type(result)
        if kind is int:
            if result.bit_length() > _MOST_BITS:
                raise _too_large(name)
        elif (kind is list and len(result) > MOST_ITEMS) or (isinstance(result, str) and len(result) > MOST_OUTPUT):
            raise _too_large(name)
        return result

    return within


_REPLACING = frozenset({"replace", "replace_first", "replace_last"})
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
            raise LimitError(problem("{filter}: not a plain number", filter=name), token=None)
        if name == "round" and any(isinstance(n, int | float) and abs(n) > _MOST_DIGITS for n in args):
            raise _too_large(name)


def _too_large(name: str) -> LimitError:
    return LimitError(problem("{filter}: the result would be too large", filter=name), token=None)
