"""The operands of operators, read from plain data into the form each operator expects."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import re2
from msgspec import Struct

from keepers.conditions import ast
from keepers.conditions.comparisons import Anniversary
from keepers.model.errors import DefinitionError, UserError, problem, shown
from keepers.model.moments import Moment, parse_duration, parse_moment, parse_offset

MAX_LIST = 10_000
MAX_TEXT = 5_000
_REF = re.compile(r"trigger\..+|run\.(entered_at|step_entered_at)|run\.[a-z][a-z0-9_-]*\..+", re.DOTALL)


class OperandKind(Struct, frozen=True):
    """A kind of operand: how it is read and worded."""

    doc: str
    """what is written, for the reference"""
    parse: Callable[[Any, ZoneInfo | None, bool], Any]
    """(plain data, zone of dates without one, whether refs may stand inside) → the form the operator's expression
    takes. Raises UserError for any other"""
    of_ref: Callable[[ast.Ref | Moment], Any] | None = None
    """a ref in the operand's place, in that form; None where a value of the run cannot stand. Raises UserError"""
    takes_numbers: bool = False
    """whether figures, such as counts and sums, may be compared with it"""
    is_pair: bool = False
    """whether the wording has a place for each of two values"""
    words: Callable[[Any], str] | None = None
    """the operand in any language, where it is no plain value, moment, span or ref"""


def is_ref(data: Any) -> bool:
    return isinstance(data, dict) and "ref" in data


def parse_ref(data: dict[str, Any], allowed: bool) -> ast.Ref | Moment:
    """`{ref: trigger.order_id}`; with an `offset`, the moment so long after the ref's. Raises UserError."""
    path = data["ref"]
    if not allowed:
        raise UserError(problem("a ref stands for a value of a journey's run, and there is none here; write the value"))
    if extra := [key for key in data if key not in ("ref", "offset")]:
        raise UserError(problem("“{name}” does not belong beside a ref; only “offset” does", name=extra[0]))
    if not isinstance(path, str) or not _REF.fullmatch(path):
        raise UserError(
            problem(
                "{path} is no ref. Write trigger.<property>, run.entered_at, run.step_entered_at or run.<step>.<path>",
                path=shown(path),
            )
        )
    if "offset" not in data:
        return ast.Ref(normal(path))
    return Moment(ref=normal(path), offset=parse_offset(data["offset"]))


def parse_ref_moment(data: dict[str, Any], allowed: bool) -> Moment:
    """A ref in place of a moment. Raises UserError."""
    return _as_moment(parse_ref(data, allowed))


def _as_moment(ref: ast.Ref | Moment) -> Moment:
    return Moment(ref=ref.path) if isinstance(ref, ast.Ref) else ref


def _as_it_is(ref: ast.Ref | Moment) -> ast.Ref | Moment:
    return ref


def _in_a_list(ref: ast.Ref | Moment) -> Any:
    raise UserError(problem("expected a list of values, as [{{ref: trigger.plan}}, pro]"))


def _list(data: Any, zone: ZoneInfo | None, refs: bool) -> tuple[Any, ...]:
    if not isinstance(data, list) or not data:
        raise UserError(problem("expected a list of values, as [PL, IT]"))
    if len(data) > MAX_LIST:
        raise UserError(problem("more than {most} values; import them as a trait instead", most=MAX_LIST))
    return tuple(parse_ref(i, refs) if is_ref(i) else _scalar(i, zone, dates=False) for i in data)


def _flag(data: Any) -> bool:
    if not isinstance(data, bool):
        raise UserError(problem("expected true or false"))
    return data


def _text(data: Any) -> str:
    if isinstance(data, bool) or not isinstance(data, str | int | float) or data == "":
        raise UserError(problem("expected a text"))
    return normal(str(data))


