"""Erasure: whatever is held of a person is removed for good."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from keepers.app.customers import erasing
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace


class EraseProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName


class Erased(Struct, frozen=True):
    """How many rows of each table are gone, and how many addresses get no marketing any more."""

    events: Annotated[int, Meta(description="Rows of the log.")] = field(name="log")
    warehouse_rows: int
    profiles: Annotated[int, Meta(description="The person, and all that were merged into them.")]
    identities: int
    merges: int
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
    coupons: Annotated[int, Meta(description="Codes that stay taken, by nobody.")]
    audit_log: Annotated[int, Meta(description="Rows that no longer name them.")]
    rejects: Annotated[int, Meta(description="Rows of imports' rejects files.")]
    set_aside_mails: int
    error_lines: int
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

    Everything that is held of them is removed: events, traits, identifiers, merges, messages and copies, runs, consent,
    inbox, browsers, what the audit log knew of them. Keyed hashes stay, by which their addresses get no marketing and
    they are known if they come again in an import; and counts, so that reports still add up. This cannot be undone.
    What files still hold of deleted rows goes with the next compaction.
    """
    now = workspace.clock()
    workspace.ticker.take_in(now)
    removed, suppressed = erasing.erase_person(workspace, workspace.find_profile(request.id), now)
    rows = {name: removed.get(name, 0) for name in Erased.__struct_fields__}
    return Erased(**rows | {"events": removed.get("log", 0), "suppressed": suppressed})
