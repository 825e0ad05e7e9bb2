"""Finds or creates the profile of an identifier at once, where the next tick would be too late."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from keepers.model.consent import address_hash
from keepers.model.errors import UserError, problem
from keepers.model.identity import LONGEST_ID, IdentityKind, Trust, bucket_key, is_placeholder
from keepers.store import counters
from keepers.store.events import log
from keepers.store.events.log import OWN_SOURCE, LogRow, SystemEvent
from keepers.store.profiles import identities, profiles

BY_ADDRESS = "address:"
"""prefix of the anonymous id of a customer known by an address only; a keyed hash of it follows"""


def known(connection: Connection, kind: IdentityKind, value: str) -> int | None:
    """The surviving profile an identifier belongs to, if it is known."""
    found = identities.find(connection, kind, value)
    return None if found is None else profiles.survivor(connection, found)


def known_or_new(connection: Connection, kind: IdentityKind, value: str, now: datetime, *, is_proven: bool) -> int:
    """The surviving profile of an identifier; created, and its creation logged, when there is none.

    Raises UserError for values that identify nobody. Takes the locks of both counters, in the order identify does.
    """
    check_identifier(value)
    (profile_id,), (is_new,) = identities.resolve_many(connection, kind, [value], [now], is_unproven=not is_proven)
    if not is_new:
        profile_id = profiles.survivor(connection, profile_id)
        if is_proven and not identities.has_user_id(connection, profile_id):
            # What a server says of a visitor is not to become a customer's without proof.
            identities.prove(connection, [(kind, value)])
        return profile_id
    seq = counters.reserve(connection, counters.SEQ, 1)
    body = msgspec.json.encode({"kind": "person", "bucket_key": bucket_key(kind, value)})
    row = LogRow(seq, "profile", profile_id, None, "profile", now, now, now, OWN_SOURCE, body, 0, "own")
    log.append(connection, [row])
    return profile_id


def learn(connection: Connection, profile_id: int, traits: dict[str, Any], now: datetime, trust: Trust) -> None:
    """Records traits, as an identify call by such a key would."""
    log.append_events(connection, [SystemEvent(profile_id, "identify", now, traits, kind="identify", trust=trust)], now)


def anonymous_id_of(secret: bytes, channel: str, recipient: str) -> str:
    """The anonymous id of a customer known by an address only: equal for every spelling, and not guessable."""
    return BY_ADDRESS + address_hash(secret, channel, recipient)[:40]


def check_identifier(value: str) -> None:
    """Raises UserError for an identifier that identifies no customer or cannot be stored."""
    if not value or is_placeholder(value) or len(value) > LONGEST_ID or "\0" in value:
        raise UserError(
            problem("An id of 1 to {most} characters is needed that identifies one customer.", most=LONGEST_ID),
            field="userId",
        )
