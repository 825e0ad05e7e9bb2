"""Tags that templates are compiled to: a snippet in its own scope, and an outgoing link."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, TextIO, cast, get_args

from liquid import RenderContext, escape
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import (
    KeywordArgument,
    Path,
    StringLiteral,
    parse_identifier,
    parse_primitive,
)
from liquid.builtin.tags.for_tag import ForLoop
from liquid.exceptions import LiquidInterrupt, LiquidSyntaxError
from liquid.expression import Expression
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.tag import Tag
from liquid.token import TOKEN_AS, TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_FOR, TOKEN_TAG, TOKEN_WITH, TOKEN_WORD, Token

from keepers.model.errors import problem
from keepers.render.liquid.context import Context, Output
from keepers.render.outbound import AddressKind

INLINE, END_INLINE = "inline", "endinline"
LINK, END_LINK = "keepers_link", "endkeepers_link"
VALUE, END_VALUE = "keepers_value", "endkeepers_value"


class InlineNode(Node):
    """A snippet's text in place of {% render %}, with the scope of that tag: its arguments and the variables of the
    whole template, without those assigned around it."""

    __slots__ = ("alias", "args", "block", "is_loop", "name", "var")

    def __init__(
        self,
        token: Token,
        name: str,
        args: list[KeywordArgument],
        block: BlockNode,
        *,
        var: Expression | None = None,
        alias: str = "",
        is_loop: bool = False,
    ) -> None:
        super().__init__(token)
        self.name, self.args, self.block = name, args, block
        self.var, self.alias, self.is_loop = var, alias, is_loop
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        variables: dict[str, Any] = {arg.name: arg.value.evaluate(context) for arg in self.args}
        if self.var is None:
            return self._once(cast(Context, context).inner(variables), buffer)
        value = variables[self.alias] = self.var.evaluate(context)
        inside = cast(Context, context).inner(variables)
        if not (self.is_loop and isinstance(value, list | tuple)):
            return self._once(inside, buffer)
        inside.raise_for_loop_limit(len(value))
        undefined = context.env.undefined("parentloop", token=self.token)
        loop = variables["forloop"] = ForLoop(self.alias, iter(value), len(value), undefined)
        written = 0
        for item in loop:
            variables[self.alias] = item
            written += self._once(inside, buffer)
        return written

    def _once(self, context: RenderContext, buffer: TextIO) -> int:
        try:
            return self.block.render(context, buffer)
        except LiquidInterrupt as error:
            raise LiquidSyntaxError(problem("unexpected '{tag}'", tag=error), token=self.token) from None

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block

    def expressions(self) -> Iterable[Expression]:
        if self.var is not None:
            yield self.var
        yield from (arg.value for arg in self.args)

    def bound_names(self) -> set[str]:
        """The names its text is given."""
        names = {arg.name for arg in self.args}
        return names | {self.alias, "forloop"} if self.var is not None else names


class InlineTag(Tag):
    """`{% inline 'footer', colour: 'red' %} … {% endinline %}`"""

    name = INLINE
    end = END_INLINE

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        tokens = stream.into_inner(tag=token)
        name = parse_primitive(self.env, tokens)
        if not isinstance(name, StringLiteral):
            raise LiquidSyntaxError(problem("expected a snippet's id in quotes"), token=token)
        var: Expression | None = None
        alias, is_loop = str(name.value), False
        if tokens.current.kind in (TOKEN_WITH, TOKEN_FOR):
            is_loop = tokens.current.kind == TOKEN_FOR
            next(tokens)
            tokens.expect(TOKEN_WORD)
            var = Path.parse(self.env, tokens)
            if tokens.current.kind == TOKEN_AS:
                next(tokens)
                tokens.expect(TOKEN_WORD)
                alias = str(parse_identifier(self.env, tokens))
        args = KeywordArgument.parse(self.env, tokens)
        block = get_parser(self.env).parse_block(stream, (END_INLINE, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=END_INLINE)
        return InlineNode(token, str(name.value), args, block, var=var, alias=alias, is_loop=is_loop)


class LinkNode(Node):
    """A link of a message: tagged and tracked. In HTML it is escaped as an attribute."""

    __slots__ = ("block", "is_tracked", "static")

    def __init__(self, token: Token, is_tracked: bool, block: BlockNode) -> None:
        super().__init__(token)
        self.is_tracked, self.block = is_tracked, block
        self.blank = False
        texts = [n.text for n in block.nodes if isinstance(n, ContentNode)]
        self.static = "".join(texts) if len(texts) == len(block.nodes) else None

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        url, values = self.static, [(0, 0)]
        if url is None:
            url, values = _inner(self.block, context, buffer)
        outbound = cast(Context, context).message.outbound
        is_html = context.autoescape
        if is_html:
            url, values = _decoded(url, values)
        own = values[0][0] if self.static is None and values else len(url)
        target = outbound.follow(url, self.is_tracked, own)
        return cast(Output, buffer).write_own(escape(target) if is_html else target)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


class LinkTag(Tag):
    """`{% keepers_link on %}https://…{% endkeepers_link %}`; `off` for one that is not tracked."""

    name = LINK
    end = END_LINK

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        mode = stream.eat(TOKEN_EXPRESSION).value.strip()
        block = get_parser(self.env).parse_block(stream, (END_LINK, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=END_LINK)
        return LinkNode(token, mode == "on", block)


class ValueNode(Node):
    """The value of an attribute, or a style sheet: what data brings into it leads to allowed hosts only."""

    __slots__ = ("block", "is_raw", "kind")

    def __init__(self, token: Token, kind: AddressKind, is_raw: bool, block: BlockNode) -> None:
        super().__init__(token)
        self.kind, self.is_raw, self.block = kind, is_raw, block
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        text, values = _inner(self.block, context, buffer)
        output = cast(Output, buffer)
        if not values:
            return output.write_own(text)
        plain, spans = (text, values) if self.is_raw or not context.autoescape else _decoded(text, values)
        checked = cast(Context, context).message.outbound.value(self.kind, plain, spans)
        if checked == plain:
            return output.write_own(text)
        return output.write_own(checked if self.is_raw or not context.autoescape else escape(checked))

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


class ValueTag(Tag):
    """`{% keepers_value address %}…{% endkeepers_value %}`, of a kind in `AddressKind`; `raw` after it for the text of
    an element of style, in which no sign is escaped."""

    name = VALUE
    end = END_VALUE

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        kind, _, raw = stream.eat(TOKEN_EXPRESSION).value.strip().partition(" ")
        if kind not in get_args(AddressKind):
            raise LiquidSyntaxError(problem("unexpected '{tag}'", tag=kind), token=token)
        block = get_parser(self.env).parse_block(stream, (END_VALUE, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=END_VALUE)
        return ValueNode(token, cast(AddressKind, kind), raw == "raw", block)


def _inner(block: BlockNode, context: RenderContext, buffer: TextIO) -> tuple[str, list[tuple[int, int]]]:
    """What a block prints, and where the values in it are."""
    inner = cast(Output, context.get_buffer(buffer))
    block.render(context, cast(TextIO, inner))
    return inner.getvalue(), inner.spans


def _decoded(text: str, values: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """The text of an attribute as a browser reads it, and its values there."""
    if "&" not in text:
        return text, values
    out: list[str] = []
    spans: list[tuple[int, int]] = []
    done = size = 0
    for start, end in values:
        before, value = html.unescape(text[done:start]), html.unescape(text[start:end])
        out += (before, value)
        spans.append((size + len(before), size + len(before) + len(value)))
        size, done = spans[-1][1], end
    return "".join((*out, html.unescape(text[done:]))), spans
