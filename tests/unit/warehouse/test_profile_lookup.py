"""Customers many at once: traits by their latest time, merged profiles as one, activity of their own."""

from __future__ import annotations

from datetime import timedelta

from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.profile_lookup import ProfileSnapshot, load_profiles, survivors
from warehouse_rows import START, profile, row, track


def test_who_they_are_at_present() -> None:
    warehouse = Warehouse.open(None, zone="Europe/Warsaw")
    load(warehouse, [
        profile(1, 1, "a"),
        profile(2, 2, "b"),
        profile(3, 3, "c"),
        row(4, "identify", 1, at=2, traits={"plan": "pro", "timezone": "Asia/Tokyo", "address": {"city": "Łódź"}}),
        row(5, "identify", 1, at=1, traits={"plan": "free", "tags": ["x"], "gone": 1}),
        row(6, "identify", 2, at=3, traits={"plan": "team", "gone": None}),
        track(7, 2, "Order", 4), track(8, 1, "View", 5)._replace(trust="public"),
        track(9, 1, "Email Sent", 6)._replace(source="keepers"),
        row(10, "merge", 2, other=1, at=7),
    ])  # fmt: skip
    hour = timedelta(hours=1)
    merged = ProfileSnapshot(
        1, "a", "Asia/Tokyo",
        {"plan": "team", "timezone": "Asia/Tokyo", "address.city": "Łódź", "tags": ["x"]}, START + 5 * hour,
        trusted_activity_at=START + 4 * hour,
    )  # fmt: skip
    assert load_profiles(warehouse, [2, 1, 3, 4]) == {
        2: merged,
        1: merged,
        3: ProfileSnapshot(3, "c", "Europe/Warsaw", {}),
    }
    assert load_profiles(warehouse, []) == {}
    assert survivors(warehouse, [1, 2, 3]) == {2: 1}
    warehouse.close()
