"""Worlds as strategies: customers with what they did, in lists that shrink; values are few, so that they often collide.

A world is a list of customers, each a list of deeds: a failing one shrinks to few of both.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from keepers.model.identity import Trust
from properties.generate import CANCEL, DAYS, EVENTS, NUMBERS, TEXTS, Strategy, choice, of
from properties.scenario import Scenario, at

LENGTH = 20
"""steps of the grid that a world spans: five days"""
ZONES = ("Europe/Warsaw", "America/New_York", "Pacific/Auckland", "Asia/Kolkata")
ACCOUNTS = (101, 102, 103)
steps = st.integers(0, LENGTH)
value = choice(of(*NUMBERS), of(*NUMBERS), of(*TEXTS), of(*DAYS), of(None, True, False))
"""a property's or trait's value of any kind, null among them"""
_moment = steps.map(lambda step: at(step).isoformat() + "Z")
moment = choice(_moment, _moment, value)
"""mostly a time on the grid, so that tests on it change their answer within the world's days"""
_order = of("x", "y").map(lambda name: {"id": name})
properties = st.fixed_dictionaries(
    {},
    optional={
        "total": of(*NUMBERS, None, "10"),
        "category": of(*TEXTS),
        "when": moment,
        "order": _order,
        "tags": st.lists(of("vip", "new", 5), max_size=2),
        "products": st.lists(st.fixed_dictionaries({"price": of(*NUMBERS), "sku": of(*TEXTS)}), max_size=2),
    },
)
_traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": choice(value, moment),
        "birthday": choice(moment, value),
        "score": choice(value, moment),
        "interests": st.lists(of("vip", "golf"), max_size=2),
    },
)
Deed = tuple[str, int, int, int | None, dict[str, Any], Trust]
"""kind or event, step of the grid, steps it arrives later (or earlier), account, properties or traits, its trust"""


@cache
def deed(*, accounts: bool, late: bool, future: bool) -> Strategy:
    """One thing that a customer does or is."""
    delays = [of(0)] * 4
    if late:
        delays += [of(1, 2, 5, 11)] * 2
    if future:
        delays += [of(-1, -3, -8)] * 2
    delay = choice(*delays)
    trust = of("server", "server", "public")
    tracked = st.tuples(of(*EVENTS), steps, delay, st.none(), properties, trust)
    cancelled = st.tuples(of(CANCEL), steps, delay, st.none(), _order.map(lambda order: {"order": order}), trust)
    identified = st.tuples(of("identify"), steps, delay, st.none(), _traits, trust)
    tier = of({}, {"tier": "gold"}, {"tier": "basic"}, {"tier": None})
    grouped = st.tuples(of("group"), steps, delay, of(*ACCOUNTS), tier, trust)
    return choice(*[tracked] * 6, cancelled, identified, identified, *[grouped] * (2 if accounts else 0))


@st.composite
def scenarios(
    draw: st.DrawFn,
    *,
    people: int = 8,
    merges: bool = False,
    accounts: bool = False,
    zones: bool = False,
    late: bool = False,
    future: bool = True,
) -> Scenario:
    """Customers with events and traits. `late`: some facts arrive after their time, some long after.

    `future`: in a third of the worlds some arrive before it.
    """
    future = future and draw(of(False, False, True))
    deeds = st.lists(deed(accounts=accounts, late=late, future=future), max_size=8)
    customers = draw(st.lists(st.tuples(of(None, *ZONES) if zones else st.none(), deeds), min_size=1, max_size=people))
    found = Scenario()
    for who, (zone, _) in enumerate(customers, start=1):
        found.person(who, at(0))
        if zone is not None:
            found.add("identify", who, at(0), data={"timezone": zone}, trust=draw(of("server", "public")))
    for account in ACCOUNTS if accounts else ():
        found.account(account, at(0))
    for who, (_, done) in enumerate(customers, start=1):
        for one in done:
            _add(found, who, one)
    if merges:
        _merge(found, len(customers), draw(_merges))
    return found.sorted_by_arrival()


def _add(found: Scenario, who: int, done: Deed) -> None:
    what, step, delay, account, data, trust = done
    time, received = at(step), at(max(0, step + delay))
    if what in ("identify", "group"):
        found.add(what, who, time, received, other=account, data=data, trust=trust)
    else:
        found.add("track", who, time, received, event=what, data=data, trust=trust)


_merges = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, LENGTH - 1), of(None, 1, 2, 3)), max_size=4
)
"""(who is merged, into whom, when, taken back so many steps later)"""


def _merge(found: Scenario, people: int, merges: list[tuple[int, int, int, int | None]]) -> None:
    """Merges as identify makes them: one that stands alone lives on in another; some are taken back."""
    alone = list(range(1, people + 1))
    for source, target, step, back in sorted(merges, key=lambda merge: merge[2]):
        if len(alone) < 2:
            return
        merged = alone.pop(source % len(alone))
        found.add("merge", merged, at(step), other=alone[target % len(alone)])
        if back is not None:
            found.add("unmerge", merged, at(step + back))


def every_name() -> Scenario:
    """A customer who has every property of every kind that a world may hold."""
    found = Scenario()
    found.person(1, at(0))
    for total, when in ((5, "2026-03-28"), ("10", 5), (None, True)):
        held: dict[str, Any] = {"total": total, "category": "a", "when": when, "order": {"id": "x"}}
        held |= {"tags": ["vip", 5], "products": [{"price": 5, "sku": "a"}]}
        for event in EVENTS:
            found.track(1, event, at(0), **held)
    found.track(1, CANCEL, at(0), order={"id": "x"})
    traits = {"plan": 5, "birthday": "a", "score": 5, "interests": ["vip"], "timezone": ZONES[0]}
    found.add("identify", 1, at(0), data=traits)
    found.add("group", 1, at(0), other=ACCOUNTS[0], data={"tier": "gold"})
    return found
