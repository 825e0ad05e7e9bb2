"""Time, output and scopes of one rendering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TextIO, cast
from zoneinfo import ZoneInfo

from liquid import BoundTemplate, RenderContext
from liquid.exceptions import LiquidError, OutputStreamLimitError
from liquid.token import Token
from liquid.undefined import UNDEFINED

from keepers.model.errors import problem
from keepers.render.outbound import Outbound

MOST_OUTPUT = 1_000_000
"""characters of one part of a message"""


MOST_TIME = 1.0
"""seconds of wall time for all parts of a message together"""


_SPECIAL_NAMES = frozenset({"size", "first", "last"})


class LimitError(LiquidError):
    """A template went over one of the limits."""


class MessageContext:
    """The context of rendering one message: its locale, moment, links, and the time left."""

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
        self.outbound = outbound or Outbound(None, (), allowed=())
        self.now = now
        self.zone = zone
        self.currency = currency

    def tick(self) -> None:
        if self.clock() > self.deadline:
            raise LimitError(
                problem("rendering took longer than {most:g} s; simplify the loops", most=MOST_TIME), token=None
            )


class Output:
    """The output of a template, up to a limit, and where the values in it are.

    Whatever is written by `write` counts as a value; the template's own text and what was checked already is written
    by `write_own`.
    """

    __slots__ = ("_most", "parts", "size", "spans")

    def __init__(self, most: int = MOST_OUTPUT) -> None:
        self.parts: list[str] = []
        self.spans: list[tuple[int, int]] = []
        """start and end of each value"""
        self.size = 0
        self._most = most

    @property
    def room(self) -> int:
        return self._most - self.size

    def write(self, text: str) -> int:
        start = self.size
        written = self.write_own(text)
        if written:
            self.spans.append((start, self.size))
        return written

    def write_own(self, text: str) -> int:
        length = len(text)
        self.size += length
        if self.size > self._most:
            raise OutputStreamLimitError(
                problem("the text grew beyond {most:,} characters", most=MOST_OUTPUT), token=None
            )
        self.parts.append(text)
        return length

    def getvalue(self) -> str:
        return "".join(self.parts)


class Scope:
    """Names in order of lookup, the innermost first. Misses are common, and raise no exception here."""

    __slots__ = ("maps",)

    def __init__(self, *maps: Mapping[Any, Any]) -> None:
        self.maps = list(maps)

    def get(self, name: object, default: object = None) -> object:
        for names in self.maps:
            found = names.get(name, UNDEFINED)
            if found is not UNDEFINED:
                return found
        return default

    def __getitem__(self, name: object) -> object:
        found = self.get(name, UNDEFINED)
        if found is UNDEFINED:
            raise KeyError(name)
        return found

    def size(self) -> int:
        return len(self.maps)

    def push(self, names: Mapping[Any, Any]) -> None:
        self.maps.insert(0, names)

    def pop(self) -> Mapping[Any, Any]:
        return self.maps.pop(0)


class Context(RenderContext):
    """The variables of a template while it is rendered. python-liquid's own clock (`now`, `today`) is left out."""

    __slots__ = ("message",)

    def __init__(
        self,
        template: BoundTemplate,
        names: Mapping[str, Any],
        message: MessageContext,
        *,
        outer: Context | None = None,
        carried_rounds: int = 1,
        carried_size: int = 0,
    ) -> None:
        super().__init__(
            template,
            globals=names,
            copy_depth=0 if outer is None else outer._copy_depth + 1,
            parent_context=outer,
            loop_iteration_carry=carried_rounds,
            local_namespace_size_carry=carried_size,
        )
        self.scope = Scope(self.locals, self.globals, self.counters)  # type: ignore[assignment]
        self.message = message

    def inner(self, variables: dict[str, Any]) -> Context:
        """The context of a snippet: its arguments and the variables of the whole message, without assigned variables.

        `given` may change afterwards, as it does from round to round of `{% render … for … %}`.
        """
        if self._copy_depth > self.env.context_depth_limit:
            raise LimitError(problem("snippets are nested too deeply"), token=None)
        rounds = self.loop_iteration_carry
        for loop in self.loops:
            rounds *= loop.length
        names = self.globals
        inside = Context(
            self.template,
            names,
            self.message,
            outer=self,
            carried_rounds=rounds,
            carried_size=self.get_size_of_locals(),
        )
        if variables:
            cast(Scope, inside.scope).maps.insert(1, variables)
            inside.globals = Scope(variables, names)  # type: ignore[assignment]
        return inside

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """As the base class, with a fast path for names in plain data."""
        found: Any = self.scope.get(cast(str, path[0]), UNDEFINED)
        for name in path[1:]:
            if type(found) is not dict or type(name) is not str or name in _SPECIAL_NAMES:
                return super().get(path, token=token, default=default)
            found = found.get(name, UNDEFINED)
        if found is not UNDEFINED:
            return found
        return default if default is not UNDEFINED else self.env.undefined(str(path[0]), token=token)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.message.tick()
        return super().filter(name, token)

    def get_buffer(self, buf: TextIO | None = None) -> Any:
        return Output(buf.room if isinstance(buf, Output) else MOST_OUTPUT)
