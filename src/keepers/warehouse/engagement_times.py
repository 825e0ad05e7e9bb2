"""When customers last showed engagement: a click, a visit, an order, a consent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from keepers.model.channels import CHANNELS
from keepers.warehouse.database import set_watermark
from keepers.warehouse.names import literal

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

WATERMARK = "engaged"


def _what_counts() -> str:
    """SQL of the rows of `tracks` (as t) that show engagement.

    Keepers' own events: a consent, a click that no machine made, an open on channels whose opens only people make.
    Others: what customers do. That another sender wrote to them, or that they opened it, does not count.
    """
    names = ["Subscribed"]
    by_machines_too: list[str] = []
    for channel in CHANNELS.values():
        opened, clicked = (channel.engagement.get(how) for how in ("opened", "clicked"))
        names += [opened] if opened and opened not in channel.machine_events else []
        if clicked:
            (by_machines_too if clicked in channel.machine_events else names).append(clicked)
    prefixes = "|".join(channel.event_name for channel in CHANNELS.values())
    return f"""
        CASE WHEN t.source = 'keepers'
            THEN t.event IN ({_listed(names)})
                OR (t.event IN ({_listed(by_machines_too)}) AND t.raw NOT LIKE '%"machine":true%')
            ELSE t.kind IN ('track', 'page', 'screen') AND NOT regexp_matches(t.event, '^({prefixes}) ')
        END
    """


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(literal, names)) or "NULL"


def refresh(warehouse: Warehouse) -> int:
    """Brings table `engaged` (profile_id as recorded, at) up to what is loaded; how many customers changed.

    Reads only the rows since the last call.
    """
    cursor = warehouse.cursor()
    after = warehouse.watermark(WATERMARK)
    row = cursor.execute("SELECT max(seq) FROM tracks WHERE seq > ?", [after]).fetchone()
    newest = int(row[0]) if row and row[0] is not None else after
    if newest == after:
        return 0
    with warehouse.transaction() as writing:
        done = _add_newest(writing, after, newest)
        set_watermark(writing, WATERMARK, newest)
    return done


def _add_newest(cursor: duckdb.DuckDBPyConnection, after: int, newest: int) -> int:
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE engaged_now AS
        SELECT profile_id, max("at") AS "at"
        FROM (
            SELECT t.profile_id, t.time AS "at"
            FROM tracks t
            WHERE t.seq > $after AND t.seq <= $newest AND {_what_counts()}
            UNION ALL
            SELECT v.profile_id, v.time
            FROM trait_values v
            WHERE v.seq > $after AND v.seq <= $newest
              AND starts_with(v.trait, 'subscribed.') AND v.boolean AND v.trusted
        )
        GROUP BY 1
        """,
        {"after": after, "newest": newest},
    )
    # History may arrive late: the newest counts, whichever came first.
    cursor.execute(
        """
        UPDATE engaged_now SET "at" = greatest(engaged_now."at", e."at")
        FROM engaged e WHERE e.profile_id = engaged_now.profile_id
        """
    )
    cursor.execute("DELETE FROM engaged WHERE profile_id IN (SELECT profile_id FROM engaged_now)")
    found = cursor.execute('INSERT INTO engaged SELECT profile_id, "at" FROM engaged_now').fetchone()
    return int(found[0]) if found else 0


def times(warehouse: Warehouse, since: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """(profile_id as recorded, at), by time: everything from `since` to `until`, and the last of each before it."""
    rows = warehouse.cursor().execute(
        f"""
        WITH shown AS (
            SELECT t.profile_id, t.time AS "at" FROM tracks t
            WHERE t.time <= $until AND {_what_counts()}
            UNION ALL
            SELECT v.profile_id, v.time FROM trait_values v
            WHERE v.time <= $until AND starts_with(v.trait, 'subscribed.') AND v.boolean AND v.trusted
        )
        SELECT profile_id, "at" FROM shown WHERE "at" >= $since
        UNION ALL
        SELECT profile_id, max("at") FROM shown WHERE "at" < $since GROUP BY 1
        ORDER BY 2
        """,
        {"since": since, "until": until},
    )
    return [(who, at) for who, at in rows.fetchall()]
