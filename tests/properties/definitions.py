"""Playbooks in small: words, segments that ask about each other, a lifecycle, accounts, rhythm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from keepers.conditions.definitions import DerivedEvent
from keepers.conditions.parsing.definitions import parse_derived, parse_lifecycle, parse_segment
from keepers.evaluation.active_queries import Definitions
from keepers.scores.registry import configured_scores
from keepers.scores.rhythm import Fit, Rhythm
from properties.generate import EVENTS, Strategy, choice, condition, did, of, one, spans, trait, where

FIT = Fit(typical_gap=timedelta(days=1), longest_gap=timedelta(days=2))
RHYTHM = Rhythm(least=timedelta(hours=12), most=timedelta(days=3))
WORDS = ("purchase", "interest")
_PURCHASE = {
    "id": "purchase",
    "from": "Order Completed",
    "unless": {"did": ["Order Cancelled", "Order Refunded"], "same": "order.id"},
    "value": {"of": "total", "currency": "category"},
}


@st.composite
def words(draw: st.DrawFn) -> dict[str, DerivedEvent]:
    """`purchase` net of cancellations, `interest` of several kinds, `many` from the n-th view on."""
    tests = where(clock=False)
    per_day = draw(of({}, {"per": "day"}))
    kept = draw(choice(st.just({}), one("where", tests)))
    interest = {
        "id": "interest",
        "any": [
            {"from": "view", "times": 2, "within": draw(spans)},
            {"from": "Заказ", "value": "total", "where": draw(tests)},
        ],
    }
    many = {"id": "many", "from": ["view"], "times": draw(st.integers(1, 3))}
    return read(_PURCHASE | per_day | kept, interest, many)


def read(*derived: dict[str, Any]) -> dict[str, DerivedEvent]:
    return {d.id: d for d in map(parse_derived, derived)}


DEPENDENCIES: dict[str, tuple[str, ...]] = {"slipping": ("active",), "golden": ("member",), "settled": ("active",)}
"""segments that ask about others"""
_FIXED: dict[str, Any] = {
    "active": {"trait": "lost_at", "after": "now"},
    "rare": {"trait": "rhythm_days", "gt": 1.1},
    "due": {"trait": "due_at", "within_next": "12h"},
    "worth": {"did": "purchase", "sum": {"of": "value", "gte": 10}, "within": "2d"},
    "slipping": {"all": [{"trait": "slipping_at", "lte": "now"}, {"in_segment": "active"}]},
    "fresh": {"in_stage": "value.g2"},
}
_OF_ACCOUNTS: dict[str, Any] = {
    "member": {"account": {"did": "purchase", "within": "1d"}},
    "golden": {"all": [{"account": {"trait": "tier", "eq": "gold"}}, {"not": {"in_segment": "member"}}]},
    "team": {"did": "purchase", "count": {"gte": 2}, "within": "2d"},
}
_LASTING: dict[str, Any] = {
    "settled": {"in_segment": "active", "for": "12h"},
    "newish": {"in_stage": "value.g2", "for": "1d"},
}
_DRAWN: dict[str, Strategy] = {
    "drawn": did(WORDS),
    "drawn_any": condition((*WORDS, *EVENTS)),
    "drawn_mixed": trait.map(lambda read: {"any": [read, {"in_segment": "active"}]}),
}
_NEEDS_VALUE = frozenset({"fresh", "newish"})
_VALUE = {
    "id": "value",
    "stages": [
        {"id": "g1", "when": "anyone"},
        {"id": "g2", "when": {"did": "purchase", "count": {"gte": 1}, "within": "36h"}},
        {"id": "g3", "when": {"all": [{"did": "purchase", "count": {"gte": 2}}, {"in_segment": "active"}]}},
    ],
}
_INTEREST = {
    "id": "interest",
    "any": [
        {"from": "view", "times": 2, "within": "1d"},
        {"from": "Заказ", "value": "total", "where": {"total": {"gte": 5}}},
    ],
}
usual_words = of(
    read(_PURCHASE, _INTEREST),
    read(_PURCHASE | {"per": "day"}, _INTEREST),
    read(_PURCHASE | {"where": {"total": {"gte": 5}, "category": {"ne": "b"}}}, _INTEREST),
)
"""few, so that the queries over them are compiled once"""


@st.composite
def playbooks(
    draw: st.DrawFn, *, accounts: bool = False, lasting: bool = False, always: tuple[str, ...] = ()
) -> Definitions:
    """One definition of all there are, or up to three, with those they ask about: compiling is what costs."""
    known = _FIXED | (_OF_ACCOUNTS if accounts else {}) | (_LASTING if lasting else {})
    # What is of interest here comes twice as often.
    names = (*known, "value", *_DRAWN, *(_OF_ACCOUNTS if accounts else ()), *(_LASTING if lasting else ()))
    some = st.lists(of(*names), min_size=1, max_size=3, unique=True)
    chosen = set(always or draw(choice(*[of(*names).map(lambda name: [name])] * 3, some)))
    chosen |= {read for name in chosen for read in DEPENDENCIES.get(name, ())}
    has_value = bool(chosen & {"value", *_NEEDS_VALUE})
    if has_value or "drawn_mixed" in chosen:
        chosen.add("active")
    segments = {}
    for name in (*known, *_DRAWN):
        if name in chosen:
            who = known[name] if name in known else draw(_DRAWN[name])
            segments[name] = parse_segment(
                {
                    "id": name,
                    "who": who,
                    "of": "account" if name == "team" else "person",
                    "trust": draw(of("any", "any", "server")),
                }
            )
    lifecycles = {"value": parse_lifecycle(_VALUE)} if has_value else {}
    return Definitions(
        draw(choice(*[usual_words] * 5, words())),
        segments,
        lifecycles,
        configured_scores({"rhythm": RHYTHM}, {"rhythm": FIT}),
    )
