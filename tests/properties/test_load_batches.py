"""Loading in any batches gives the same warehouse, and so does the rebuild."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.rebuild import rebuild
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


@st.composite
def logs(draw: Any) -> list[Row]:
    rows = []
    for seq in range(1, draw(st.integers(1, 25)) + 1):
        kind = draw(st.sampled_from(["track", "track", "identify", "group", "merge", "unmerge", "page"]))
        who, at = draw(ids), draw(st.integers(0, 60))
        match kind:
            case "track":
                event = draw(st.sampled_from(["x", "X", "tracks"]))
                rows.append(row(seq, kind, who, event=event, at=at, properties=draw(objects)))
            case "identify":
                rows.append(row(seq, kind, who, at=at, traits=draw(traits)))
            case "group":
                rows.append(row(seq, kind, who, other=draw(st.integers(8, 9)), at=at, traits=draw(traits)))
            case "page":
                rows.append(row(seq, kind, who, at=at, name="p", properties=draw(objects)))
            case _:
                other = draw(ids.filter(lambda i, who=who: i != who))
                rows.append(row(seq, kind, who, other=other, at=at))
    return rows


@settings(max_examples=25, deadline=None)
@given(logs(), st.lists(st.integers(1, 8), min_size=1, max_size=25))
def test_load_in_any_batches_gives_the_same_tables(rows: list[Row], sizes: list[int]) -> None:
    whole, split = Warehouse.open(None, zone="Europe/Warsaw"), Warehouse.open(None, zone="Europe/Warsaw")
    try:
        load(whole, rows)
        start, turn = 0, 0
        while start < len(rows):
            size = sizes[turn % len(sizes)]
            load(split, rows[start : start + size])
            start, turn = start + size, turn + 1
        expected = contents(whole)
        assert contents(split) == expected
        rebuild(split)
        assert contents(split) == expected
    finally:
        whole.close()
        split.close()