def normal(text: str) -> str:
    """NFC, as all stored text is. Raises UserError for what no store can hold."""
    if "\x00" in text:
        raise UserError(problem("a text cannot hold the NUL character"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(problem("the text is no valid Unicode (a lone surrogate)")) from None
    if len(text) > MAX_TEXT:
        raise UserError(problem("the text is longer than {most} characters", most=MAX_TEXT))
    return unicodedata.normalize("NFC", text)


def _scalar(data: Any, zone: ZoneInfo | None, dates: bool = True) -> Any:
    if isinstance(data, bool):
        return data
    if isinstance(data, int | float):
        return _number(data)
    if isinstance(data, str):
        return normal(data)
    if isinstance(data, datetime) and dates:
        return parse_moment(data, zone)
    if isinstance(data, date):
        return data.isoformat()
    raise UserError(problem("expected a text, a number, true or false"))


def _number(data: int | float) -> float:
    try:
        number = float(data)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UserError(problem("expected a finite number"))
    return number


def _ordered(data: Any, zone: ZoneInfo | None) -> Any:
    if isinstance(data, bool):
        raise UserError(problem("true and false have no order; expected a number, a moment or a text"))
    if isinstance(data, date):
        return parse_moment(data, zone)
    if isinstance(data, str):
        try:
            return parse_moment(data, zone)
        except UserError:
            return normal(data)
    return _scalar(data, zone)


def _pair(data: Any, zone: ZoneInfo | None, refs: bool) -> tuple[Any, Any]:
    if not isinstance(data, list) or len(data) != 2:
        raise UserError(problem("expected two values, as [10, 20]"))
    if any(is_ref(item) for item in data):
        first, second = (parse_ref(item, refs) if is_ref(item) else _ordered(item, zone) for item in data)
        return first, second
    low, high = (_ordered(item, zone) for item in data)
    if isinstance(low, Moment) != isinstance(high, Moment) or isinstance(low, str) != isinstance(high, str):
        raise UserError(problem("both ends must be of one kind: two numbers, two moments or two texts"))
    if isinstance(low, Moment):
        backwards = low.is_relative == high.is_relative and (low.at or low.offset) > (high.at or high.offset)
    else:
        backwards = low > high
    if backwards:
        raise UserError(problem("the first value is greater than the second, so nothing is between them"))
    return low, high


def _pattern(data: Any) -> str:
    pattern = _text(data)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise UserError(problem("“{pattern}” is no RE2 pattern: {reason}", pattern=pattern, reason=reason)) from None
    return pattern


def _anniversary(data: Any) -> Anniversary:
    if not isinstance(data, dict) or len(data) != 1 or next(iter(data)) not in ("in", "within"):
        raise UserError(problem("expected {{in: 7d}} or {{within: 7d}}"))
    word, span = next(iter(data.items()))
    days, rest = divmod(parse_duration(span).total_seconds(), 86400)
    if rest or days > 365:
        raise UserError(problem("an anniversary is counted in whole days, 365 at most"))
    return Anniversary(int(days), within=word == "within")


SCALAR = OperandKind("a text, a number, true or false, a date", lambda d, zone, refs: _scalar(d, zone), _as_it_is, True)
ORDERED = OperandKind("a number, a moment or a text", lambda d, zone, refs: _ordered(d, zone), _as_it_is, True)
PAIR = OperandKind("two numbers, moments or texts, as `[10, 20]`", _pair, _as_it_is, True, is_pair=True)
LIST = OperandKind("a list of values", _list, _in_a_list, True)
TEXT = OperandKind("a text", lambda d, zone, refs: _text(d), _as_it_is)
PATTERN = OperandKind("an RE2 pattern", lambda d, zone, refs: _pattern(d))
FLAG = OperandKind("true or false", lambda d, zone, refs: _flag(d))
MOMENT = OperandKind(
    "a moment: ISO 8601, `now`, `30d ago`, `+7d`", lambda d, zone, refs: parse_moment(d, zone), _as_moment
)
SPAN = OperandKind("a duration: `14d`, `6h`", lambda d, zone, refs: parse_duration(d))
ANNIVERSARY = OperandKind(
    "`{in: 7d}` or `{within: 7d}`",
    lambda d, zone, refs: _anniversary(d),
    words=lambda operand: f"{'≤ ' if operand.within else '+'}{operand.days}d",
)


def text_of(data: Any, at: str, empty: bool = False) -> str:
    """A name: an event, trait, property, segment. Numbers are taken as text. Raises DefinitionError."""
    if isinstance(data, bool) or not isinstance(data, str | int) or (data == "" and not empty):
        raise DefinitionError(problem("expected a name"), field=at)
    try:
        return normal(str(data))
    except UserError as error:
        raise DefinitionError(error.problem, field=at) from None
