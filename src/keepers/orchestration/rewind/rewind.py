"""Takes a workspace back from ticks that were ahead of the present. Nothing that arrived or left is lost."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from keepers.evaluation.evaluate import last_tick
from keepers.model.errors import ConflictError, problem
from keepers.model.moments import format_instant
from keepers.model.write_scope import require_sequence
from keepers.orchestration.advance import CLOCK, CURSOR
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.rewind.answers import rewind_answers
from keepers.orchestration.rewind.log_rows import redate_inbox, redate_records, remember_messages, rewind_log
from keepers.orchestration.rewind.messages import lock_messages, rewind_messages
from keepers.orchestration.rewind.runs import lock_runs, rewind_runs
from keepers.store.database import Store
from keepers.warehouse.database import Warehouse
from keepers.warehouse.rebuild import Progress


class Rewound(Struct, frozen=True):
    """What was taken back, in numbers."""

    runs: int
    messages: int
    events: int
    changes: int


def rewind(
    store: Store, warehouse: Warehouse, index: JourneyIndex, to: datetime, progress: Progress | None = None
) -> Rewound:
    """Undoes what ticks did after `to`; the next tick goes on from there. The caller holds the sequencer's lock.

    Interrupted, it is to be called again. Raises ConflictError when the last tick is not after `to`.
    """
    require_sequence()
    last = last_tick(warehouse)
    if last is None or last <= to:
        raise ConflictError(
            problem(
                "There is nothing to take back: the last tick was at {last}, and it is {now}.",
                last=format_instant(last) if last is not None else "–",
                now=format_instant(to),
            ),
            code="clock",
        )
    with store.begin_inbox() as connection:
        redate_inbox(connection, to)
    with store.begin() as connection:
        moved = lock_runs(connection, to)
        locked = lock_messages(connection, to, moved)
        rewind_runs(connection, index, to, moved)
        removed = rewind_messages(connection, to, locked)
        events = rewind_log(connection, CURSOR, CLOCK, to)
        remember_messages(connection, to)
    redate_records(store, to)
    return Rewound(len(moved), removed, events, rewind_answers(warehouse, store, to, progress))
