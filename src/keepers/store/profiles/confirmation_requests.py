"""Confirmation e-mails that were sent to persons, remembered for as long as limits count them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from keepers.store.schema.messages import confirmation_requests

_FORGOTTEN_AT_ONCE = 500


class ConfirmationRequest(NamedTuple):
    """`network_hash`: the keyed hash of the network that a form came from; empty for the business's server."""

    at: datetime
    network_hash: str


def since(connection: Connection, person_hash: str, instant: datetime, *, is_proven: bool) -> list[ConfirmationRequest]:
    """What a person was sent after an instant, for a business's server (`is_proven`) or for anybody's form.

    `person_hash`: the keyed hash of an address as limits count it, whatever follows a plus sign in it.
    """
    columns = confirmation_requests.c
    query = select(columns.at, columns.network_hash).where(
        columns.person_hash == person_hash, columns.at > instant, columns.is_proven == is_proven
    )
    return [ConfirmationRequest(*row) for row in connection.execute(query)]


def remember(
    connection: Connection, person_hash: str, sent: ConfirmationRequest, forget_before: datetime, *, is_proven: bool
) -> None:
    """Counts one, and forgets some that were sent before an instant."""
    columns = confirmation_requests.c
    old = select(columns.id).where(columns.at <= forget_before).limit(_FORGOTTEN_AT_ONCE)
    gone = list(connection.execute(old).scalars())
    if gone:
        connection.execute(delete(confirmation_requests).where(columns.id.in_(gone)))
    values = {"person_hash": person_hash, "is_proven": is_proven, **sent._asdict()}
    connection.execute(insert(confirmation_requests).values(values))
