"""The results of the last readings of each bounce source."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.store import meta

STATE = "bounces"
"""the name in `meta` under which they are stored"""


class Reading(Struct, frozen=True):
    """The last reading of one source. `trouble` is empty when it succeeded."""

    at: datetime
    mails: int
    trouble: str = ""


def last_readings(connection: Connection) -> dict[str, Reading]:
    """Source (`maildir`, `mbox`, `imap`, `listener`) → its last reading."""
    kept = meta.get(connection, STATE)
    return msgspec.json.decode(kept, type=dict[str, Reading]) if kept else {}
