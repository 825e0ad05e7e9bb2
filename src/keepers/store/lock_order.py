"""The order in which transactions of the operational store lock rows; the tests hold every statement to it.

On PostgreSQL two transactions that lock rows of the same tables in different orders can wait for each other for ever.
So every transaction locks runs first, then messages, coupons, and the counter of the log last.
"""

from __future__ import annotations

from keepers.store.schema.core import counters
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import coupons, messages

LOCK_ORDER = (journey_runs.name, messages.name, coupons.name, counters.name)
