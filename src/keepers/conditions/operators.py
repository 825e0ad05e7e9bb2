"""The comparison operators: one row each, used by the parser, the query, the reference and the wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from keepers.conditions import comparisons as c
from keepers.conditions.ast import Comparison
from keepers.conditions.comparisons import Clock, ComparedValue
from keepers.conditions.parsing import operands as kinds
from keepers.conditions.parsing.operands import OperandKind
from keepers.i18n.catalogues import TextId, text_id


def no_flips(value: ComparedValue, operand: Any, clock: Clock) -> list[Any]:
    return []


class Operator(Struct, frozen=True):
    """`holds` never gives NULL; `flips` are the instants at which it may change with no new event."""

    id: str
    aliases: tuple[str, ...]
    operand: OperandKind
    doc: str
    words: TextId
    """with the operand as {0}, the second of a pair as {1}"""
    holds: Callable[[ComparedValue, Any, Clock], Any]
    flips: Callable[[ComparedValue, Any, Clock], list[Any]] = no_flips
    is_relative: Callable[[Any], bool] = c.holds_relative_moment
    """operand → whether the answer may change as time passes, with no new event"""
    uses_local_date: bool = False
    """whether it needs `Clock.local_date`, and changes with the customer's zone"""
    negates: str = ""
    """the operator it negates: on a list, no item passes that one"""
    asks_presence: bool = False
    """whether it tests the presence of a value: on a list, of any item"""
    of_item: str = ""
    """the operator that tests one item where this one tests a list"""
    passes_zero: Callable[[Any], bool] = lambda operand: True
    """operand → whether a count of none can pass"""


