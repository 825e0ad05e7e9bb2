"""Reading bounce sources; how the last readings went."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.store import meta

STATE = "bounces"
"""where the workspace keeps how the last readings went"""


class Reading(Struct, frozen=True):
    """How the last look into one source went. `trouble` is empty when it went well."""

    at: datetime
    mails: int
    trouble: str = ""


def last_readings(connection: Connection) -> dict[str, Reading]:
    """Source (`maildir`, `mbox`, `imap`, `listener`) → how its last reading went."""
    kept = meta.get(connection, STATE)
    return msgspec.json.decode(kept, type=dict[str, Reading]) if kept else {}
