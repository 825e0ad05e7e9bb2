"""A playbook in small: words, segments that ask about each other, a lifecycle, accounts, rhythm."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from keepers.audience.definitions import DerivedEvent, Rhythm
from keepers.audience.reading import parse_derived, parse_lifecycle, parse_segment
from keepers.scores.rhythm import Fit
from keepers.warehouse.standing import Definitions
from properties import generate

FIT = Fit(typical_gap=timedelta(days=1), longest_gap=timedelta(days=2))
RHYTHM = Rhythm(least=timedelta(hours=12), most=timedelta(days=3))


def words(r: Random) -> dict[str, DerivedEvent]:
    """`purchase` net of cancellations, `interest` of several kinds, `many` from the n-th view on."""
    purchase = {
        "id": "purchase",
        "from": "Order Completed",
        "unless": {"did": ["Order Cancelled", "Order Refunded"], "same": "order.id"},
        "value": {"of": "total", "currency": "category"},
    }
    if r.random() < 0.5:
        purchase["per"] = "day"
    if r.random() < 0.5:
        purchase["where"] = generate.where(r, clock=False)
    interest = {
        "id": "interest",
        "any": [
            {"from": "view", "times": 2, "within": r.choice(generate.SPANS)},
            {"from": "Заказ", "value": "total", "where": generate.where(r, clock=False)},
        ],
    }
    many = {"id": "many", "from": ["view"], "times": r.choice((1, 2, 3))}
    return {d.id: d for d in (parse_derived(x) for x in (purchase, interest, many))}


def playbook(
    r: Random, *, accounts: bool = False, lasting: bool = False, names: tuple[str, ...] = ("purchase", "interest")
) -> Definitions:
    conditions = {
        "active": {"trait": "lost_at", "after": "now"},
        "slipping": {"all": [{"trait": "slipping_at", "lte": "now"}, {"in_segment": "active"}]},
        "rare": {"trait": "rhythm_days", "gt": 1.1},
        "due": {"trait": "due_at", "within_next": "12h"},
        "worth": {"did": "purchase", "sum": {"of": "value", "gte": 10}, "within": "2d"},
        "fresh": {"in_stage": "value.g2"},
        "random1": generate.did(r, names),
        "random2": generate.condition(r, (*names, *generate.EVENTS)),
        "random3": generate.condition(r),
        "random4": {"any": [generate.trait(r), {"in_segment": "random1"}]},
    }
    if accounts:
        conditions["member"] = {"account": {"did": "purchase", "within": "1d"}}
        conditions["golden"] = {
            "all": [{"account": {"trait": "tier", "eq": "gold"}}, {"not": {"in_segment": "member"}}]
        }
    if lasting:
        conditions["settled"] = {"in_segment": "active", "for": "12h"}
        conditions["newish"] = {"in_stage": "value.g2", "for": "1d"}
    value = {
        "id": "value",
        "stages": [
            {"id": "g1", "when": "anyone"},
            {"id": "g2", "when": {"did": "purchase", "count": {"gte": 1}, "within": "36h"}},
            {"id": "g3", "when": {"all": [{"did": "purchase", "count": {"gte": 2}}, {"in_segment": "active"}]}},
        ],
    }
    of = {"team": {"did": "purchase", "count": {"gte": 2}, "within": "2d"}} if accounts else {}
    segments = {k: parse_segment({"id": k, "who": v}) for k, v in conditions.items()}
    segments |= {k: parse_segment({"id": k, "who": v, "of": "account"}) for k, v in of.items()}
    return Definitions(words(r), segments, {"value": parse_lifecycle(value)}, RHYTHM, FIT)
