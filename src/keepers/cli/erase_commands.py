"""The command that erases: what is kept of a customer's messages, journeys and consent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from keepers.cli.answers import Progress
from keepers.model.consent import address_hash
from keepers.store import erasure
from keepers.store.tables import profiles
from keepers.warehouse.people import people
from keepers.wire import Workspace, clock


def erase(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Removes a customer's messages and copies, runs, consent, inbox, browsers and the trail of all that."""
    profile_id = workspace.find_profile(name)
    person = people(workspace.warehouse, [profile_id]).get(profile_id)
    traits = person.traits if person is not None else {}
    addresses = [
        (channel, address_hash(workspace.secret, channel, value))
        for channel, trait in workspace.addresses.items()
        if trait and isinstance(value := traits.get(trait), str) and value.strip()
    ]
    with workspace.sequencing("keepers erase"), workspace.store.begin() as connection:
        merged = connection.execute(select(profiles.c.id).where(profiles.c.merged_into == profile_id)).scalars()
        gone = erasure.erase(connection, [profile_id, *merged], addresses, clock())
    return {table: number for table, number in gone.items() if number} | {"suppressed": len(set(addresses))}
