"""Definitions, check, plan, apply, templates."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast, get_args

import msgspec
from msgspec import Meta, Struct

from keepers.app.messaging.sending_status import company_remarks
from keepers.app.operations import maintenance
from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, moment, shown
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.journeys.version_change import How
from keepers.model.errors import DefinitionError, UserError
from keepers.model.texts import text_in
from keepers.playbook import files as playbook_files
from keepers.playbook.check import Finding, check
from keepers.playbook.load import Playbook, PlaybookErrors, load
from keepers.playbook.plan import make_plan
from keepers.playbook.shipped import lifecycles
from keepers.playbook.shipped.journeys import starters as shipped_starters
from keepers.store import definitions as store_definitions
from keepers.store.journeys import runs

DefinitionKind = Literal[
    "event",
    "segment",
    "lifecycle",
    "rhythm",
    "topic",
    "contact",
    "coupon",
    "snippet",
    "message",
    "journey",
    "broadcast",
]


class DefinitionSummary(Struct, frozen=True):
    kind: DefinitionKind
    id: str
    version: Annotated[int, Meta(ge=1)]
    applied_at: Instant
    body: Annotated[Any, Meta(description="The definition, as plain data.")]


class DefinitionList(Struct, frozen=True):
    items: list[DefinitionSummary]


class Version(Struct, frozen=True):
    version: Annotated[int, Meta(ge=1)]
    applied_at: Instant
    is_active: bool
    body: Any


class DefinitionVersions(Struct, frozen=True):
    """Every version of one definition, oldest first."""

    kind: DefinitionKind
    id: str
    versions: list[Version]


class PlaybookFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """Files of the playbook folder, by name. Files that are not named stay as they are."""

    files: dict[str, str | None] = {}


class PlannedChange(Struct, frozen=True):
    key: Annotated[str, Meta(description="Such as `segment/vip`.")]
    action: Literal["add", "change", "remove"]
    file: str
    line: int | None
    answers_change: Annotated[bool, Meta(description="False for an edit of names and texts alone.")]


class Flow(Struct, frozen=True):
    """A segment (stage `in`) or one stage: how many are in it, would be, would come and go."""

    definition: str
    stage: str
    before: int
    after: int
    enter: int
    leave: int


class Plan(Struct, frozen=True):
    now: Instant
    changes: list[PlannedChange]
    flows: list[Flow]
    refits_rhythm: Annotated[bool, Meta(description="Whether the rhythm's figures would be revised.")]


class AppliedChange(Struct, frozen=True):
    key: str
    action: Literal["add", "change", "remove"]


class Applied(Struct, frozen=True):
    applied: list[AppliedChange]
    files: Annotated[list[str], Meta(description="Playbook files that were written or taken away.")]


def _files(data: Any) -> playbook_files.Files:
    try:
        return msgspec.convert(data, PlaybookFiles).files
    except msgspec.ValidationError as error:
        raise UserError(f"The body cannot be used: {error}.", code="body", field="files") from None


def _kind(found: store_definitions.AppliedVersion) -> DefinitionKind:
    return found.kind  # type: ignore[return-value]


def check_playbook(workspace: Workspace, progress: Progress) -> Any:
    """Every finding about the playbook's files."""
    try:
        playbook = load(workspace.playbook_folder, workspace.zone)
    except PlaybookErrors as wrong:
        return {
            "errors": len(wrong.errors),
            "warnings": 0,
            "findings": [
                {"level": "error", "file": e.file, "line": e.line, "field": e.field, "message": e.reason}
                for e in wrong.errors
            ],
        }
    found = check(playbook, workspace.warehouse.schema(clock()))
    remarks = company_remarks(workspace.settings, playbook)
    found += [Finding("warning", "keepers.toml", None, field, sentence) for field, sentence in remarks]
    errors = sum(f.level == "error" for f in found)
    return {
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [msgspec.to_builtins(f) for f in found],
        "definitions": len(playbook.bodies),
    }


def wanted_playbook(workspace: Workspace) -> Playbook:
    """The playbook's files, refused when anything is wrong with them."""
    playbook = load(workspace.playbook_folder, workspace.zone)
    wrong = [f for f in check(playbook) if f.level == "error"]
    if wrong:
        raise PlaybookErrors([DefinitionError(f.message, field=f.field, file=f.file, line=f.line) for f in wrong])
    return playbook


def plan(workspace: Workspace, progress: Progress, now: str | None = None) -> Any:
    """What applying the playbook would change, with the numbers."""
    at = moment(workspace, now)
    workspace.ticker.load()
    live = workspace.in_force()
    found = make_plan(live, wanted_playbook(workspace), workspace.answerer, at)
    changed = [c.key.removeprefix("journey/") for c in found.changes if c.key.startswith("journey/")]
    return shown(found) | {"runs": active_runs(workspace, changed)}


def apply(workspace: Workspace, progress: Progress, running: str = "finish") -> Any:
    """Makes the playbook the one in force; takes part in the next tick. `running`: finish, move or exit."""
    if running not in get_args(How):
        raise UserError(f"“{running}” is no choice for runs on older versions: finish, move or exit.", code="running")
    return maintenance.apply_and_publish(workspace, wanted_playbook(workspace), cast(How, running))


def active_runs(workspace: Workspace, journeys: list[str]) -> dict[str, int]:
    """How many customers are in each of some journeys: whom an edit touches."""
    with workspace.store.read() as connection:
        counted = {name: runs.counts(connection, name).active for name in journeys}
    return {name: number for name, number in counted.items() if number}


def templates(workspace: Workspace | None, progress: Progress, locale: str = "en") -> Any:
    """Lifecycle templates: stages, and which words they use; in a workspace also what can't be seen yet."""
    schema = workspace.warehouse.schema(clock()) if workspace is not None else None
    playbook: Playbook | None = None
    if workspace is not None:
        try:
            playbook = load(workspace.playbook_folder, workspace.zone)
        except PlaybookErrors:
            playbook = None
    found = []
    for template in lifecycles.templates().values():
        blind = lifecycles.blind_words(template, schema, playbook) if schema is not None and schema.events else []
        found.append(
            {
                "id": template.id,
                "name": text_in(template.name, locale),
                "description": text_in(template.description, locale),
                "stages": [
                    {"id": s.id, "name": text_in(s.name, locale)}
                    for s in lifecycles.shipped().lifecycles[template.id].stages
                ],
                "words": msgspec.to_builtins(template.words),
                "cannot_see": [
                    {"word": b.word, "map_one_of": list(b.events), "stages": list(b.stages), "empty": list(b.empty)}
                    for b in blind
                ],
            }
        )
    return found


def starters(locale: str = "en") -> list[dict[str, Any]]:
    """Starter journeys: what each does, and the words and segments it asks about."""
    return [
        {
            "id": one.id,
            "name": text_in(one.name, locale),
            "description": text_in(one.description, locale),
            "needs": sorted(one.needs),
        }
        for one in shipped_starters().values()
    ]
