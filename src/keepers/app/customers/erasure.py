"""The command that erases: what is kept of a customer's messages, journeys and consent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from keepers.app.workspace.clock import clock
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.contact.addresses import address_of, country_of
from keepers.model.consent import address_hash
from keepers.store.profiles import erasure
from keepers.store.schema.core import profiles
from keepers.warehouse.profile_lookup import people


def erase(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Removes a customer's messages and copies, runs, consent, inbox, browsers and the trail of all that."""
    profile_id = workspace.find_profile(name)
    person = people(workspace.warehouse, [profile_id]).get(profile_id)
    traits = person.traits if person is not None else {}
    country = country_of(traits) or workspace.addresses.country
    channels = {channel: trait for channel, trait in workspace.addresses.items() if trait}
    addresses = [
        (channel, address_hash(workspace.secret, channel, address))
        for channel, trait in channels.items()
        if (address := address_of(channel, traits.get(trait), country))
    ]
    with workspace.sequencing("keepers erase"), workspace.store.begin() as connection:
        merged = connection.execute(select(profiles.c.id).where(profiles.c.merged_into == profile_id)).scalars()
        gone = erasure.erase(connection, [profile_id, *merged], addresses, clock(), channels)
    return {table: number for table, number in gone.items() if number} | {"suppressed": len(set(addresses))}
