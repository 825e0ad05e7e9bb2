"""Removes what was kept long enough, in pieces: each function takes at most `limit` and says how much it took."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, select, update

from keepers.model.consent import FORGOTTEN
from keepers.model.message import UNSETTLED
from keepers.store.bulk import update_rows
from keepers.store.events import log as event_log
from keepers.store.privacy import removal
from keepers.store.schema.core import log
from keepers.store.schema.journeys import journey_runs, run_history
from keepers.store.schema.messages import messages


def remove_messages(connection: Connection, before: datetime, limit: int) -> int:
    """Removes messages that were decided on before an instant and are settled, with copies, history and requests."""
    settled = and_(messages.c.decided_at < before, messages.c.status.not_in(UNSETTLED))
    ids = list(connection.execute(select(messages.c.id).where(settled).order_by(messages.c.id).limit(limit)).scalars())
    if ids:
        removal.remove_messages(connection, ids, "retention")
    return len(ids)


def forget_recipients(connection: Connection, before: datetime, limit: int) -> int:
    """Puts the keyed hash in the place of the plain address of messages that were settled before an instant.

    Links in them, bounces and suppressions go by the hash. Names inside Keepers (`#12`) are no addresses.
    """
    of = messages.c
    plain = and_(of.recipient != "", ~of.recipient.startswith("#"), ~of.recipient.startswith(FORGOTTEN))
    settled = and_(
        of.decided_at < before, of.send_after < before, of.status.not_in(UNSETTLED), plain, of.address_hash != ""
    )
    rows = connection.execute(select(of.id, of.address_hash).where(settled).order_by(of.id).limit(limit)).all()
    update_rows(connection, messages, ("recipient",), [(f"{FORGOTTEN}{row.address_hash}", row.id) for row in rows])
    return len(rows)


def remove_run_history(connection: Connection, before: datetime, limit: int) -> int:
    """Removes what happened in runs that ended before an instant, and what set them off; how many runs.

    The runs stay, so that nobody enters a second time where once is meant.
    """
    joined = run_history.join(journey_runs, journey_runs.c.id == run_history.c.run_id)
    old = select(run_history.c.run_id).select_from(joined).where(journey_runs.c.ended_at < before).distinct()
    ids = sorted(connection.execute(old.limit(limit)).scalars())
    if ids:
        # Runs before all else: see `lock_order`.
        emptied = {"vars": "{}", "trigger": "{}", "state": "{}"}
        connection.execute(update(journey_runs).where(journey_runs.c.id.in_(ids)).values(**emptied))
        removal.remove_history(connection, ids)
    return len(ids)


def remove_events(connection: Connection, before: datetime, until: int, limit: int) -> int:
    """Removes rows of the log that were received before an instant, up to the seq `until`: all that has been used."""
    old = select(log.c.seq).where(log.c.seq <= until, log.c.received_at < before).order_by(log.c.seq).limit(limit)
    return event_log.remove(connection, list(connection.execute(old).scalars()))
