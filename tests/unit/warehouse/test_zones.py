"""Zones' offsets against zoneinfo reading the same tzdata."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from keepers.warehouse.zone_offsets import (
    country_zones,
    local_day,
    offset_at,
    to_utc,
    zone_names,
    zone_of,
    zone_offsets,
)


def _zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


def test_every_zone_agrees_with_zoneinfo_also_at_the_edges_of_its_offsets() -> None:
    chance = random.Random(20260101)
    for name in sorted(zone_names()):
        zone = _zone(name)
        starts = zone_offsets(name)[0][1:]
        edges = [s + timedelta(seconds=d) for s in chance.sample(starts, min(4, len(starts))) for d in (-1, 0, 1, 3600)]
        spread = [datetime(1970, 1, 1) + timedelta(seconds=chance.randrange(131 * 365 * 86400)) for _ in range(5)]
        for instant in edges + spread:
            local = instant.replace(tzinfo=UTC).astimezone(zone)
            assert offset_at(name, instant) == local.utcoffset(), (name, instant)
            wall = local.replace(tzinfo=None, fold=0)
            expected = wall.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
            assert to_utc(name, wall) == expected, (name, wall)


def test_a_day_that_a_country_skipped() -> None:
    # Samoa crossed the date line: 30 December 2011 never was.
    assert local_day("Pacific/Apia", datetime(2011, 12, 30, 9, 59)).isoformat() == "2011-12-29"
    assert local_day("Pacific/Apia", datetime(2011, 12, 30, 10, 0)).isoformat() == "2011-12-31"


@pytest.mark.parametrize(
    ("trait", "value", "zone"),
    [
        ("timezone", "Europe/Warsaw", "Europe/Warsaw"),
        ("timezone", "Mars/Olympus", None),
        ("timezone", 7, None),
        ("country", "PL", "Europe/Warsaw"),
        ("country", "italy", "Europe/Rome"),
        ("country", "US", None),
    ],
)
def test_the_zone_that_a_trait_names(trait: str, value: object, zone: str | None) -> None:
    assert zone_of(trait, value) == zone
    assert country_zones()["jp"] == "Asia/Tokyo"
