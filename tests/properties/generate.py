"""Random worlds and random conditions on one grid of time, from a seed: what differs is small, so it often collides."""

from __future__ import annotations

from random import Random
from typing import Any

from properties.world import STEP, World, at

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
LENGTH = 20
"""steps of the grid that a world spans: five days"""


def value(r: Random) -> Any:
    """A property's or trait's value of any kind, null among them."""
    return r.choice((None, True, False, r.choice(NUMBERS), r.choice(NUMBERS), r.choice(TEXTS), r.choice(DAYS)))


def moment(r: Random) -> Any:
    """Mostly a time on the grid, so that tests on it change their answer within the world's days."""
    return at(r.randrange(LENGTH)).isoformat() + "Z" if r.random() < 0.7 else value(r)


def properties(r: Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("total", "category", "when"):
        if r.random() < 0.7:
            found[name] = {"total": r.choice((None, *NUMBERS, "10")), "category": r.choice(TEXTS)}.get(name, moment(r))
    if r.random() < 0.5:
        found["order"] = {"id": r.choice(("x", "y"))}
    if r.random() < 0.4:
        found["tags"] = [r.choice(("vip", "new", 5)) for _ in range(r.randrange(3))]
    if r.random() < 0.5:
        found["products"] = [{"price": r.choice(NUMBERS), "sku": r.choice(TEXTS)} for _ in range(r.randrange(3))]
    return found


def world(
    r: Random,
    people: int = 16,
    each: int = 8,
    *,
    merges: bool = False,
    accounts: bool = False,
    zones: bool = False,
    late: bool = False,
    future: bool = True,
) -> World:
    """People with events and traits. `late`: some facts arrive after their time, some long after."""
    found = World()
    for who in range(1, people + 1):
        found.person(who, at(0))
        if zones and r.random() < 0.7:
            zone = r.choice(("Europe/Warsaw", "America/New_York", "Pacific/Auckland", "Asia/Kolkata"))
            found.add("identify", who, at(0), data={"timezone": zone})
    if accounts:
        for account in (101, 102, 103):
            found.account(account, at(0))
    for who in range(1, people + 1):
        for _ in range(r.randrange(each + 1)):
            _fact(r, found, who, late=late, future=future, accounts=accounts)
    if merges:
        _merges(r, found, people)
    return found.sorted_by_arrival()


def _fact(r: Random, found: World, who: int, *, late: bool, future: bool, accounts: bool) -> None:
    time = at(r.randrange(LENGTH + 1))
    received = time
    if late and r.random() < 0.3:
        received = time + STEP * r.choice((1, 2, 5, 11))
    elif future and r.random() < 0.3:
        received = max(at(0), time - STEP * r.choice((1, 3, 8)))
    chance = r.random()
    if chance < 0.15:
        traits = {name: r.choice((value, moment))(r) for name in ("plan", "birthday", "score") if r.random() < 0.6}
        if r.random() < 0.4:
            traits["interests"] = [r.choice(("vip", "golf")) for _ in range(r.randrange(3))]
        found.add("identify", who, time, received, data=traits)
    elif accounts and chance < 0.3:
        traits = {"tier": r.choice(("gold", "basic", None))} if r.random() < 0.5 else {}
        found.add("group", who, time, received, other=r.choice((101, 102, 103)), data=traits)
    elif chance < 0.4:
        found.track(who, CANCEL, time, received, order={"id": r.choice(("x", "y"))})
    else:
        found.track(who, r.choice(EVENTS), time, received, **properties(r))


def _merges(r: Random, found: World, people: int) -> None:
    """Merges as identify makes them: one that stands alone lives on in another; some are taken back."""
    alone = list(range(1, people + 1))
    for time in sorted(r.sample(range(1, LENGTH), people // 4)):
        source = alone.pop(r.randrange(len(alone)))
        found.add("merge", source, at(time), other=r.choice(alone))
        if r.random() < 0.25:
            found.add("unmerge", source, at(time + r.randrange(1, 4)))


def comparison(r: Random, kind: str) -> Any:
    """Comparisons for one property or trait, with every operator."""
    number = r.choice(NUMBERS)
    low, high = sorted(r.sample(NUMBERS, 2))
    text = r.choice(TEXTS[:-1])
    clock = r.choice((*RELATIVE, *ABSOLUTE))
    by_number = (
        {"eq": number}, {"ne": number}, {"lt": number}, {"lte": number}, {"gt": number}, {"gte": number},
        {"between": [low, high]}, {"in": [low, high]}, {"not_in": [low, number]}, {"gte": low, "lt": high},
    )  # fmt: skip
    by_text = (
        {"eq": text}, {"ne": text}, {"in": [text, "a", 5]}, {"not_in": [text, "vip"]}, {"contains": text},
        {"not_contains": text}, {"starts_with": text}, {"ends_with": text}, {"matches": "^[a-b]+$"},
        {"lt": "b"}, {"lte": text}, {"gt": "a"}, {"gte": text}, {"between": ["a", "b"]}, {"eq": True}, {"ne": False},
    )  # fmt: skip
    by_date = (
        {"before": clock}, {"after": clock}, {"lte": clock}, {"gte": clock}, {"lt": clock}, {"gt": clock},
        {"within_last": r.choice(SPANS)}, {"within_next": r.choice(SPANS)}, {"older_than": r.choice(SPANS)},
        {"between": ["1d ago", "now"]}, {"between": ["2026-03-28", "2026-03-29T12:00:00Z"]},
    )  # fmt: skip
    exists = ({"exists": True}, {"exists": False})
    anniversary = ({"anniversary": {r.choice(("in", "within")): r.choice(("0d", "1d", "3d", "365d"))}},)
    pools = {"number": by_number, "text": by_text, "date": by_date, "trait_date": by_date + anniversary * 4}
    if kind == "any":
        kind = r.choice(("number", "text", "date", "exists"))
    return r.choice(pools.get(kind, exists) + (exists if r.random() < 0.1 else ()))


def where(r: Random, clock: bool = True) -> dict[str, Any]:
    """Tests on properties; without `clock` none that change their answer by themselves."""
    found: dict[str, Any] = {}
    for _ in range(r.choice((1, 1, 2))):
        pick = r.randrange(7)
        if pick == 0:
            found["total"] = comparison(r, "number")
        elif pick == 1:
            found["category"] = r.choice((comparison(r, "text"), ["a", "b"], "abc"))
        elif pick == 2:
            found["when"] = comparison(r, r.choice(("any", "date", "date")) if clock else "number")
        elif pick == 3:
            found["order.id"] = r.choice(("x", {"ne": "x"}, {"exists": True}, {"exists": False}))
        elif pick == 4:
            found["tags"] = r.choice(
                ("vip", {"contains": "vip"}, {"not_contains": "vip"}, {"ne": "new"}, {"exists": True},
                 {"in": ["vip", 5]}, {"not_in": ["vip"]}, {"exists": False}, {"gt": 4})
            )  # fmt: skip
        elif pick == 5:
            found["products"] = {"some": {"price": comparison(r, "number"), "sku": comparison(r, "text")}}
        else:
            found["products"] = {
                "some": {r.choice(("price", "nothing")): comparison(r, r.choice(("number", "exists")))}
            }
    return found


def window(r: Random) -> dict[str, Any]:
    return r.choice(
        (
            {}, {"ever": True}, {"within": r.choice(SPANS)}, {"within": r.choice(SPANS)},
            {"since": r.choice((*ABSOLUTE, "1d ago"))},
            {"between": ["2d ago", r.choice(("now", "1d ago", "6h ago"))]},
            {"between": ["2026-03-27T12:00:00Z", "2026-03-29T06:00:00Z"]},
            {"between": ["2026-03-27T12:00:00Z", "12h ago"]}, {"between": ["2d ago", "2026-03-29"]},
        )
    )  # fmt: skip


def figures(r: Random) -> dict[str, Any]:
    count = r.choice((1, 2, {"gte": 2}, {"lt": 2}, {"between": [1, 2]}, {"eq": 0}, {"in": [1, 3]}, {"ne": 1}))
    number = comparison(r, "number")
    if "exists" in number:
        number = {"ne": 5}
    return r.choice(
        (
            {"count": count}, {"count": count}, {"sum": {"of": "total", **number}},
            {"avg": {"of": "total", **number}}, {"min": {"of": "total", **number}},
            {"max": {"of": "total", **number}}, {"distinct": {"of": "category", "gte": r.randrange(3)}},
            {"distinct": {"of": "order.id", "eq": r.randrange(3)}},
            {"count": {"gte": 1}, "sum": {"of": "total", "gte": 5}},
        )
    )  # fmt: skip


def did(r: Random, names: tuple[str, ...] = EVENTS) -> dict[str, Any]:
    head = r.choice(("did", "did", "did_not"))
    found: dict[str, Any] = {head: r.choice((*names, *names, "never seen")), **window(r)}
    if r.random() < 0.5:
        found["where"] = where(r)
    chance = r.random()
    if chance < 0.2:
        found[r.choice(("first", "last"))] = True
    elif chance < 0.7:
        found |= figures(r)
    return found


def sequence(r: Random, names: tuple[str, ...] = EVENTS) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"did": r.choice(names)} for _ in range(r.choice((2, 2, 3)))]
    for n, step in enumerate(steps):
        if n and r.random() < 0.7:
            step["within"] = r.choice(SPANS)
        if r.random() < 0.25:
            step["where"] = where(r)
    if r.random() < 0.4:
        steps[-1]["did_not"] = steps[-1].pop("did")
    found: dict[str, Any] = {"sequence": steps, **window(r)}
    if r.random() < 0.4:
        found["same"] = "order.id"
    return found


def trait(r: Random) -> dict[str, Any]:
    pick = r.randrange(5)
    if pick == 0:
        return {"trait": "birthday", **comparison(r, "trait_date")}
    if pick == 1:
        return {"trait": "score", **comparison(r, "number")}
    if pick == 2:
        held = r.choice(({"contains": "vip"}, {"not_contains": "golf"}, {"exists": True}, {"exists": False}))
        return {"trait": "interests", **held}
    return {"trait": r.choice(("plan", "birthday", "plan", "nothing")), **comparison(r, "any")}


def leaf(r: Random, names: tuple[str, ...] = EVENTS) -> Any:
    chance = r.random()
    if chance < 0.5:
        return did(r, names)
    if chance < 0.7:
        return sequence(r, names)
    if chance < 0.95:
        return trait(r)
    return r.choice(({"sample": "50%", "salt": "s"}, {"sample": [0.25, 0.75]}, "anyone", "nobody"))


def condition(r: Random, names: tuple[str, ...] = EVENTS) -> Any:
    """Mostly one leaf, so that a difference is seen; some under `not`, some grouped."""
    chance = r.random()
    if chance < 0.6:
        return leaf(r, names)
    if chance < 0.75:
        return {"not": leaf(r, names)}
    group = r.choice(("all", "any"))
    return {group: [leaf(r, names), r.choice((leaf(r, names), {"not": leaf(r, names)}))]}
