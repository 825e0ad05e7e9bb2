"""Conditions of every kind as strategies, on the grid of time of the worlds; each shrinks to its first form."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

EVENTS = ("Order Completed", "Заказ", "view")
CANCEL = "Order Cancelled"
TEXTS = ("a", "b", "abc", "Zebra", "é", "")
NUMBERS = (0, 5, 10, 10.5, -3, 300)
DAYS = (
    "2026-03-28",
    "1992-02-29",
    "1990-04-02",
    "2025-03-30",
    "2026-03-29T12:00:00Z",
    "2026-03-28 06:00",
    "2024-12-31",
)
SPANS = ("6h", "12h", "1d", "36h", "2d", "5d")
RELATIVE = ("now", "6h ago", "1d ago", "36h ago", "+1d", "+12h")
ABSOLUTE = ("2026-03-27T12:00:00Z", "2026-03-28", "2026-03-29T06:00:00Z", "2026-03-30")
numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS)
written = st.sampled_from(TEXTS[:-1])
days = st.sampled_from(DAYS)
spans = st.sampled_from(SPANS)
clocks = st.sampled_from((*RELATIVE, *ABSOLUTE))
ranges = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


@st.composite
def choice(draw: st.DrawFn, *options: Strategy) -> Any:
    """One of these, all equally likely: `st.one_of` counts the branches of each and drops what is repeated."""
    return draw(options[draw(st.integers(0, len(options) - 1))])


def one(name: str, held: Strategy) -> Strategy:
    """A mapping of one name."""
    return held.map(lambda value: {name: value})


def of(*forms: Any) -> Strategy:
    """One of these very values."""
    return st.sampled_from(forms)


def each(held: Strategy, *names: str) -> list[Strategy]:
    return [one(name, held) for name in names]


exists = of({"exists": True}, {"exists": False})
by_number = choice(
    *each(numbers, "eq", "ne", "lt", "lte", "gt", "gte"),
    *each(ranges, "between", "in"),
    st.tuples(numbers, numbers).map(lambda pair: {"not_in": list(pair)}),
    ranges.map(lambda pair: {"gte": pair[0], "lt": pair[1]}),
)
by_text = choice(
    *each(written, "eq", "ne", "contains", "not_contains", "starts_with", "ends_with", "lte", "gte"),
    one("in", written.map(lambda text: [text, "a", 5])),
    one("not_in", written.map(lambda text: [text, "vip"])),
    of({"matches": "^[a-b]+$"}, {"lt": "b"}, {"gt": "a"}, {"between": ["a", "b"]}),
    of({"eq": True}, {"ne": False}),
)
by_date = choice(
    *each(clocks, "before", "after", "lte", "gte", "lt", "gt"),
    *each(spans, "within_last", "within_next", "older_than"),
    of({"between": ["1d ago", "now"]}, {"between": ["2026-03-28", "2026-03-29T12:00:00Z"]}),
)
anniversary = choice(*each(of("0d", "1d", "3d", "365d"), "in", "within")).map(lambda which: {"anniversary": which})
_KINDS = {
    "number": by_number,
    "text": by_text,
    "date": by_date,
    "trait_date": choice(by_date, by_date, anniversary),
    "exists": exists,
}


@cache
def comparison(kind: str) -> Strategy:
    """Comparisons for one property or trait, with every operator."""
    if kind == "any":
        return choice(*(comparison(one_kind) for one_kind in ("number", "text", "date", "exists")))
    return choice(*[_KINDS[kind]] * 9, exists)


@cache
def where(clock: bool = True) -> Strategy:
    """Tests on one or two properties; without `clock` none that change their answer by themselves."""
    fields = st.fixed_dictionaries(
        {},
        optional={"price": comparison("number"), "sku": comparison("text")},
    ).filter(bool)
    when = choice(comparison("date"), comparison("any")) if clock else comparison("number")
    tests = (
        one("total", comparison("number")),
        one("category", choice(comparison("text"), of(["a", "b"], "abc"))),
        one("when", when),
        one("order.id", of("x", {"ne": "x"}, {"exists": True}, {"exists": False})),
        one("tags", _TAGS),
        one("products", one("some", fields)),
        one("products", one("some", one("price", exists))),
        one("products", one("some", one("nothing", choice(comparison("number"), exists)))),
    )
    test = choice(*tests)
    return choice(test, test, st.tuples(test, test).map(lambda pair: pair[0] | pair[1]))


_TAGS = of(
    "vip", {"contains": "vip"}, {"not_contains": "vip"}, {"ne": "new"}, {"exists": True}, {"in": ["vip", 5]},
    {"not_in": ["vip"]}, {"exists": False}, {"gt": 4},
)  # fmt: skip
window = choice(
    st.just({}),
    *[one("within", spans)] * 2,
    one("since", of(*ABSOLUTE, "1d ago")),
    of("now", "1d ago", "6h ago").map(lambda end: {"between": ["2d ago", end]}),
    of(
        {"between": ["2026-03-27T12:00:00Z", "2026-03-29T06:00:00Z"]},
        {"between": ["2026-03-27T12:00:00Z", "12h ago"]},
        {"between": ["2d ago", "2026-03-29"]},
        {"ever": True},
    ),
)


def _figure(function: str) -> Strategy:
    return one(function, by_number.map(lambda tests: {"of": "total", **tests}))


figures = choice(
    *[one("count", of(1, 2, {"gte": 2}, {"lt": 2}, {"between": [1, 2]}, {"eq": 0}, {"in": [1, 3]}, {"ne": 1}))] * 2,
    *(_figure(function) for function in ("sum", "avg", "min", "max")),
    one("distinct", st.integers(0, 2).map(lambda n: {"of": "category", "gte": n})),
    one("distinct", st.integers(0, 2).map(lambda n: {"of": "order.id", "eq": n})),
    st.just({"count": {"gte": 1}, "sum": {"of": "total", "gte": 5}}),
)
_none = st.just({})


@cache
def did(names: tuple[str, ...] = EVENTS) -> Strategy:
    head = choice(*[one("did", of(*names, "never seen"))] * 2, one("did_not", of(*names, "never seen")))
    more = choice(_none, _none, *[figures] * 3, one("first", st.just(True)), one("last", st.just(True)))
    tests = choice(_none, one("where", where()))
    return st.tuples(head, window, tests, more).map(lambda parts: parts[0] | parts[1] | parts[2] | parts[3])


@cache
def sequence(names: tuple[str, ...] = EVENTS) -> Strategy:
    tests = choice(_none, _none, _none, one("where", where()))
    start = st.tuples(one("did", of(*names)), tests)
    soon = choice(_none, *[one("within", spans)] * 2)
    following = st.tuples(one("did", of(*names)), soon, tests)
    last = st.tuples(choice(*each(of(*names), "did", "did", "did_not")), soon, tests)
    between = choice(st.just([]), st.just([]), following.map(lambda step: [step]))

    def joined(parts: Any) -> dict[str, Any]:
        first, middle, end, over, same = parts
        return {"sequence": [_merged(step) for step in (first, *middle, end)], **over, **same}

    return st.tuples(start, between, last, window, of({}, {}, {"same": "order.id"})).map(joined)


def _merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        found |= part
    return found


def _trait(names: Strategy, tests: Strategy) -> Strategy:
    return st.tuples(one("trait", names), tests).map(_merged)


trait = choice(
    _trait(of("plan", "birthday", "nothing"), comparison("any")),
    _trait(st.just("plan"), comparison("any")),
    _trait(st.just("birthday"), comparison("trait_date")),
    _trait(st.just("score"), comparison("number")),
    _trait(
        st.just("interests"), of({"contains": "vip"}, {"not_contains": "golf"}, {"exists": True}, {"exists": False})
    ),
)


@cache
def leaf(names: tuple[str, ...] = EVENTS) -> Strategy:
    others = of("anyone", "nobody", {"sample": "50%", "salt": "s"}, {"sample": [0.25, 0.75]})
    return choice(*[did(names)] * 10, *[trait] * 5, *[sequence(names)] * 4, others)


@cache
def condition(names: tuple[str, ...] = EVENTS) -> Strategy:
    """Mostly one leaf, so that a difference is seen; some under `not`, some grouped."""
    inner = leaf(names)
    negated = one("not", inner)
    pair = st.tuples(inner, choice(inner, negated)).map(list)
    return choice(*[inner] * 5, negated, negated, *each(pair, "all", "any"))
