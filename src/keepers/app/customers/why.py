"""The explanation of a customer's journeys, messages and consent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName, RequestedLocale
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.workspace import Workspace
from keepers.journeys.entry.definitions import entry_words
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.playbook.active_playbook import known
from keepers.reports import why as measure_why
from keepers.reports.why_lines import Waiting, WhyLine
from keepers.warehouse.profile_lookup import load_profiles, recipient_of


class ExplainProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName
    journey: Annotated[str, Meta(description="Only about this journey.")] | None = None
    message: Annotated[str, Meta(description="Only about this message template.")] | None = None
    locale: RequestedLocale = "en"


class NotYet(Struct, frozen=True):
    says: str
    enter: list[str]


class ProfileWhy(Struct, frozen=True):
    """Everything about one customer's journeys, messages and consent, oldest first."""

    profile: str
    profile_id: int
    as_of: datetime
    waiting: tuple[Waiting, ...]
    lines: tuple[WhyLine, ...]
    not_yet: Annotated[
        NotYet | None, Meta(description="Of the requested journey, when the customer has never met one of its entries.")
    ] = None


@use_case("GET /profiles/{id}/why", permission="read", tag="journeys", problems=(404,))
def explain_profile(workspace: Workspace, actor: Actor, request: ExplainProfile) -> ProfileWhy:
    """Why a customer is where they are

    Everything that happened and was decided, in order of time, and by which rule.
    """
    live = workspace.active_playbook()
    profile_id = workspace.find_profile(request.id)
    journey, message, locale = request.journey, request.message, request.locale
    if journey is not None:
        known(live, journey)
    if message is not None and message not in live.playbook.messages:
        raise NotFoundError(
            problem(
                "There is no message “{name}” in force.",
                near=nearest(message, live.playbook.messages),
                name=message,
            )
        )
    person = load_profiles(workspace.warehouse, [profile_id]).get(profile_id)
    hashes: set[str] = set()
    if person is not None:
        profile_id = person.profile_id
        reached = ((c, recipient_of(person, c, workspace.addresses)) for c in workspace.addresses)
        hashes = {address_hash(workspace.secret, channel, recipient) for channel, recipient in reached if recipient}
    names = measure_why.SentenceNames(live.playbook.topics, workspace.zone, locale)
    with workspace.store.read() as connection:
        found = measure_why.why(connection, profile_id, names, hashes, journey, message)
    not_yet = None
    if journey is not None and not found.waiting and not any(one.kind in ("run", "entry") for one in found.lines):
        enter = [entry_words(entry) for entry in live.playbook.journeys[journey].entries]
        not_yet = NotYet(measure_why.never_came(journey, locale), enter)
    named = names_of(workspace, [profile_id])[profile_id]
    return ProfileWhy(named, profile_id, workspace.now(), found.waiting, found.lines, not_yet)
