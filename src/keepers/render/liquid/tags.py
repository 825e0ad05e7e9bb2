"""Tags that templates are compiled to: a snippet in its own scope, and an outgoing link."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, TextIO, cast

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
from keepers.render.liquid.context import Context

INLINE, END_INLINE = "inline", "endinline"
LINK, END_LINK = "keepers_link", "endkeepers_link"


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
        url = self.static
        if url is None:
            inner = context.get_buffer(buffer)
            self.block.render(context, inner)
            url = inner.getvalue()
        follow = cast(Context, context).message.outbound.follow
        if context.autoescape:
            return buffer.write(escape(follow(html.unescape(url), self.is_tracked)))
        return buffer.write(follow(url, self.is_tracked))

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
