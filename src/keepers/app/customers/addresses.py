"""Addresses as requests name them: checked, and as the hash that is kept."""

from __future__ import annotations

import re

from sqlalchemy import select

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of, country_of
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.store.profiles.personal_data import Owner
from keepers.store.schema.core import profiles
from keepers.warehouse.profile_lookup import load_profiles

_HASH = re.compile(r"[0-9a-f]{64}")


def hashed_address(workspace: Workspace, channel: str, address: str) -> str:
    """The keyed hash of an address; a hash is returned as it is. Raises UserError."""
    if not address.strip():
        raise UserError(problem("The address is empty."), field="address")
    if _HASH.fullmatch(address):
        return address
    written = address_of(channel, address, workspace.addresses.country)
    if mistake := CHANNELS[channel].mistake(written):
        raise UserError(mistake, field="address")
    return address_hash(workspace.secret, channel, written)


def require_channel(channel: str) -> None:
    """Raises NotFoundError for an unknown channel."""
    if channel not in CHANNELS:
        raise NotFoundError(
            problem("There is no channel “{channel}”.", near=nearest(channel, CHANNELS), channel=channel),
            field="channel",
        )


def owner_of(workspace: Workspace, profile_id: int) -> Owner:
    """Whose data are exported or erased: a person with those merged into them, and the addresses they have now."""
    person = load_profiles(workspace.warehouse, [profile_id]).get(profile_id)
    traits = person.traits if person is not None else {}
    country = country_of(traits) or workspace.addresses.country
    addresses = {
        (channel, address_hash(workspace.secret, channel, address))
        for channel, trait in workspace.addresses.items()
        if trait and (address := address_of(channel, traits.get(trait), country))
    }
    ids, found = [profile_id], [profile_id]
    with workspace.store.read() as connection:
        while found:
            found = list(connection.execute(select(profiles.c.id).where(profiles.c.merged_into.in_(found))).scalars())
            ids += found
    return Owner(ids, sorted(addresses))
