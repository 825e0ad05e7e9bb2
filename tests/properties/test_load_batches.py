"""Loading in any batches gives the same warehouse, and so does the rebuild."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.warehouse.load import load
from keepers.warehouse.rebuild import rebuild
from profiles import large
from properties.warehouses import empty_warehouse
from warehouse_rows import Row, contents, row

ids = st.integers(1, 4)
values = st.one_of(st.integers(-5, 5), st.text(max_size=3), st.booleans(), st.none(), st.just("2000-02-29"))
objects = st.dictionaries(st.sampled_from(["a", "B", "time", "é"]), values | st.lists(values, max_size=2), max_size=3)
traits = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(["Asia/Tokyo", "nowhere"]),
        "country": st.just("PL"),
        "d": values,
        "é": values,
    },
)


ats = st.integers(0, 60)
trusts = st.sampled_from(["server", "public"])
items = st.dictionaries(st.sampled_from(["a", "b", "value"]), values, max_size=2) | values
events = st.sampled_from(["x", "X", "tracks"])
calls = st.one_of(
    st.tuples(st.just("track"), ids, ats, events, objects, trusts),
    st.tuples(st.just("track"), ids, ats, events, st.fixed_dictionaries({"list": st.lists(items, max_size=3)}), trusts),
    st.tuples(st.just("identify"), ids, ats, st.none(), traits, trusts),
    st.tuples(st.just("group"), ids, ats, st.integers(8, 9), traits, trusts),
    st.tuples(st.just("page"), ids, ats, st.none(), objects, trusts),
    st.tuples(st.sampled_from(["merge", "unmerge"]), ids, ats, st.integers(1, 3), st.none(), st.just("own")),
)
"""(kind, of whom, when, the event's name or whom else, properties or traits, its trust)"""


def log(made: list[Any]) -> list[Row]:
    rows = []
    for seq, (kind, who, at, other, held, trust) in enumerate(made, start=1):
        match kind:
            case "track":
                rows.append(row(seq, kind, who, event=other, at=at, properties=held))
            case "page":
                rows.append(row(seq, kind, who, at=at, name="p", properties=held))
            case "identify" | "group":
                rows.append(row(seq, kind, who, other=other, at=at, traits=held))
            case _:
                rows.append(row(seq, kind, who, other=(who + other - 1) % 4 + 1, at=at))
        rows[-1] = rows[-1]._replace(trust=trust)
    return rows


@large()
@given(st.lists(calls, max_size=25).map(log), st.lists(st.integers(1, 8), min_size=1, max_size=25))
def test_load_in_any_batches_gives_the_same_tables(rows: list[Row], sizes: list[int]) -> None:
    with empty_warehouse(zone="Europe/Warsaw") as whole, empty_warehouse(zone="Europe/Warsaw") as split:
        load(whole, rows)
        start, n = 0, 0
        while start < len(rows):
            size = sizes[n % len(sizes)]
            load(split, rows[start : start + size])
            start, n = start + size, n + 1
        expected = contents(whole)
        assert contents(split) == expected
        rebuild(split)
        assert contents(split) == expected
