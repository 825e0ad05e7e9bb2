"""Browsers that may be sent web push: one endpoint each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select

from keepers.store.bulk import select_in
from keepers.store.schema.core import identities
from keepers.store.schema.messages import push_subscriptions


class PushSubscription(NamedTuple):
    """`keys` are the browser's: `p256dh` and `auth`."""

    endpoint: str
    profile_id: int
    keys: dict[str, str]
    created_at: datetime
    is_unproven: bool
    """added without proof of who uses it: it counts while nobody says who the visitor is, which anybody can"""


def put(connection: Connection, subscription: PushSubscription) -> None:
    """Adds a browser, or gives it to the profile that uses it now."""
    remove(connection, [subscription.endpoint])
    values = subscription._replace(keys=msgspec.json.encode(subscription.keys).decode())  # type: ignore[arg-type]
    connection.execute(insert(push_subscriptions).values(**values._asdict()))


def remove(connection: Connection, endpoints: Sequence[str]) -> None:
    """Removes browsers, such as those whose subscription is gone."""
    connection.execute(delete(push_subscriptions).where(push_subscriptions.c.endpoint.in_(list(endpoints))))


def of_profiles(connection: Connection, profile_ids: Sequence[int]) -> dict[int, list[PushSubscription]]:
    """Each profile's browsers, the newest first; profiles without any are absent. Not those of a customer with a user
    id that were added without proof."""
    found: dict[int, list[PushSubscription]] = {}
    known = select(identities.c.profile_id).where(
        identities.c.kind == "user_id", identities.c.profile_id == push_subscriptions.c.profile_id
    )
    query = select(push_subscriptions).where(~push_subscriptions.c.is_unproven | ~known.exists())
    for row in select_in(connection, query, push_subscriptions.c.profile_id, profile_ids):
        keys = msgspec.json.decode(row.keys, type=dict[str, str])
        found.setdefault(row.profile_id, []).append(
            PushSubscription(row.endpoint, row.profile_id, keys, row.created_at, is_unproven=row.is_unproven)
        )
    for listed in found.values():
        listed.sort(key=lambda subscription: (subscription.created_at, subscription.endpoint), reverse=True)
    return found
