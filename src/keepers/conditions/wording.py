"""A condition as a sentence, in every language of the interface. Operators bring their own words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from keepers.conditions import ast
from keepers.conditions.comparisons import Anniversary
from keepers.conditions.message_events import BY_PEOPLE, SEEN_BY_MACHINES, SUBSCRIBED
from keepers.conditions.operators import BY_NAME
from keepers.model.moments import Moment, format_duration, format_instant

_PHRASES: dict[str, dict[str, str]] = {
    "and": {"en": " and ", "ru": " и ", "pl": " i ", "zh": " 且 ", "it": " e "},
    "or": {"en": " or ", "ru": " или ", "pl": " lub ", "zh": " 或 ", "it": " o "},
    "not": {"en": "not ({0})", "ru": "не ({0})", "pl": "nie ({0})", "zh": "非（{0}）", "it": "non ({0})"},
    "anyone": {"en": "anyone", "ru": "любой", "pl": "każdy", "zh": "任何人", "it": "chiunque"},
    "nobody": {"en": "nobody", "ru": "никто", "pl": "nikt", "zh": "无人", "it": "nessuno"},
    "did": {"en": "did {0}", "ru": "было {0}", "pl": "było {0}", "zh": "发生过 {0}", "it": "ha fatto {0}"},
    "first": {"en": "first {0}", "ru": "первое {0}", "pl": "pierwsze {0}", "zh": "首次 {0}", "it": "primo {0}"},
    "last": {"en": "last {0}", "ru": "последнее {0}", "pl": "ostatnie {0}", "zh": "最近一次 {0}", "it": "ultimo {0}"},
    "where": {"en": " where {0}", "ru": ", где {0}", "pl": ", gdzie {0}", "zh": "，其中 {0}", "it": " dove {0}"},
    "by_people": {
        "en": " (by people)",
        "ru": " (людьми)",
        "pl": " (przez ludzi)",
        "zh": "（由真人）",
        "it": " (da persone)",
    },
    "subscribed": {
        "en": "subscribed to {0}",
        "ru": "есть подписка: {0}",
        "pl": "subskrybuje {0}",
        "zh": "已订阅 {0}",
        "it": "iscritto a {0}",
    },
    "some": {
        "en": "some item of {0}: {1}",
        "ru": "элемент {0}: {1}",
        "pl": "element {0}: {1}",
        "zh": "{0} 中某项：{1}",
        "it": "un elemento di {0}: {1}",
    },
    "count": {"en": "times", "ru": "раз", "pl": "razy", "zh": "次数", "it": "volte"},
    "sum": {"en": "sum of {0}", "ru": "сумма {0}", "pl": "suma {0}", "zh": "{0} 之和", "it": "somma di {0}"},
    "avg": {"en": "average {0}", "ru": "среднее {0}", "pl": "średnia {0}", "zh": "{0} 平均", "it": "media di {0}"},
    "min": {"en": "least {0}", "ru": "минимум {0}", "pl": "minimum {0}", "zh": "{0} 最小", "it": "minimo di {0}"},
    "max": {"en": "greatest {0}", "ru": "максимум {0}", "pl": "maksimum {0}", "zh": "{0} 最大", "it": "massimo di {0}"},
    "distinct": {
        "en": "distinct {0}",
        "ru": "разных {0}",
        "pl": "różnych {0}",
        "zh": "{0} 种数",
        "it": "{0} distinti",
    },
    "within": {
        "en": " in the last {0}",
        "ru": " за {0}",
        "pl": " w ciągu {0}",
        "zh": "（近 {0}）",
        "it": " negli ultimi {0}",
    },
    "since": {"en": " since {0}", "ru": " с {0}", "pl": " od {0}", "zh": "（自 {0}）", "it": " dal {0}"},
    "until": {"en": " until {0}", "ru": " до {0}", "pl": " do {0}", "zh": "（至 {0}）", "it": " fino a {0}"},
    "then": {"en": ", then {0}", "ru": ", затем {0}", "pl": ", potem {0}", "zh": "，然后 {0}", "it": ", poi {0}"},
    "then_not": {
        "en": ", then no {0}",
        "ru": ", затем не было {0}",
        "pl": ", potem bez {0}",
        "zh": "，然后没有 {0}",
        "it": ", poi nessun {0}",
    },
    "span": {"en": " within {0}", "ru": " в течение {0}", "pl": " w ciągu {0}", "zh": "（{0} 内）", "it": " entro {0}"},
    "same": {"en": ", same {0}", "ru": ", тот же {0}", "pl": ", to samo {0}", "zh": "，相同 {0}", "it": ", stesso {0}"},
    "segment": {
        "en": "in segment {0}",
        "ru": "в сегменте {0}",
        "pl": "w segmencie {0}",
        "zh": "在分群 {0} 中",
        "it": "nel segmento {0}",
    },
    "stage": {
        "en": "in stage {0}",
        "ru": "на этапе {0}",
        "pl": "na etapie {0}",
        "zh": "处于阶段 {0}",
        "it": "nella fase {0}",
    },
    "lasting": {
        "en": " for at least {0}",
        "ru": " не менее {0}",
        "pl": " od co najmniej {0}",
        "zh": "至少 {0}",
        "it": " da almeno {0}",
    },
    "account": {
        "en": "member of an account: {0}",
        "ru": "участник компании: {0}",
        "pl": "członek firmy: {0}",
        "zh": "所属客户单位：{0}",
        "it": "membro di un’azienda: {0}",
    },
    "sample": {
        "en": "in the sample {0}–{1} %",
        "ru": "в выборке {0}–{1} %",
        "pl": "w próbie {0}–{1} %",
        "zh": "在样本 {0}–{1} % 中",
        "it": "nel campione {0}–{1} %",
    },
}


def _say(phrase: str, locale: str, *parts: str) -> str:
    words = _PHRASES[phrase]
    return words.get(locale, words["en"]).format(*parts)


def describe(condition: ast.Condition, locale: str = "en") -> str:
    """The condition as one sentence. Unknown locales read English."""
    match condition:
        case ast.Anyone():
            return _say("anyone", locale)
        case ast.AllOf(items) | ast.AnyOf(items):
            if not items:
                return _say("nobody", locale)
            joiner = _say("and" if isinstance(condition, ast.AllOf) else "or", locale)
            return joiner.join(f"({describe(i, locale)})" if _is_group(i) else describe(i, locale) for i in items)
        case ast.Not(item):
            return _say("not", locale, describe(item, locale))
        case ast.Trait(name, (ast.Comparison("eq", True),)) if name.startswith(SUBSCRIBED):
            channel, _, topic = name.removeprefix(SUBSCRIBED).partition(".")
            return _say("subscribed", locale, f"{channel}: {topic}" if topic else channel)
        case ast.Trait(name, tests):
            return _say("and", locale).join(f"{name} {comparison_words(t, locale)}" for t in tests)
        case ast.Did():
            return _did(condition, locale)
        case ast.Sequence():
            return _sequence(condition, locale)
        case ast.InSegment(segment, lasting):
            return _say("segment", locale, segment) + _lasting(lasting, locale)
        case ast.InStage(lifecycle, stage, lasting):
            return _say("stage", locale, f"{lifecycle}.{stage}") + _lasting(lasting, locale)
        case ast.Account(inner):
            return _say("account", locale, describe(inner, locale))
        case ast.Sample(_, start, end):
            return _say("sample", locale, f"{start * 100:g}", f"{end * 100:g}")


def comparison_words(test: ast.Comparison, locale: str = "en") -> str:
    """One comparison in words: `is at least 3`."""
    row = BY_NAME[test.op]
    operand = test.operand
    parts = [_operand(o) for o in operand] if row.operand == "pair" else [_operand(operand)]
    return row.words.get(locale, row.words["en"]).format(*parts)


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
        case Anniversary(days, within):
            return f"{'≤ ' if within else '+'}{days}d"
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


def _event(phrase: str, event: str, where: tuple[ast.PropertyTest, ...], locale: str) -> str:
    """The event with its tests; that people did it is said in a word."""
    if event not in SEEN_BY_MACHINES or BY_PEOPLE not in where:
        return _say(phrase, locale, event) + _where(where, locale)
    rest = tuple(test for test in where if test != BY_PEOPLE)
    return _say(phrase, locale, event) + _say("by_people", locale) + _where(rest, locale)


def _where(tests: tuple[ast.PropertyTest, ...], locale: str) -> str:
    if not tests:
        return ""
    parts = []
    for test in tests:
        if test.some:
            inner = _say("and", locale).join(
                f"{t.path} {comparison_words(one, locale)}" for t in test.some for one in t.tests
            )
            parts.append(_say("some", locale, test.path, inner))
        else:
            parts += [f"{test.path} {comparison_words(one, locale)}" for one in test.tests]
    return _say("where", locale, _say("and", locale).join(parts))


def _window(window: ast.TimeWindow, locale: str) -> str:
    start, end = window.start, window.end
    if start is not None and end is None and start.is_relative:
        return _say("within", locale, format_duration(-start.offset))
    said = _say("since", locale, _moment(start)) if start is not None else ""
    return said + (_say("until", locale, _moment(end)) if end is not None else "")


def _did(leaf: ast.Did, locale: str) -> str:
    said = _event(leaf.occurrence or "did", leaf.event, leaf.where, locale)
    for aggregate in leaf.aggregates:
        figure = _say(aggregate.function, locale, aggregate.of or "")
        said += f", {figure} " + _say("and", locale).join(comparison_words(t, locale) for t in aggregate.tests)
    return said + _window(leaf.window, locale)


def _sequence(leaf: ast.Sequence, locale: str) -> str:
    said = _event("did", leaf.steps[0].event, leaf.steps[0].where, locale)
    for step in leaf.steps[1:]:
        said += _event("then_not" if step.negated else "then", step.event, step.where, locale)
        said += _say("span", locale, format_duration(step.within)) if step.within is not None else ""
    said += _say("same", locale, leaf.same) if leaf.same else ""
    return said + _window(leaf.window, locale)


def _lasting(lasting: timedelta, locale: str) -> str:
    return _say("lasting", locale, format_duration(lasting)) if lasting else ""
