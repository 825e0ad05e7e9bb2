"""Why and why not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from keepers.app.workspace.common_fields import Instant, shown
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.journeys.entry.definitions import entry_words
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, nearest
from keepers.playbook.active_playbook import known
from keepers.reports import why as measure_why
from keepers.warehouse.profile_lookup import people, recipient_of


class Told(Struct, frozen=True):
    """One thing that happened or was decided."""

    at: Instant
    kind: Literal["run", "entry", "message", "consent", "suppression"]
    code: Annotated[str, Meta(description="`entered`, `waits`, `ended`, `refused`, `skipped`, `sent` …")]
    says: Annotated[str, Meta(description="The same as a sentence in the language asked for.")]
    reason: Annotated[str, Meta(description="The rule that decided: `no_consent`, `cap.email.1d`, `already_entered` …")]
    journey: str
    step: str
    run: int | None
    message: int | None
    data: dict[str, Any]


class Waiting(Struct, frozen=True):
    """A journey the customer is in."""

    run: int
    journey: str
    version: int
    step: str
    since: Instant
    until: Annotated[Instant | None, Meta(description="The latest moment at which it goes on.")]
    waits_for: Annotated[str, Meta(description="The condition waited for, as a sentence.")]
    leaves: Annotated[list[str], Meta(description="Goal and exits: what ends it at once.")]
    is_paused: bool
    says: str


class NotYet(Struct, frozen=True):
    says: str
    enter: list[str]


class Why(Struct, frozen=True):
    """Everything about one customer's journeys, messages and consent, oldest first."""

    profile: str
    profile_id: int
    as_of: Instant
    waiting: list[Waiting]
    lines: list[Told]
    not_yet: Annotated[
        NotYet | None, Meta(description="Of the journey asked about, when nothing has brought the customer to it.")
    ] = None


def why(
    workspace: Workspace,
    progress: Progress,
    name: str,
    journey: str | None = None,
    message: str | None = None,
    locale: str = "en",
) -> Any:
    """Why a customer is where they are: everything that happened and was decided, in order of time."""
    live = workspace.in_force()
    profile_id = workspace.find_profile(name)
    if journey is not None:
        known(live, journey)
    if message is not None and message not in live.playbook.messages:
        raise NotFoundError(f"There is no message “{message}” in force.{nearest(message, live.playbook.messages)}")
    person = people(workspace.warehouse, [profile_id]).get(profile_id)
    hashes: set[str] = set()
    if person is not None:
        profile_id = person.profile_id
        reached = ((c, recipient_of(person, c, workspace.addresses)) for c in workspace.addresses)
        hashes = {address_hash(workspace.secret, channel, recipient) for channel, recipient in reached if recipient}
    names = measure_why.SentenceNames(live.playbook.topics, workspace.zone, locale)
    with workspace.store.read() as connection:
        found = measure_why.why(connection, profile_id, names, hashes, journey, message)
    told = shown(found) | {"profile": names_of(workspace, [profile_id])[profile_id], "as_of": shown(workspace.now())}
    if journey is not None and not found.waiting and not any(one.kind in ("run", "entry") for one in found.lines):
        told["not_yet"] = {
            "says": measure_why.never_came(journey, locale),
            "enter": [entry_words(entry) for entry in live.playbook.journeys[journey].entries],
        }
    return told
