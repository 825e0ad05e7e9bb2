"""The meaning of the comparison operators, as Ibis expressions. Their table is in `operators.py`.

Every expression is two-valued: an absent value is simply not equal, so `not` around it is exact. `flips` gives the
instants at which a comparison with a relative moment changes its answer by itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec import Struct

from keepers.conditions.ast import Ref
from keepers.conditions.lazy_ibis import ibis
from keepers.model.moments import Moment

TICK = timedelta(microseconds=1)


class ComparedValue(Struct, frozen=True):
    """The columns an operator compares: one per JSON kind, None where that kind never arrived.

    `items` is a trait's list as JSON text; lists of events are rows of their own (see `event_rows.py`).
    """

    number: Any = None
    text: Any = None
    boolean: Any = None
    instant: Any = None
    date: Any = None
    items: Any = None


class Clock(Struct, frozen=True):
    """The moment of evaluation, and the values of the run, as Ibis columns.

    `local_date` and `midnight` (date → UTC instant, or the instant until which the zone's present offset holds, if
    earlier) exist where a subject's zone is joined in.
    """

    now: Any
    local_date: Any = None
    midnight: Callable[[Any], Any] | None = None
    refs: Callable[[str], ComparedValue] | None = None

    def ref(self, path: str) -> ComparedValue:
        """The columns of a ref, all kinds being there; all NULL where it has no value."""
        found = self.refs(path) if self.refs is not None else ComparedValue()
        return (
            found if found.text is not None else ComparedValue(**{kind: ibis.null(t) for kind, t in REF_KINDS.items()})
        )


REF_KINDS = {"number": "float64", "text": "string", "boolean": "boolean", "instant": "timestamp"}
"""a ref's value is of one kind; a text that is a date has the instant too"""


class Anniversary(Struct, frozen=True):
    """The next yearly return of a date lies exactly `days` ahead, or with `within` at most so many."""

    days: int
    within: bool = False


def holds_relative_moment(operand: Any) -> bool:
    """Whether it is, or has in it, a span or a moment counted from now."""
    operands = operand if isinstance(operand, tuple) else (operand,)
    return any(isinstance(o, timedelta) or (isinstance(o, Moment) and o.is_relative) for o in operands)


