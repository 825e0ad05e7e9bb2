"""When customers last did something that says they still want to hear from us: a click, a visit, an order, a yes."""

from __future__ import annotations

from datetime import datetime

import duckdb

from keepers.model.channels import CHANNELS
from keepers.warehouse.database import Warehouse, set_watermark

WATERMARK = "engaged"
_SAID = """
    t.source = 'keepers' AND (
        t.event IN ('Subscribed', 'In-App Read')
        OR (t.event = 'Email Link Clicked' AND t.raw NOT LIKE '%"machine":true%')
    )
"""
"""what Keepers itself says of customers; clicks by machines are nobody's"""


def _own() -> str:
    """What customers do; that another sender wrote to them, or they opened it, is no engagement."""
    prefixes = "|".join(channel.event_name for channel in CHANNELS.values())
    return f"""
        t.source <> 'keepers'
        AND t.kind IN ('track', 'page', 'screen')
        AND NOT regexp_matches(t.event, '^({prefixes}) ')
    """


def refresh(warehouse: Warehouse) -> int:
    """Brings table `engaged` (profile_id as it was told, at) up to what is loaded; how many customers it was.

    Costs a look at the rows that came since the last call alone.
    """
    cursor = warehouse.cursor()
    after = warehouse.watermark(WATERMARK)
    row = cursor.execute("SELECT max(seq) FROM tracks WHERE seq > ?", [after]).fetchone()
    newest = int(row[0]) if row and row[0] is not None else after
    if newest == after:
        return 0
    with warehouse.transaction() as writing:
        done = _take(writing, after, newest)
        set_watermark(writing, WATERMARK, newest)
    return done


def _take(cursor: duckdb.DuckDBPyConnection, after: int, newest: int) -> int:
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE engaged_now AS
        SELECT profile_id, max("at") AS "at"
        FROM (
            SELECT t.profile_id, t.time AS "at"
            FROM tracks t
            WHERE t.seq > $after AND t.seq <= $newest AND (({_SAID}) OR ({_own()}))
            UNION ALL
            SELECT v.profile_id, v.time
            FROM trait_values v
            WHERE v.seq > $after AND v.seq <= $newest AND starts_with(v.trait, 'subscribed.') AND v.boolean
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
    """(profile_id as it was told, at), by time: everything from `since` to `until`, and of each the last before it."""
    rows = warehouse.cursor().execute(
        f"""
        WITH told AS (
            SELECT t.profile_id, t.time AS "at" FROM tracks t
            WHERE t.time <= $until AND (({_SAID}) OR ({_own()}))
            UNION ALL
            SELECT v.profile_id, v.time FROM trait_values v
            WHERE v.time <= $until AND starts_with(v.trait, 'subscribed.') AND v.boolean
        )
        SELECT profile_id, "at" FROM told WHERE "at" >= $since
        UNION ALL
        SELECT profile_id, max("at") FROM told WHERE "at" < $since GROUP BY 1
        ORDER BY 2
        """,
        {"since": since, "until": until},
    )
    return [(who, at) for who, at in rows.fetchall()]
