"""The comparison operators: one row each, read by the parser, the query, the docs and the sentence on screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from keepers.conditions import comparisons as c
from keepers.conditions.comparisons import Clock, ComparedValue

Operand = Literal["scalar", "list", "ordered", "pair", "text", "pattern", "flag", "moment", "span", "anniversary"]


def no_flips(value: ComparedValue, operand: Any, clock: Clock) -> list[Any]:
    return []


class Operator(Struct, frozen=True):
    """`holds` never gives NULL; `flips` are the instants at which it may change with no new event."""

    id: str
    aliases: tuple[str, ...]
    operand: Operand
    doc: str
    words: dict[str, str]
    holds: Callable[[ComparedValue, Any, Clock], Any]
    flips: Callable[[ComparedValue, Any, Clock], list[Any]] = no_flips


def _words(en: str, ru: str, pl: str, zh: str, it: str) -> dict[str, str]:
    return {"en": en, "ru": ru, "pl": pl, "zh": zh, "it": it}


OPERATORS: tuple[Operator, ...] = (
    Operator(
        "eq",
        ("=", "==", "is", "equals"),
        "scalar",
        "Equal to the value, within one JSON kind (the number 5 is not the text “5”); text is compared "
        "NFC-normalised and case-sensitively.",
        _words("is {0}", "равно {0}", "jest równe {0}", "等于 {0}", "è {0}"),
        c.equal,
        c.both_flips,
    ),
    Operator(
        "ne",
        ("!=", "≠", "<>", "is_not"),
        "scalar",
        "Not equal to the value. An absent value is not equal, so it holds.",
        _words("is not {0}", "не равно {0}", "nie jest równe {0}", "不等于 {0}", "non è {0}"),
        lambda v, o, k: ~c.equal(v, o, k),
        c.both_flips,
    ),
    Operator(
        "lt",
        ("<", "less_than"),
        "ordered",
        "Less than a number, before a moment, or before a text in code-point order.",
        _words("is less than {0}", "меньше {0}", "jest mniejsze niż {0}", "小于 {0}", "è minore di {0}"),
        c.compare("lt"),
        c.flip(late=True),
    ),
    Operator(
        "lte",
        ("<=", "≤", "at_most"),
        "ordered",
        "At most the number, moment or text.",
        _words("is at most {0}", "не больше {0}", "jest najwyżej {0}", "不大于 {0}", "è al massimo {0}"),
        c.compare("lte"),
        c.flip(late=False),
    ),
    Operator(
        "gt",
        (">", "more_than"),
        "ordered",
        "More than a number, after a moment, or after a text in code-point order.",
        _words("is more than {0}", "больше {0}", "jest większe niż {0}", "大于 {0}", "è maggiore di {0}"),
        c.compare("gt"),
        c.flip(late=False),
    ),
    Operator(
        "gte",
        (">=", "≥", "at_least"),
        "ordered",
        "At least the number, moment or text.",
        _words("is at least {0}", "не меньше {0}", "jest co najmniej {0}", "不小于 {0}", "è almeno {0}"),
        c.compare("gte"),
        c.flip(late=True),
    ),
    Operator(
        "between",
        (),
        "pair",
        "From the first to the second of two numbers, moments or texts, both included.",
        _words(
            "is between {0} and {1}",
            "от {0} до {1}",
            "jest między {0} a {1}",
            "介于 {0} 与 {1} 之间",
            "è tra {0} e {1}",
        ),
        c.between,
        c.between_flips,
    ),
    Operator(
        "in",
        ("one_of",),
        "list",
        "Equal to one of the values.",
        _words("is one of {0}", "одно из {0}", "jest jednym z {0}", "属于 {0}", "è uno di {0}"),
        c.one_of,
    ),
    Operator(
        "not_in",
        ("none_of",),
        "list",
        "Equal to none of the values. An absent value is equal to none, so it holds.",
        _words("is none of {0}", "ни одно из {0}", "nie jest żadnym z {0}", "不属于 {0}", "non è nessuno di {0}"),
        lambda v, o, k: ~c.one_of(v, o, k),
    ),
    Operator(
        "contains",
        (),
        "text",
        "The text has this piece in it, or the list has this item.",
        _words("contains {0}", "содержит {0}", "zawiera {0}", "包含 {0}", "contiene {0}"),
        c.contains,
    ),
    Operator(
        "not_contains",
        (),
        "text",
        "The text does not have this piece in it, nor the list this item.",
        _words("does not contain {0}", "не содержит {0}", "nie zawiera {0}", "不包含 {0}", "non contiene {0}"),
        lambda v, o, k: ~c.contains(v, o, k),
    ),
    Operator(
        "starts_with",
        (),
        "text",
        "The text begins with this.",
        _words("starts with {0}", "начинается с {0}", "zaczyna się od {0}", "以 {0} 开头", "inizia con {0}"),
        c.textual("startswith"),
    ),
    Operator(
        "ends_with",
        (),
        "text",
        "The text ends with this.",
        _words("ends with {0}", "заканчивается на {0}", "kończy się na {0}", "以 {0} 结尾", "finisce con {0}"),
        c.textual("endswith"),
    ),
    Operator(
        "matches",
        ("regex",),
        "pattern",
        "The RE2 pattern is found somewhere in the text; anchor it with ^ and $ for the whole.",
        _words("matches {0}", "соответствует {0}", "pasuje do {0}", "匹配 {0}", "corrisponde a {0}"),
        c.textual("re_search"),
    ),
    Operator(
        "exists",
        (),
        "flag",
        "true: there is a value, of any kind; false: there is none.",
        _words("is present: {0}", "указано: {0}", "jest podane: {0}", "存在：{0}", "è presente: {0}"),
        c.exists,
    ),
    Operator(
        "before",
        (),
        "moment",
        "The date lies before a moment: ISO 8601, `now`, `30d ago`, `+7d`.",
        _words("is before {0}", "раньше {0}", "jest przed {0}", "早于 {0}", "è prima di {0}"),
        c.compare("lt"),
        c.flip(late=True),
    ),
    Operator(
        "after",
        (),
        "moment",
        "The date lies after a moment: ISO 8601, `now`, `30d ago`, `+7d`.",
        _words("is after {0}", "позже {0}", "jest po {0}", "晚于 {0}", "è dopo {0}"),
        c.compare("gt"),
        c.flip(late=False),
    ),
    Operator(
        "within_last",
        (),
        "span",
        "The date lies in (now − span, now].",
        _words(
            "was within the last {0}",
            "за последние {0}",
            "w ciągu ostatnich {0}",
            "在过去 {0} 内",
            "negli ultimi {0}",
        ),
        c.within_last,
        c.within_last_flips,
    ),
    Operator(
        "within_next",
        (),
        "span",
        "The date lies in (now, now + span].",
        _words(
            "is within the next {0}",
            "в ближайшие {0}",
            "w ciągu najbliższych {0}",
            "在未来 {0} 内",
            "nei prossimi {0}",
        ),
        c.within_next,
        c.within_next_flips,
    ),
    Operator(
        "older_than",
        (),
        "span",
        "The date is the span, or more, in the past.",
        _words(
            "is {0} ago or more",
            "{0} назад или раньше",
            "co najmniej {0} temu",
            "在 {0} 前或更早",
            "da almeno {0}",
        ),
        c.older_than,
        c.older_than_flips,
    ),
    Operator(
        "anniversary",
        (),
        "anniversary",
        "The date's next yearly return, in the customer's zone: {in: 7d} exactly seven days ahead, {within: 7d} "
        "at most seven. 29 February returns on the 28th in years without one.",
        _words("has its anniversary {0}", "годовщина {0}", "ma rocznicę {0}", "周年日 {0}", "ricorre {0}"),
        c.anniversary,
        c.anniversary_flips,
    ),
)

BY_NAME: dict[str, Operator] = {name: row for row in OPERATORS for name in (row.id, *row.aliases)}
