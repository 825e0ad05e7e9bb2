"""Erasure: a customer's messages, journeys and consent are deleted for good."""

from __future__ import annotations

from msgspec import Struct, field

from keepers.app.customers import erasing
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace


class EraseProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName


class Erased(Struct, frozen=True):
    """How many rows of each table are gone, and how many addresses are never written to again."""

    messages: int
    message_copies: int
    message_history: int
    engagement_requests: int = field(name="link_hits")
    journey_runs: int
    run_history: int = field(name="run_trail")
    entry_rejections: int = field(name="entry_refusals")
    consents: int
    in_app: int
    push_subscriptions: int
    coupons: int
    suppressed: int


@use_case(
    "POST /profiles/{id}/erase",
    permission="manage",
    lock="sequenced",
    tag="profiles",
    problems=(404, 409),
    audit={"id": "profile"},
)
def erase_profile(workspace: Workspace, actor: Actor, request: EraseProfile) -> Erased:
    """Erase a customer for good

    Messages and copies, runs, consent, inbox, browsers and the record of all that are removed, and their addresses
    suppressed. This cannot be undone. The events and traits that arrived of them are not erased by this.
    """
    gone, suppressed = erasing.erase_person(workspace, workspace.find_profile(request.id), workspace.clock())
    return Erased(**gone, suppressed=suppressed)
