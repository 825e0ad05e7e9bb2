"""Addresses as requests name them: checked, and as the hash that is kept."""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy import select

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of, country_of
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.store.privacy.personal_data import Owner
from keepers.store.schema.core import profiles

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
    addresses = hashes_of(workspace, profile_id)
    ids, found = [profile_id], [profile_id]
    with workspace.store.read() as connection:
        while found:
            found = list(connection.execute(select(profiles.c.id).where(profiles.c.merged_into.in_(found))).scalars())
            ids += found
    return Owner(ids, addresses)


def hashes_of(workspace: Workspace, profile_id: int) -> list[tuple[str, str]]:
    """The addresses a customer has now, as (channel, keyed hash): not those that anybody may have named."""
    return sorted(hashes_by_channel(workspace, [profile_id]).get(profile_id, {}).items())


def hashes_by_channel(workspace: Workspace, profile_ids: Collection[int]) -> dict[int, dict[str, str]]:
    """Profile → channel → the keyed hash of the address there, as `hashes_of`."""
    found: dict[int, dict[str, str]] = {}
    for who, traits in workspace.sending.traits_of(profile_ids).items():
        country = country_of(traits) or workspace.addresses.country
        found[who] = {
            channel: address_hash(workspace.secret, channel, address)
            for channel, trait in workspace.addresses.items()
            if trait and (address := address_of(channel, traits.get(trait), country))
        }
    return found
