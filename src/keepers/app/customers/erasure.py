"""Erasure: what is kept of a customer's messages, journeys and consent goes for good."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.contact.addresses import address_of, country_of
from keepers.model.consent import address_hash
from keepers.store.profiles import erasure
from keepers.store.schema.core import profiles
from keepers.warehouse.profile_lookup import people


class EraseProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName


class Erased(Struct, frozen=True):
    """How many rows of each table are gone, and how many addresses are never written to again."""

    messages: int
    message_copies: int
    message_history: int
    link_hits: int
    journey_runs: int
    run_trail: int
    entry_refusals: int
    consents: int
    in_app: int
    push_subscriptions: int
    coupons: int
    suppressed: int


@use_case("POST /profiles/{id}/erase", permission="manage", lock="sequenced", tag="profiles", problems=(404, 409))
def erase_profile(workspace: Workspace, actor: Actor, request: EraseProfile) -> Erased:
    """Erase a customer for good

    Messages and copies, runs, consent, inbox, browsers and the record of all that are removed, and their addresses
    suppressed. There is no way back. The events and traits that arrived of them are not erased by this.
    """
    profile_id = workspace.find_profile(request.id)
    person = people(workspace.warehouse, [profile_id]).get(profile_id)
    traits = person.traits if person is not None else {}
    country = country_of(traits) or workspace.addresses.country
    channels = {channel: trait for channel, trait in workspace.addresses.items() if trait}
    addresses = {
        (channel, address_hash(workspace.secret, channel, address))
        for channel, trait in channels.items()
        if (address := address_of(channel, traits.get(trait), country))
    }
    with workspace.store.begin() as connection:
        merged = connection.execute(select(profiles.c.id).where(profiles.c.merged_into == profile_id)).scalars()
        gone = erasure.erase(connection, [profile_id, *merged], sorted(addresses), clock(), channels)
    return Erased(**gone, suppressed=len(addresses))
