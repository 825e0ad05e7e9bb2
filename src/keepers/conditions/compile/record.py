"""Values that have no column, read from the JSON record of their event: of names that came by public keys alone and
that no playbook names yet, and of those past a limit. They read as they would from columns (`warehouse/values.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, pairwise
from typing import Any

from keepers.conditions.comparisons import ComparedValue
from keepers.conditions.compile.tables import TRACKS, table
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import EVENT_KINDS, MAX_DEPTH

_MOST_DOTS = 4
"""in a path that may be keys with dots in them, which are then tried in every way"""
_OF_PAGES = ("name", "category")
"""stand beside a page's properties, and count as such"""


def records(event: str) -> Any:
    """The rows of `tracks` of an event."""
    tracks = table("tracks", TRACKS)
    return tracks.filter((tracks.event == event) & tracks.kind.isin(EVENT_KINDS))


def value_of(rows: Any, path: str) -> ComparedValue:
    """A property on rows that have `raw` and `raw_kind`."""
    return _compared(_places(rows, path))


def items_of(rows: Any, path: str) -> Any:
    """The items of a list on rows that have `seq`, `raw` and `raw_kind`: seq, item (JSON)."""
    lists = [ibis.cases((_type_of(place) == "ARRAY", place)) for place in _places(rows, path)]
    return rows.select("seq", item=ibis.coalesce(*lists).array.unnest())


def field_of(item: Any, path: str) -> ComparedValue:
    """A field of an item; `value` is also an item that is no object."""
    places = [_at(item, way) for way in _ways(path)]
    return _compared([*places, ibis.cases((_type_of(item) != "OBJECT", item))] if path == "value" else places)


def _places(rows: Any, path: str) -> list[Any]:
    found = [_at(rows.raw, ("properties", *way)) for way in _ways(path)]
    top = path.partition(".")[0]
    if top in _OF_PAGES:
        is_beside = rows.raw_kind.isin(("page", "screen")) & _at(rows.raw, ("properties", top)).isnull()
        found += [ibis.cases((is_beside, _at(rows.raw, way))) for way in _ways(path) if way[0] == top]
    return found


def _ways(path: str) -> Iterator[tuple[str, ...]]:
    """The keys that may lead to a path, one inside the other: of `a.b`, `a` and in it `b`, or `a.b`."""
    parts = path.split(".")
    joints = range(1, len(parts))
    numbers = range(len(joints), -1, -1) if len(joints) <= _MOST_DOTS else (len(joints), 0)
    for number in numbers:
        for cuts in combinations(joints, number):
            if len(cuts) <= MAX_DEPTH:
                ends = (0, *cuts, len(parts))
                yield tuple(".".join(parts[a:b]) for a, b in pairwise(ends))


def _at(json: Any, keys: tuple[str, ...]) -> Any:
    """What stands at a JSON pointer (RFC 6901); NULL where there is nothing."""
    pointer = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
    return _function("json_extract", ("json", "string"), "json")(json, pointer)


def _type_of(json: Any) -> Any:
    return _function("json_type", ("json",), "string")(json)


def _compared(places: list[Any]) -> ComparedValue:
    """The first value of each kind. A number too large for a double counts as text."""
    numbers, texts, booleans = [], [], []
    for place in places:
        kind = _type_of(place)
        text = _function("json_extract_string", ("json", "string"), "string")(place, "$")
        is_number = kind.isin(("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE"))
        number = ibis.cases((is_number, text.try_cast("float64")))
        is_finite = (number.abs() < float("inf")).fill_null(False)
        numbers.append(ibis.cases((is_finite, number)))
        normal = _function("nfc_normalize", ("string",), "string")(text)
        texts.append(ibis.cases((kind == "VARCHAR", normal), (is_number & ~is_finite, text)))
        booleans.append(ibis.cases((kind == "BOOLEAN", text == "true")))
    return ComparedValue(ibis.coalesce(*numbers), ibis.coalesce(*texts), ibis.coalesce(*booleans))


def _of_one(one: Any) -> Any: ...


def _of_two(one: Any, other: Any) -> Any: ...


@cache
def _function(name: str, takes: tuple[str, ...], gives: str) -> Callable[..., Any]:
    """A function of the engine's by its name."""
    body = _of_one if len(takes) == 1 else _of_two
    return ibis.udf.scalar.builtin(body, name=name, signature=(takes, gives))  # type: ignore[no-any-return]