def seconds(span: timedelta) -> Any:
    """A span as an Ibis interval, exact to the microsecond."""
    if span.microseconds:
        return ibis.interval(microseconds=span // TICK)
    return ibis.interval(seconds=int(span.total_seconds()))


def sure(expression: Any) -> Any:
    """Two-valued: unknown does not hold."""
    return expression.fill_null(False)


def later(instant: Any, now: Any) -> Any:
    """The instant if it lies after now, else NULL."""
    return ibis.cases((instant > now, instant), else_=ibis.null("timestamp"))


def never() -> Any:
    return ibis.literal(False)


def moment_column(moment: Moment, clock: Clock) -> Any:
    """The instant of a moment; NULL for a ref that is no instant."""
    if moment.at is not None:
        return ibis.literal(moment.at)
    if moment.ref:
        instant = clock.ref(moment.ref).instant
        return instant + seconds(moment.offset) if moment.offset else instant
    return clock.now + seconds(moment.offset) if moment.offset else clock.now


def equals(value: ComparedValue, operand: Any, clock: Clock) -> Any:
    """Equality within one JSON kind: the number 5 is not the text "5"."""
    if isinstance(operand, Ref):
        return _equals_ref(value, clock.ref(operand.path))
    column = _column(value, operand)
    return never() if column is None else sure(column == _literal(operand))


def _equals_ref(value: ComparedValue, ref: ComparedValue) -> Any:
    holds = never()
    for mine, theirs in ((value.number, ref.number), (value.text, ref.text), (value.boolean, ref.boolean)):
        if mine is not None:
            holds = holds | sure(mine == theirs)
    if value.instant is not None:
        holds = holds | sure((value.instant == ref.instant) & ref.text.isnull())
    return holds


def _column(value: ComparedValue, operand: Any) -> Any:
    match operand:
        case bool():
            return value.boolean
        case int() | float():
            return value.number
        case Moment():
            return value.instant
        case _:
            return value.text


def _literal(operand: Any) -> Any:
    if isinstance(operand, bool | str):
        return ibis.literal(operand)
    return ibis.literal(float(operand))


def one_of(value: ComparedValue, operands: tuple[Any, ...], clock: Clock) -> Any:
    holds = never()
    for operand in operands:
        if isinstance(operand, Ref | Moment):
            holds = holds | equal(value, operand, clock)
    for kind in (bool, str, float):
        same = [o for o in operands if (isinstance(o, bool) if kind is bool else _is_plain(o, kind))]
        column = _column(value, same[0]) if same else None
        if column is not None:
            holds = holds | sure(column.isin([float(o) if kind is float else o for o in same]))
    return holds


def _is_plain(operand: Any, kind: type) -> bool:
    return not isinstance(operand, bool) and isinstance(operand, str if kind is str else (int, float))


def compare(symbol: str) -> Callable[[ComparedValue, Any, Clock], Any]:
    passes = getattr(operator, _PYTHON_NAMES[symbol])

    def holds(value: ComparedValue, operand: Any, clock: Clock) -> Any:
        if isinstance(operand, Ref):
            return _compares_ref(passes, value, clock.ref(operand.path))
        column = _column(value, operand)
        if column is None:
            return never()
        other = moment_column(operand, clock) if isinstance(operand, Moment) else _literal(operand)
        return sure(passes(column, other))

    return holds


_PYTHON_NAMES = {"lt": "lt", "lte": "le", "gt": "gt", "gte": "ge", "eq": "eq"}


def _compares_ref(passes: Callable[[Any, Any], Any], value: ComparedValue, ref: ComparedValue) -> Any:
    """As with a literal: a text that is a date is compared as an instant only."""
    holds = never()
    if value.number is not None:
        holds = holds | sure(passes(value.number, ref.number))
    if value.instant is not None:
        holds = holds | sure(passes(value.instant, ref.instant))
    if value.text is not None:
        holds = holds | sure(passes(value.text, ref.text) & ref.instant.isnull())
    return holds


def equal(value: ComparedValue, operand: Any, clock: Clock) -> Any:
    return compare("eq")(value, operand, clock) if isinstance(operand, Moment) else equals(value, operand, clock)


def both_flips(value: ComparedValue, operand: Any, clock: Clock) -> list[Any]:
    """True for an instant only: the answer changes at it and just after."""
    return [*flip(False)(value, operand, clock), *flip(True)(value, operand, clock)]


def flip(late: bool) -> Callable[[ComparedValue, Any, Clock], list[Any]]:
    def flips(value: ComparedValue, operand: Any, clock: Clock) -> list[Any]:
        if not isinstance(operand, Moment) or not operand.is_relative or value.instant is None:
            return []
        return [value.instant - seconds(operand.offset - TICK if late else operand.offset)]

    return flips


def between(value: ComparedValue, operand: tuple[Any, Any], clock: Clock) -> Any:
    low, high = operand
    return compare("gte")(value, low, clock) & compare("lte")(value, high, clock)


def between_flips(value: ComparedValue, operand: tuple[Any, Any], clock: Clock) -> list[Any]:
    return flip(late=True)(value, operand[0], clock) + flip(late=False)(value, operand[1], clock)


def textual(method: str) -> Callable[[ComparedValue, Any, Clock], Any]:
    def holds(value: ComparedValue, operand: str | Ref, clock: Clock) -> Any:
        if value.text is None:
            return never()
        wanted = clock.ref(operand.path).text if isinstance(operand, Ref) else operand
        return sure(getattr(value.text, method)(wanted))

    return holds


def contains(value: ComparedValue, operand: str | Ref, clock: Clock) -> Any:
    """A part of the text, or an item of the list."""
    holds = textual("contains")(value, operand, clock)
    if value.items is None:
        return holds
    texts = value.items.cast("json").array.map(lambda item: item.str)
    wanted = clock.ref(operand.path).text if isinstance(operand, Ref) else operand
    return holds | sure(texts.contains(wanted))


def exists(value: ComparedValue, wanted: bool, clock: Clock) -> Any:
    present = never()
    # An instant read from a text exists only with the text, and reading it is expensive.
    instant = value.instant if value.text is None else None
    for column in (value.number, value.text, value.boolean, instant, value.items):
        if column is not None:
            present = present | column.notnull()
    return present if wanted else ~present


def within_last(value: ComparedValue, span: timedelta, clock: Clock) -> Any:
    if value.instant is None:
        return never()
    return sure((value.instant > clock.now - seconds(span)) & (value.instant <= clock.now))


def within_next(value: ComparedValue, span: timedelta, clock: Clock) -> Any:
    if value.instant is None:
        return never()
    return sure((value.instant > clock.now) & (value.instant <= clock.now + seconds(span)))


def older_than(value: ComparedValue, span: timedelta, clock: Clock) -> Any:
    return never() if value.instant is None else sure(value.instant <= clock.now - seconds(span))


def _return_of(date: Any, year: Any) -> Any:
    """The date's return in a year; 29 February falls on the 28th where there is no 29th."""
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    is_leap_day = (date.month() == 2) & (date.day() == 29)
    day = ibis.cases((is_leap_day & ~leap, ibis.literal(28)), else_=date.day().cast("int32"))
    return ibis.date(year.cast("int32"), date.month().cast("int32"), day.cast("int32"))


def _returns(value: ComparedValue, clock: Clock) -> list[Any]:
    year = clock.local_date.year()
    return [_return_of(value.date, year), _return_of(value.date, year + 1), _return_of(value.date, year + 2)]


def anniversary(value: ComparedValue, operand: Anniversary, clock: Clock) -> Any:
    if value.date is None or clock.local_date is None:
        return never()
    this_year, next_year, _ = _returns(value, clock)
    day = ibis.cases((this_year >= clock.local_date, this_year), else_=next_year)
    ahead = day.epoch_days() - clock.local_date.epoch_days()
    return sure(ahead <= operand.days if operand.within else ahead == operand.days)


def anniversary_flips(value: ComparedValue, operand: Anniversary, clock: Clock) -> list[Any]:
    if value.date is None or clock.local_date is None or clock.midnight is None:
        return []
    found = []
    for day in _returns(value, clock):
        found += [clock.midnight(day - ibis.interval(days=operand.days))]
        found += [
            clock.midnight((day if operand.within else day - ibis.interval(days=operand.days)) + ibis.interval(days=1))
        ]
    return found


def within_last_flips(value: ComparedValue, span: timedelta, clock: Clock) -> list[Any]:
    return [] if value.instant is None else [value.instant, value.instant + seconds(span)]


def within_next_flips(value: ComparedValue, span: timedelta, clock: Clock) -> list[Any]:
    return [] if value.instant is None else [value.instant - seconds(span), value.instant]


def older_than_flips(value: ComparedValue, span: timedelta, clock: Clock) -> list[Any]:
    return [] if value.instant is None else [value.instant + seconds(span)]
