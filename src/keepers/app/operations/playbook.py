"""The playbook: the active version, check, plan, apply."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from keepers.app.messaging.sending_status import company_remarks
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Now, RequestedLocale, moment
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.i18n.findings import sentence
from keepers.i18n.problems import problem_text
from keepers.journeys.version_change import How
from keepers.model.errors import NotFoundError, problem
from keepers.orchestration.run_control import publish
from keepers.playbook import files as playbook_files
from keepers.playbook.apply import apply_playbook as apply_definitions
from keepers.playbook.changes import MOST_FILES, DefinitionChange, Flow
from keepers.playbook.check import Finding, check, check_trust
from keepers.playbook.load import Playbook, PlaybookErrors
from keepers.playbook.plan import make_plan, proposed_figures
from keepers.scores.rhythm import Fit
from keepers.store import definitions as store_definitions
from keepers.store.journeys import runs
from keepers.warehouse.arrivals import currencies_seen, emptied_events, rows_by_trust, unrated_amounts

DefinitionKind = Literal[
    "event",
    "segment",
    "lifecycle",
    "rhythm",
    "topic",
    "contact",
    "currencies",
    "coupon",
    "snippet",
    "message",
    "journey",
    "broadcast",
]
_EXAMPLE = "segments:\n  - id: regulars\n    name: Regulars\n    who: {did: Order Completed, count: {gte: 5}}\n"
FilesByName = Annotated[
    dict[str, str | None],
    Meta(
        description=f"Name (`vip.yaml`, no folders) → YAML text; null removes the file. At most "
        f"{MOST_FILES}. Files that are not named stay as they are."
    ),
]


class PlaybookFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """The playbook folder is what is applied, with these files written into it."""

    files: FilesByName = {}


class ListDefinitions(Struct, frozen=True, kw_only=True):
    kind: Annotated[DefinitionKind | None, Meta(description="Only of this kind.")] = None


class ReadDefinition(Struct, frozen=True, kw_only=True):
    kind: Annotated[DefinitionKind, Meta(description="The kind of definition.", examples=["lifecycle"])]
    id: Annotated[str, Meta(description="The definition's id.", examples=["value"])]


class CheckPlaybook(Struct, frozen=True, kw_only=True):
    """The playbook folder, with the files sent in place of those there."""

    files: FilesByName = {}
    locale: RequestedLocale = "en"


class PlanPlaybook(Struct, frozen=True, kw_only=True):
    playbook: Annotated[
        PlaybookFiles,
        Meta(
            description="The playbook folder is what is applied, with these files written into it.",
            examples=[{"files": {"regulars.yaml": _EXAMPLE}}, {"files": {}}],
        ),
    ] = PlaybookFiles()
    now: Now = None
    locale: RequestedLocale = "en"


class ApplyPlaybook(Struct, frozen=True, kw_only=True):
    """The playbook folder is what is applied, with these files written into it."""

    files: FilesByName = {}
    running: Annotated[
        str,
        Meta(
            description="What happens to customers in older versions of changed journeys: they `finish` on theirs, "
            "`move` to the new one step for step, or `exit`.",
            pattern="^(finish|move|exit)$",
        ),
    ] = "finish"


class DefinitionSummary(Struct, frozen=True):
    kind: DefinitionKind
    id: str
    version: Annotated[int, Meta(ge=1)]
    applied_at: datetime
    body: Annotated[Any, Meta(description="The definition, as plain data.")]


class DefinitionList(Struct, frozen=True):
    items: list[DefinitionSummary]


class DefinitionVersion(Struct, frozen=True):
    version: Annotated[int, Meta(ge=1)]
    applied_at: datetime
    is_active: bool
    body: Any


class DefinitionVersions(Struct, frozen=True):
    """Every version of one definition, oldest first."""

    kind: DefinitionKind
    id: str
    versions: list[DefinitionVersion]


class PlaybookFinding(Struct, frozen=True):
    """One thing that is wrong with the playbook, and where."""

    level: Literal["error", "warning"]
    file: str
    line: int | None
    field: Annotated[str, Meta(description="Such as `segment/vip.who`.")]
    message: Annotated[str, Meta(description="What is wrong and the remedy, in the requested language.")]
    code: Annotated[str, Meta(description="Stable and machine-readable.")]


class CheckedPlaybook(Struct, frozen=True):
    """Every finding. Errors keep a playbook from being applied, warnings do not."""

    errors: Annotated[int, Meta(ge=0)]
    warnings: Annotated[int, Meta(ge=0)]
    findings: list[PlaybookFinding]
    definitions: Annotated[int, Meta(ge=0, description="How many there are; 0 when the files cannot be read.")]


class PlaybookPlan(Struct, frozen=True):
    now: datetime
    changes: tuple[DefinitionChange, ...]
    flows: tuple[Flow, ...]
    refits_rhythm: Annotated[bool, Meta(description="Whether the rhythm's figures would be revised.")]
    fit: Annotated[Fit | None, Meta(description="The revised figures.")]
    runs: Annotated[
        dict[str, int], Meta(description="Journeys that would change, with how many customers are in each.")
    ]
    warnings: Annotated[
        list[PlaybookFinding],
        Meta(
            description="What check warns about trust: journeys that wait for events of a server's key, with how many "
            "events of public keys do not start them, and journeys that anybody may start; and events whose properties "
            "retention removed before anything named them."
        ),
    ]


class AppliedChange(Struct, frozen=True):
    key: Annotated[str, Meta(description="Such as `segment/vip`.")]
    action: Literal["add", "change", "remove"]


class AppliedPlaybook(Struct, frozen=True):
    applied: list[AppliedChange]
    fit: Annotated[Fit | None, Meta(description="The rhythm's figures, where they were revised and frozen.")]
    runs: Annotated[dict[str, int], Meta(description="Changed journeys, with how many runs were moved or ended.")]
    files: Annotated[list[str], Meta(description="Playbook files that were written or removed.")]


@use_case("GET /definitions", permission="read")
def list_definitions(workspace: Workspace, actor: Actor, request: ListDefinitions) -> DefinitionList:
    """The active playbook"""
    with workspace.store.read() as connection:
        found = store_definitions.active(connection, request.kind)
    return DefinitionList(
        [
            DefinitionSummary(d.kind, d.id, d.version, d.applied_at, msgspec.json.decode(d.body))  # type: ignore[arg-type]
            for d in found
            if d.kind != "fit"
        ]
    )


@use_case("GET /definitions/{kind}/{id}", permission="read", problems=(404,))
def read_definition(workspace: Workspace, actor: Actor, request: ReadDefinition) -> DefinitionVersions:
    """Every version of one definition"""
    with workspace.store.read() as connection:
        found = store_definitions.versions(connection, request.kind, request.id)
    if not found:
        raise NotFoundError(problem("There never was a {kind} “{id}”.", kind=request.kind, id=request.id))
    listed = [DefinitionVersion(d.version, d.applied_at, d.active, msgspec.json.decode(d.body)) for d in found]
    return DefinitionVersions(request.kind, request.id, listed)


@use_case("POST /definitions/check", permission="read", problems=(422,))
def check_playbook(workspace: Workspace, actor: Actor, request: CheckPlaybook) -> CheckedPlaybook:
    """Check the playbook's files

    Every finding: mistakes, unknown names, unreachable stages. Changes nothing.
    """
    try:
        playbook = playbook_files.tried(workspace.playbook_folder, workspace.zone, request.files)
    except PlaybookErrors as wrong:
        unreadable = [
            PlaybookFinding("error", e.file, e.line, e.field, problem_text(e.problem, request.locale), e.code)
            for e in wrong.errors
        ]
        return CheckedPlaybook(len(unreadable), 0, unreadable, 0)
    currencies = partial(currencies_seen, workspace.warehouse)
    unrated = partial(unrated_amounts, workspace.warehouse)
    trust = partial(rows_by_trust, workspace.warehouse)
    found = check(playbook, workspace.warehouse.schema(workspace.clock()), currencies, unrated, trust)
    remarks = company_remarks(workspace.settings, playbook)
    found += [Finding("warning", "keepers.toml", None, field, sentence) for field, sentence in remarks]
    errors = sum(f.level == "error" for f in found)
    listed = _listed(found, request.locale)
    return CheckedPlaybook(errors, len(found) - errors, listed, len(playbook.bodies))


def _listed(found: Iterable[Finding], locale: str) -> list[PlaybookFinding]:
    return [
        PlaybookFinding(f.level, f.file, f.line, f.field, f.sentence.in_locale(locale), f.sentence.inner.code)
        for f in found
    ]


@use_case("POST /definitions/plan", permission="read", problems=(422,), body="playbook")
def plan_playbook(workspace: Workspace, actor: Actor, request: PlanPlaybook) -> PlaybookPlan:
    """Plan: what applying would change, with the numbers

    Reads the playbook folder, with the files sent in place of those there. Changes nothing.
    """
    # As of one moment: a tick meanwhile changes none of the figures, so nothing has to wait for this.
    at = moment(workspace, request.now)
    wanted = playbook_files.checked(workspace.playbook_folder, workspace.zone, request.playbook.files)
    found = make_plan(workspace.active_playbook(), wanted, workspace.evaluator, at)
    active = _active_runs(workspace, (c.key for c in found.changes))
    fit = found.figures.get("rhythm")
    trust = check_trust(wanted, partial(rows_by_trust, workspace.warehouse))
    warnings = _listed([*trust, *_emptied(workspace, wanted)], request.locale)
    return PlaybookPlan(found.now, found.changes, found.flows, fit is not None, fit, active, warnings)


def _emptied(workspace: Workspace, wanted: Playbook) -> list[Finding]:
    """The events that a playbook names for the first time after retention took the JSON of some."""
    named = msgspec.structs.replace(workspace.active_playbook(), playbook=wanted).named()
    return [
        Finding("warning", "playbook", None, event, sentence("emptied_rows", event=event, number=number))
        for event, number in emptied_events(workspace.warehouse, named).items()
    ]


@use_case(
    "POST /definitions/apply",
    permission="manage",
    lock="sequenced",
    problems=(409, 422),
    audit={"files": "names", "running": "plain"},
)
def apply_playbook(workspace: Workspace, actor: Actor, request: ApplyPlaybook) -> AppliedPlaybook:
    """Apply the playbook

    Writes the files sent into the playbook folder, all of them or none, and applies the folder. What is applied takes
    part in the next tick, without a restart. Scores' figures are revised when it is time to.
    """
    wanted = playbook_files.checked(workspace.playbook_folder, workspace.zone, request.files)
    with playbook_files.written(workspace.playbook_folder, request.files):
        return _apply(workspace, wanted, request.running, sorted(request.files))  # type: ignore[arg-type]


def _apply(workspace: Workspace, playbook: Playbook, running: How, files: list[str]) -> AppliedPlaybook:
    """`running` says what becomes of runs on older versions of the journeys that changed."""
    now = workspace.clock()
    figures = proposed_figures(workspace.active_playbook(), playbook, workspace.evaluator, workspace.now())
    done = apply_definitions(workspace.store, playbook, now, figures, workspace.zone)
    live = workspace.active_playbook()
    journeys = _journeys(c.key for c in done if c.action != "add")
    moved = {name: publish(workspace.store, live, workspace.zone, name, running, now) for name in journeys}
    changes = [AppliedChange(c.key, c.action) for c in done]
    return AppliedPlaybook(
        changes, figures.get("rhythm"), {name: number for name, number in moved.items() if number}, files
    )


def _active_runs(workspace: Workspace, keys: Iterable[str]) -> dict[str, int]:
    """How many customers are in each of the journeys among some definitions."""
    with workspace.store.read() as connection:
        counted = {name: runs.counts(connection, name).active for name in _journeys(keys)}
    return {name: number for name, number in counted.items() if number}


def _journeys(keys: Iterable[str]) -> list[str]:
    return [key.removeprefix("journey/") for key in keys if key.startswith("journey/")]
