"""A condition as a sentence in any language of the catalogues. Operators bring their own wording."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from typing import Any

from keepers.conditions import ast
from keepers.conditions.message_events import BY_PEOPLE, SUBSCRIBED
from keepers.conditions.operators import BY_NAME
from keepers.i18n.catalogues import TextId, gettext, ngettext, plural_id, text_id
from keepers.model.channels import SEEN_BY_MACHINES
from keepers.model.moments import Moment, format_duration, format_instant

_PHRASES: dict[str, TextId] = {
    "count.eq": plural_id("condition", "exactly {number} time", "exactly {number} times"),
    "count.gte": plural_id("condition", "at least {number} time", "at least {number} times"),
    "count.lte": plural_id("condition", "at most {number} time", "at most {number} times"),
    "count.gt": plural_id("condition", "more than {number} time", "more than {number} times"),
    "count.lt": plural_id("condition", "fewer than {number} time", "fewer than {number} times"),
    "count.between": plural_id("condition", "from {start} to {number} time", "from {start} to {number} times"),
    "and": text_id("condition", "{first} and {second}"),
    "or": text_id("condition", "{first} or {second}"),
    "not": text_id("condition", "not ({condition})"),
    "anyone": text_id("condition", "anyone"),
    "nobody": text_id("condition", "nobody"),
    "did": text_id("condition", "did {event}"),
    "first": text_id("condition", "first {event}"),
    "last": text_id("condition", "last {event}"),
    "where": text_id("condition", "{event} where {tests}"),
    "by_people": text_id("condition", "{event} (by people)"),
    "subscribed": text_id("condition", "subscribed to {channel}"),
    "some": text_id("condition", "some item of {list}: {tests}"),
    "sum": text_id("condition", "sum of {property}"),
    "avg": text_id("condition", "average {property}"),
    "min": text_id("condition", "least {property}"),
    "max": text_id("condition", "greatest {property}"),
    "distinct": text_id("condition", "distinct {property}"),
    "reporting": text_id("condition", "{property} (in the reporting currency)"),
    "within": text_id("condition", "{event} in the last {duration}"),
    "since": text_id("condition", "{event} since {moment}"),
    "until": text_id("condition", "{event} until {moment}"),
    "then": text_id("condition", "{before}, then {event}"),
    "then_not": text_id("condition", "{before}, then no {event}"),
    "span": text_id("condition", "{events} within {duration}"),
    "same": text_id("condition", "{events}, same {property}"),
    "segment": text_id("condition", "in segment {segment}"),
    "stage": text_id("condition", "in stage {stage}"),
    "lasting": text_id("condition", "{condition} for at least {duration}"),
    "account": text_id("condition", "member of an account: {condition}"),
    "sample": text_id("condition", "in the sample {start}–{end} %"),
    "count": text_id("condition", "number of times"),
    "figure": text_id("condition", "{event}, {figure}"),
}


def _phrase(phrase: str, locale: str, **parts: str) -> str:
    return gettext(_PHRASES[phrase], locale).format(**parts)


def _joined(parts: Iterable[str], locale: str, phrase: str = "and") -> str:
    return reduce(lambda first, second: _phrase(phrase, locale, first=first, second=second), parts)


def describe(condition: ast.Condition, locale: str = "en") -> str:
    """The condition as one sentence. Unknown locales get English."""
    match condition:
        case ast.Anyone():
            return _phrase("anyone", locale)
        case ast.AllOf(items) | ast.AnyOf(items):
            if not items:
                return _phrase("nobody", locale)
            parts = (f"({describe(i, locale)})" if _is_group(i) else describe(i, locale) for i in items)
            return _joined(parts, locale, "and" if isinstance(condition, ast.AllOf) else "or")
        case ast.Not(item):
            return _phrase("not", locale, condition=describe(item, locale))
        case ast.Trait(name, (ast.Comparison("eq", True),)) if name.startswith(SUBSCRIBED):
            channel, _, topic = name.removeprefix(SUBSCRIBED).partition(".")
            return _phrase("subscribed", locale, channel=f"{channel}: {topic}" if topic else channel)
        case ast.Trait(name, tests):
            return _joined((f"{name} {comparison_words(t, locale)}" for t in tests), locale)
        case ast.Did():
            return _did(condition, locale)
        case ast.Sequence():
            return _sequence(condition, locale)
        case ast.InSegment(segment, lasting):
            return _lasting(_phrase("segment", locale, segment=segment), lasting, locale)
        case ast.InStage(lifecycle, stage, lasting):
            return _lasting(_phrase("stage", locale, stage=f"{lifecycle}.{stage}"), lasting, locale)
        case ast.Account(inner):
            return _phrase("account", locale, condition=describe(inner, locale))
        case ast.Sample(_, start, end):
            return _phrase("sample", locale, start=f"{start * 100:g}", end=f"{end * 100:g}")


def comparison_words(test: ast.Comparison, locale: str = "en") -> str:
    """One comparison in words: `is at least 3`."""
    row = BY_NAME[test.op]
    words = row.operand.words or _operand
    parts = [words(o) for o in (test.operand if row.operand.is_pair else (test.operand,))]
    return gettext(row.words, locale).format(*parts)


def _is_group(condition: ast.Condition) -> bool:
    return isinstance(condition, ast.AllOf | ast.AnyOf) and len(condition.items) > 1


def _operand(operand: Any) -> str:
    match operand:
        case bool():
            return str(operand).lower()
        case float():
            return f"{operand:.15g}"
        case timedelta():
            return format_duration(operand)
        case Moment():
            return _moment(operand)
        case ast.Ref(path):
            return path
        case tuple():
            shown = ", ".join(_operand(o) for o in operand[:8])
            return shown if len(operand) <= 8 else f"{shown}, … ({len(operand)})"
        case _:
            return f"“{operand}”"


def _moment(moment: Moment) -> str:
    if moment.at is not None:
        return format_instant(moment.at)
    start = moment.ref or "now"
    if not moment.offset:
        return start
    return f"{start} {'−' if moment.offset < timedelta(0) else '+'} {format_duration(abs(moment.offset))}"


def _event(text: str, event: str, where: tuple[ast.PropertyTest, ...], locale: str) -> str:
    """The phrase about an event with its tests; the test for people is one word."""
    if event not in SEEN_BY_MACHINES or BY_PEOPLE not in where:
        return _where(text, where, locale)
    rest = tuple(test for test in where if test != BY_PEOPLE)
    return _where(_phrase("by_people", locale, event=text), rest, locale)


def _where(text: str, tests: tuple[ast.PropertyTest, ...], locale: str) -> str:
    if not tests:
        return text
    parts = []
    for test in tests:
        if test.some:
            inner = _joined((f"{t.path} {comparison_words(one, locale)}" for t in test.some for one in t.tests), locale)
            parts.append(_phrase("some", locale, list=test.path, tests=inner))
        else:
            path = _amount(test.path, isinstance(test, ast.ReportingTest), locale)
            parts += [f"{path} {comparison_words(one, locale)}" for one in test.tests]
    return _phrase("where", locale, event=text, tests=_joined(parts, locale))


def _window(text: str, window: ast.TimeWindow, locale: str) -> str:
    start, end = window.start, window.end
    if start is not None and end is None and start.is_relative:
        return _phrase("within", locale, event=text, duration=format_duration(-start.offset))
    if start is not None:
        text = _phrase("since", locale, event=text, moment=_moment(start))
    return text if end is None else _phrase("until", locale, event=text, moment=_moment(end))


def _did(leaf: ast.Did, locale: str) -> str:
    text = _event(_phrase(leaf.occurrence or "did", locale, event=leaf.event), leaf.event, leaf.where, locale)
    for aggregate in leaf.aggregates:
        text = _phrase("figure", locale, event=text, figure=_figure(aggregate, locale))
    return _window(text, leaf.window, locale)


def _figure(aggregate: ast.Aggregate, locale: str) -> str:
    """`at least 3 times`, `sum of total is more than 50`."""
    counts = [_times(test, locale) for test in aggregate.tests] if aggregate.function == "count" else [None]
    known = [count for count in counts if count is not None]
    if len(known) == len(counts):
        return _joined(known, locale)
    figure = _phrase(aggregate.function, locale, property=_amount(aggregate.of or "", aggregate.is_reporting, locale))
    return f"{figure} {_joined((comparison_words(t, locale) for t in aggregate.tests), locale)}"


def _amount(path: str, is_reporting: bool, locale: str) -> str:
    return _phrase("reporting", locale, property=path) if is_reporting else path


def _times(test: ast.Comparison, locale: str) -> str | None:
    """A count in the plural form of the number; None where it is no whole number or no plain comparison."""
    text = _PHRASES.get(f"count.{test.op}")
    start, number = test.operand if test.op == "between" else (None, test.operand)
    if text is None or isinstance(number, bool) or not isinstance(number, int | float) or number != int(number):
        return None
    return ngettext(text, int(number), locale).format(number=_operand(number), start=_operand(start))


def _sequence(leaf: ast.Sequence, locale: str) -> str:
    first = leaf.steps[0]
    text = _event(_phrase("did", locale, event=first.event), first.event, first.where, locale)
    for step in leaf.steps[1:]:
        phrase = "then_not" if step.negated else "then"
        text = _event(_phrase(phrase, locale, before=text, event=step.event), step.event, step.where, locale)
        if step.within is not None:
            text = _phrase("span", locale, events=text, duration=format_duration(step.within))
    if leaf.same:
        text = _phrase("same", locale, events=text, property=leaf.same)
    return _window(text, leaf.window, locale)


def _lasting(text: str, lasting: timedelta, locale: str) -> str:
    return _phrase("lasting", locale, condition=text, duration=format_duration(lasting)) if lasting else text
