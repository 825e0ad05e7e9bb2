"""When customers last showed that they want to hear from us: what is written to them shows nothing."""

from __future__ import annotations

from datetime import timedelta

from keepers.channels.registry import CHANNELS
from keepers.warehouse import engagement_times
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from warehouse_rows import START, profile, track


def test_a_message_of_another_sender_on_any_channel_is_no_engagement() -> None:
    warehouse = Warehouse.open(None)
    written = [
        track(10 + n, 1, f"{prefix} Sent", 5) for n, prefix in enumerate(kind.event_name for kind in CHANNELS.values())
    ]
    load(warehouse, [profile(1, 1, "a"), track(2, 1, "Order", 1), *written])
    engagement_times.refresh(warehouse)
    found = warehouse.cursor().execute('SELECT profile_id, "at" FROM engaged').fetchall()
    assert found == [(1, START + timedelta(hours=1))]
    warehouse.close()
