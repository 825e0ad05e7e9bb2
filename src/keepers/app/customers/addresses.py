"""Addresses as requests name them, as the hash that is kept; and which are whose."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of, country_of
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.message import HANDED_OVER
from keepers.store.bulk import select_in
from keepers.store.privacy.personal_data import Owner
from keepers.store.profiles import identities
from keepers.store.schema.core import profiles
from keepers.store.schema.messages import consents, messages
from keepers.warehouse.privacy.personal_data import texts_of_traits

_HASH = re.compile(r"[0-9a-f]{64}")
_TO_ADDRESSES = select(messages.c.channel, messages.c.recipient, messages.c.address_hash).where(
    ~messages.c.recipient.startswith("#"), messages.c.address_hash != ""
)


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


class NamedAddress(NamedTuple):
    """An address that was ever named for a person, as it was written or, where that is not kept, as its hash."""

    channel: str
    written: str
    hash: str
    is_theirs: bool


def owner_of(workspace: Workspace, profile_id: int) -> Owner:
    """Whose data are exported or erased: a person with those merged into them, and the addresses that are theirs."""
    ids, found = [profile_id], [profile_id]
    with workspace.store.read() as connection:
        while found:
            found = list(connection.execute(select(profiles.c.id).where(profiles.c.merged_into.in_(found))).scalars())
            ids += found
    return owner_with(workspace, ids)


def owner_with(workspace: Workspace, profile_ids: Sequence[int]) -> Owner:
    """As `owner_of`, of a person whose profiles are known.

    An address is theirs when a trusted source ever named it; of somebody of whom nobody said who they are, also when it
    was confirmed. What a visitor had confirmed is no customer's whom the visitor is said to be: its reader agreed to
    be written to, not to be that customer.
    """
    named = {(channel, hashed) for channel, _, hashed, is_trusted in _of_traits(workspace, profile_ids) if is_trusted}
    with workspace.store.read() as connection:
        return Owner(profile_ids, sorted(named | _confirmed(connection, profile_ids)))


def named_addresses(workspace: Workspace, owner: Owner) -> list[NamedAddress]:
    """Every address that traits or messages of a person ever had, in order, whoever named it."""
    found = {(channel, written, hashed) for channel, written, hashed, _ in _of_traits(workspace, owner.profile_ids)}
    with workspace.store.read() as connection:
        sent = select_in(connection, _TO_ADDRESSES, messages.c.profile_id, owner.profile_ids)
    found |= {(row.channel, row.recipient, row.address_hash) for row in sent}
    theirs = set(owner.addresses)
    return [NamedAddress(*one, is_theirs=(one[0], one[2]) in theirs) for one in sorted(found)]


def reached_addresses(workspace: Workspace, owner: Owner) -> list[tuple[str, str]]:
    """The addresses of theirs, as (channel, hash), that messages went to or would go to now: not one of long ago, which
    may be somebody else's by now."""
    now = hashes_of(workspace, owner.profile_ids[0])
    with workspace.store.read() as connection:
        went_out = _TO_ADDRESSES.where(messages.c.status.in_(HANDED_OVER))
        sent = select_in(connection, went_out, messages.c.profile_id, owner.profile_ids)
        confirmed = _confirmed(connection, owner.profile_ids)
    return sorted({*now, *confirmed, *((row.channel, row.address_hash) for row in sent)} & set(owner.addresses))


def _of_traits(workspace: Workspace, profile_ids: Sequence[int]) -> list[tuple[str, str, str, bool]]:
    """(channel, as written, hash, whether a trusted source said so) of every address that traits ever had."""
    by_trait = {trait: channel for channel, trait in workspace.addresses.items() if trait}
    texts = texts_of_traits(workspace.warehouse.cursor(), profile_ids, [*by_trait, "country"])
    countries = {country_of({"country": one.text}) for one in texts if one.trait == "country" and one.is_trusted}
    found = []
    for one in texts:
        for country in sorted(countries | {workspace.addresses.country}) if one.trait in by_trait else ():
            channel = by_trait[one.trait]
            if address := address_of(channel, one.text, country):
                found.append((channel, one.text, address_hash(workspace.secret, channel, address), one.is_trusted))
    return found


def _confirmed(connection: Connection, profile_ids: Sequence[int]) -> set[tuple[str, str]]:
    if identities.with_user_id(connection, profile_ids):
        return set()
    columns = consents.c
    pressed = (columns.state == "subscribed", columns.holds_for != "visitor", columns.address_hash != "")
    query = select(columns.channel, columns.address_hash).where(*pressed)
    return {(row.channel, row.address_hash) for row in select_in(connection, query, columns.profile_id, profile_ids)}


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