OPERATORS: tuple[Operator, ...] = (
    Operator(
        "eq",
        ("=", "==", "is", "equals"),
        kinds.SCALAR,
        "Equal to the value, within one JSON kind (the number 5 is not the text “5”); text is compared "
        "NFC-normalised and case-sensitively.",
        text_id("operator", "is {0}"),
        c.equal,
        c.both_flips,
        passes_zero=lambda operand: operand == 0,
    ),
    Operator(
        "ne",
        ("!=", "≠", "<>", "is_not"),
        kinds.SCALAR,
        "Not equal to the value. An absent value is not equal, so it holds.",
        text_id("operator", "is not {0}"),
        lambda v, o, k: ~c.equal(v, o, k),
        c.both_flips,
        negates="eq",
    ),
    Operator(
        "lt",
        ("<", "less_than"),
        kinds.ORDERED,
        "Less than a number, before a moment, or before a text in code-point order.",
        text_id("operator", "is less than {0}"),
        c.compare("lt"),
        c.flip(late=True),
    ),
    Operator(
        "lte",
        ("<=", "≤", "at_most"),
        kinds.ORDERED,
        "At most the number, moment or text.",
        text_id("operator", "is at most {0}"),
        c.compare("lte"),
        c.flip(late=False),
    ),
    Operator(
        "gt",
        (">", "more_than"),
        kinds.ORDERED,
        "More than a number, after a moment, or after a text in code-point order.",
        text_id("operator", "is more than {0}"),
        c.compare("gt"),
        c.flip(late=False),
        passes_zero=lambda operand: operand < 0,
    ),
    Operator(
        "gte",
        (">=", "≥", "at_least"),
        kinds.ORDERED,
        "At least the number, moment or text.",
        text_id("operator", "is at least {0}"),
        c.compare("gte"),
        c.flip(late=True),
        passes_zero=lambda operand: operand <= 0,
    ),
    Operator(
        "between",
        (),
        kinds.PAIR,
        "From the first to the second of two numbers, moments or texts, both included.",
        text_id("operator", "is between {0} and {1}"),
        c.between,
        c.between_flips,
        passes_zero=lambda operand: operand[0] <= 0,
    ),
    Operator(
        "in",
        ("one_of",),
        kinds.LIST,
        "Equal to one of the values.",
        text_id("operator", "is one of {0}"),
        c.one_of,
    ),
    Operator(
        "not_in",
        ("none_of",),
        kinds.LIST,
        "Equal to none of the values. An absent value is equal to none, so it holds.",
        text_id("operator", "is none of {0}"),
        lambda v, o, k: ~c.one_of(v, o, k),
        negates="in",
    ),
    Operator(
        "contains",
        (),
        kinds.TEXT,
        "The text has this piece in it, or the list has this item.",
        text_id("operator", "contains {0}"),
        c.contains,
        of_item="eq",
    ),
    Operator(
        "not_contains",
        (),
        kinds.TEXT,
        "The text does not have this piece in it, nor the list this item.",
        text_id("operator", "does not contain {0}"),
        lambda v, o, k: ~c.contains(v, o, k),
        negates="contains",
    ),
    Operator(
        "starts_with",
        (),
        kinds.TEXT,
        "The text begins with this.",
        text_id("operator", "starts with {0}"),
        c.textual("startswith"),
    ),
    Operator(
        "ends_with",
        (),
        kinds.TEXT,
        "The text ends with this.",
        text_id("operator", "ends with {0}"),
        c.textual("endswith"),
    ),
    Operator(
        "matches",
        ("regex",),
        kinds.PATTERN,
        "The RE2 pattern is found somewhere in the text; anchor it with ^ and $ for the whole.",
        text_id("operator", "matches {0}"),
        c.textual("re_search"),
    ),
    Operator(
        "exists",
        (),
        kinds.FLAG,
        "true: there is a value, of any kind; false: there is none.",
        text_id("operator", "is present: {0}"),
        c.exists,
        asks_presence=True,
    ),
    Operator(
        "before",
        (),
        kinds.MOMENT,
        "The date is before a moment: ISO 8601, `now`, `30d ago`, `+7d`.",
        text_id("operator", "is before {0}"),
        c.compare("lt"),
        c.flip(late=True),
    ),
    Operator(
        "after",
        (),
        kinds.MOMENT,
        "The date is after a moment: ISO 8601, `now`, `30d ago`, `+7d`.",
        text_id("operator", "is after {0}"),
        c.compare("gt"),
        c.flip(late=False),
    ),
    Operator(
        "within_last",
        (),
        kinds.SPAN,
        "The date is in (now − span, now].",
        text_id("operator", "was within the last {0}"),
        c.within_last,
        c.within_last_flips,
    ),
    Operator(
        "within_next",
        (),
        kinds.SPAN,
        "The date is in (now, now + span].",
        text_id("operator", "is within the next {0}"),
        c.within_next,
        c.within_next_flips,
    ),
    Operator(
        "older_than",
        (),
        kinds.SPAN,
        "The date is the span, or more, in the past.",
        text_id("operator", "is {0} ago or more"),
        c.older_than,
        c.older_than_flips,
    ),
    Operator(
        "anniversary",
        (),
        kinds.ANNIVERSARY,
        "The date's next yearly return, in the customer's zone: {in: 7d} exactly seven days ahead, {within: 7d} "
        "at most seven. 29 February returns on the 28th in years without one.",
        text_id("operator", "has its anniversary {0}"),
        c.anniversary,
        c.anniversary_flips,
        is_relative=lambda operand: True,
        uses_local_date=True,
    ),
)

_by_name: dict[str, Operator] = {}
BY_NAME: Mapping[str, Operator] = MappingProxyType(_by_name)
"""id or alias → the operator"""


def register(row: Operator) -> None:
    """Adds an operator, as the module of a plug-in does. Raises ValueError for a name that is taken."""
    names = (row.id, *row.aliases)
    if taken := [name for name in names if name in _by_name]:
        raise ValueError(f"there is already an operator “{taken[0]}”")
    _by_name.update(dict.fromkeys(names, row))


def unregister(row: Operator) -> None:
    """Takes out what `register` added: for tests of plug-ins, and before a changed one is registered again.

    Raises KeyError for one that is not registered.
    """
    for name in (row.id, *row.aliases):
        del _by_name[name]


for _row in OPERATORS:
    register(_row)


def is_relative(test: Comparison) -> bool:
    """Whether its answer may change as time passes, with no new event."""
    return BY_NAME[test.op].is_relative(test.operand)
