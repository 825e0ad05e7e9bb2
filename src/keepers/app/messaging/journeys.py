"""Journeys: figures by step, runs, pausing, and entering or removing customers by hand."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import MOST_NUMBER, Cursor, Limit, Next, RequestedLocale, moment
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.wording import describe
from keepers.i18n.reasons import reason_text
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import entry_words
from keepers.journeys.schema import contact_schema, journey_schema
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.fields import text_in
from keepers.orchestration import run_control
from keepers.playbook.active_playbook import ActivePlaybook, known
from keepers.playbook.shipped.journeys import install_journeys
from keepers.reports import journeys as measure
from keepers.store.journeys import journey_states, runs
from keepers.store.journeys.runs import RunRow

MOST_ENROLLED = 1000
JourneyId = Annotated[str, Meta(description="The journey's id.", examples=["welcome"])]


class ListJourneys(Struct, frozen=True, kw_only=True):
    locale: RequestedLocale = "en"


class ReadJourneySchemas(Struct, frozen=True, kw_only=True):
    """No parameters."""


class ReadJourney(Struct, frozen=True, kw_only=True):
    id: JourneyId
    version: Annotated[int, Meta(description="Only runs of this version.", ge=1, le=1_000_000)] | None = None
    locale: RequestedLocale = "en"


class ListRuns(Struct, frozen=True, kw_only=True):
    id: JourneyId
    status: Annotated[Literal["active", "ended"], Meta(description="Only active runs, or only ended ones.")] | None = (
        None
    )
    limit: Limit = 50
    cursor: Cursor = None


class PauseJourney(Struct, frozen=True, kw_only=True):
    """Why."""

    id: JourneyId
    reason: Annotated[str, Meta(max_length=500, description="The reason, shown while it is paused.")] = ""


class ResumeJourney(Struct, frozen=True, kw_only=True):
    id: JourneyId


class EnrollCustomers(Struct, frozen=True, kw_only=True):
    """Customers, or a segment."""

    id: JourneyId
    profiles: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=512)]],
        Meta(max_length=MOST_ENROLLED, description="Customers, by any identity or `#12`."),
    ] = []
    segment: Annotated[str, Meta(max_length=200, description="Or everybody in this segment now.")] = ""
    data: Annotated[dict[str, Any], Meta(description="Data for the journey's trigger.")] = {}
    dry_run: Annotated[bool, Meta(description="Only count; enter nobody.")] = False


class LeaveJourney(Struct, frozen=True, kw_only=True):
    """Why."""

    run: Annotated[int, Meta(description="The run's number.", ge=1, le=MOST_NUMBER, examples=[1])]
    reason: Annotated[str, Meta(max_length=500, description="The reason, kept with the change.")] = "removed by hand"


class AddStarterJourneys(Struct, frozen=True, kw_only=True):
    """Which starter journeys."""

    ids: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=200)]],
        Meta(min_length=1, max_length=100, description="Starter journeys, as `keepers templates` lists."),
    ]


class ReasonCount(Struct, frozen=True):
    """A reason and how many it stopped."""

    reason: Annotated[str, Meta(description="A code, such as `no_consent`, or a journey's own reason.")]
    says: Annotated[str, Meta(description="The reason as a sentence in the requested language.")]
    number: int


class JourneySummary(Struct, frozen=True):
    """A journey in force."""

    id: str
    name: str
    description: str
    version: int
    is_paused: bool
    entered: int
    active: int
    ended: list[ReasonCount]
    messages: Annotated[dict[str, int], Meta(description="Messages decided on, by status.")]


class JourneyList(Struct, frozen=True):
    items: list[JourneySummary]


class StepReport(Struct, frozen=True):
    """One step, visits counted: entered = waiting + passed + dropped."""

    id: str
    kind: Annotated[str, Meta(description="`message`, `delay` …; empty for a step that is no longer there.")]
    name: str
    entered: int
    waiting: int
    passed: int
    dropped: list[ReasonCount]
    messages: dict[str, int]
    skipped: list[ReasonCount]


class VersionInUse(Struct, frozen=True):
    version: int
    active: int


class JourneyDetail(Struct, frozen=True, rename={"condition": "if"}):
    """A journey in force, step by step."""

    id: str
    name: str
    description: str
    version: int
    is_paused: bool
    entered: int
    active: int
    ended: list[ReasonCount]
    messages: dict[str, int]
    enter: Annotated[list[str], Meta(description="Its entry triggers.")]
    condition: Annotated[str, Meta(description="What must hold besides, as a sentence.")]
    goal: str
    versions: Annotated[list[VersionInUse], Meta(description="Versions that customers are on now.")]
    refused: Annotated[list[ReasonCount], Meta(description="Customers who were not entered, by the last reason.")]
    steps: list[StepReport]
    body: Annotated[Any, Meta(description="The journey, exactly as in the playbook.")]


class JourneyRun(Struct, frozen=True):
    """One customer's run through a journey."""

    id: int
    journey: str
    version: int
    profile: str
    profile_id: int
    status: Literal["active", "ended"]
    reason: str
    step: str | None
    is_paused: Annotated[bool, Meta(description="Whether its journey is paused.")]
    entered_at: datetime
    since: Annotated[datetime, Meta(description="When it came to its step.")]
    wake_at: Annotated[datetime | None, Meta(description="When it is evaluated again by itself.")]
    ended_at: datetime | None
    trigger: dict[str, Any]


class RunPage(Struct, frozen=True):
    items: list[JourneyRun]
    next: Next


class Paused(Struct, frozen=True):
    journey: str
    is_paused: bool
    runs: Annotated[int, Meta(description="Waiting runs that were continued.")] = 0


class Enrolled(Struct, frozen=True):
    """How many are meant, and how many are entry candidates at the next tick."""

    journey: str
    segment: str | None
    count: int
    enrolled: int


class JourneySchemas(Struct, frozen=True):
    """JSON Schemas of what the playbook holds."""

    journey: Annotated[Any, Meta(description="One entry of `journeys:`, with every step under `$defs`.")]
    contact: Annotated[Any, Meta(description="The `contact:` section.")]


class FilesAdded(Struct, frozen=True):
    files: Annotated[list[str], Meta(description="What was written, within the workspace's folder.")]


@use_case("GET /journeys", permission="read")
def list_journeys(workspace: Workspace, actor: Actor, request: ListJourneys) -> JourneyList:
    """List journeys with their figures"""
    live = workspace.active_playbook()
    with workspace.store.read() as connection:
        totals = measure.totals(connection, list(live.playbook.journeys))
    return JourneyList(
        [_summary(live, journey, totals[journey.id], request.locale) for journey in live.playbook.journeys.values()]
    )


@use_case("GET /journeys/schema", permission="read")
def read_journey_schemas(workspace: Workspace, actor: Actor, request: ReadJourneySchemas) -> JourneySchemas:
    """JSON Schemas of journeys

    JSON Schema of a journey with all its steps, entries and waits, and of the contact rules.
    """
    return JourneySchemas(journey_schema(), contact_schema())


@use_case("GET /journeys/{id}", permission="read", problems=(404,))
def read_journey(workspace: Workspace, actor: Actor, request: ReadJourney) -> JourneyDetail:
    """One journey, step by step

    Who entered, waits, passed and dropped out at each step and why; who was not entered and why.
    """
    live, locale = workspace.active_playbook(), request.locale
    found = known(live, request.id)
    with workspace.store.read() as connection:
        figures = measure.figures(connection, request.id, list(found.steps), request.version)
    s = _summary(live, found, figures.totals, locale)
    return JourneyDetail(
        s.id,
        s.name,
        s.description,
        s.version,
        s.is_paused,
        s.entered,
        s.active,
        s.ended,
        s.messages,
        [entry_words(entry) for entry in found.entries],
        describe(found.condition, locale) if found.condition is not None else "",
        describe(found.conditions["goal"], locale) if found.goal is not None else "",
        [VersionInUse(number, active) for number, active in figures.versions.items()],
        _reasons(figures.refused, locale),
        [_step(found, one, locale) for one in figures.steps],
        live.playbook.bodies[f"journey/{request.id}"],
    )


@use_case("GET /journeys/{id}/runs", permission="read", problems=(404,))
def list_runs(workspace: Workspace, actor: Actor, request: ListRuns) -> RunPage:
    """Runs of a journey

    Newest first.
    """
    known(workspace.active_playbook(), request.id)
    listing = ("runs", request.id, request.status)
    secret = workspace.cursor_secret
    before = unseal(secret, listing, request.cursor)[0] if request.cursor is not None else None
    with workspace.store.read() as connection:
        found = measure.listed_runs(connection, request.id, request.status, before, request.limit + 1)
        paused = journey_states.paused(connection)
    kept = found[: request.limit]
    named = names_of(workspace, [run.profile_id for run in kept])
    following = seal(secret, listing, [kept[-1].id]) if len(found) > request.limit else None
    return RunPage([_run(run, named[run.profile_id], paused) for run in kept], following)


@use_case(
    "POST /journeys/{id}/pause",
    permission="send",
    lock="locked",
    problems=(404, 409),
    audit={"id": "target", "reason": "plain"},
)
def pause_journey(workspace: Workspace, actor: Actor, request: PauseJourney) -> Paused:
    """Pause a journey

    Its customers stay at their steps, its messages wait, and new entries wait before the first step.
    """
    run_control.pause(workspace.store, workspace.active_playbook(), request.id, workspace.clock(), request.reason)
    return Paused(request.id, True)


@use_case(
    "POST /journeys/{id}/resume", permission="send", lock="sequenced", problems=(404, 409), audit={"id": "target"}
)
def resume_journey(workspace: Workspace, actor: Actor, request: ResumeJourney) -> Paused:
    """Resume a paused journey

    The pause does not count towards delays.
    """
    woken = run_control.resume(workspace.store, workspace.active_playbook(), request.id, workspace.clock())
    return Paused(request.id, False, woken)


@use_case(
    "POST /journeys/{id}/enroll",
    permission="send",
    lock="locked",
    problems=(404, 422),
    audit={"id": "target", "profiles": "hidden", "segment": "plain", "data": "hidden"},
)
def enroll_customers(workspace: Workspace, actor: Actor, request: EnrollCustomers) -> Enrolled:
    """Enter customers into a journey

    At the next tick; the journey's condition and re-entry rule hold for them too.
    """
    live = workspace.active_playbook()
    known(live, request.id)
    if bool(request.profiles) == bool(request.segment):
        raise UserError(problem("Name either customers or one segment, not both."), code="invalid")
    if request.segment:
        chosen = _members(workspace, live, request.segment)
    else:
        chosen = list(dict.fromkeys(workspace.find_profile(one) for one in request.profiles))
    if not request.dry_run:
        cause = "command" if actor.kind == "command" else "api"
        run_control.enrol(workspace.store, live, request.id, chosen, workspace.clock(), request.data, cause)
    return Enrolled(request.id, request.segment or None, len(chosen), 0 if request.dry_run else len(chosen))


@use_case(
    "POST /journeys/runs/{run}/leave",
    permission="send",
    lock="sequenced",
    problems=(404, 409),
    audit={"run": "run", "reason": "hidden"},
)
def leave_journey(workspace: Workspace, actor: Actor, request: LeaveJourney) -> JourneyRun:
    """Take a customer out of a journey

    What the journey has not sent them yet is not sent.
    """
    run_control.leave(workspace.store, request.run, workspace.clock(), request.reason)
    with workspace.store.read() as connection:
        row = runs.get(connection, request.run)
        paused = journey_states.paused(connection)
    return _run(row, names_of(workspace, [row.profile_id])[row.profile_id], paused)


@use_case(
    "POST /journeys/starters/add", permission="manage", lock="locked", problems=(404, 409), audit={"ids": "target"}
)
def add_starter_journeys(workspace: Workspace, actor: Actor, request: AddStarterJourneys) -> FilesAdded:
    """Copy starter journeys into the playbook's files

    With the derived events, topics and layouts they need. Nothing is in force until the playbook is applied.
    """
    written = install_journeys(workspace.playbook_folder, request.ids)
    return FilesAdded([str(path.relative_to(workspace.folder)) for path in written])


def _summary(live: ActivePlaybook, journey: Journey, totals: measure.Totals, locale: str) -> JourneySummary:
    return JourneySummary(
        journey.id,
        text_in(journey.name, locale) or journey.id,
        text_in(journey.description, locale),
        live.versions[f"journey/{journey.id}"],
        totals.is_paused,
        totals.entered,
        totals.active,
        _reasons(totals.ended, locale),
        totals.messages,
    )


def _step(journey: Journey, counted: measure.StepFigures, locale: str) -> StepReport:
    step = journey.steps.get(counted.id)
    return StepReport(
        counted.id,
        step.head if step is not None else "",
        text_in(step.name, locale) if step is not None else "",
        counted.entered,
        counted.waiting,
        counted.passed,
        _reasons(counted.dropped, locale),
        counted.messages,
        _reasons(counted.skipped, locale),
    )


def _reasons(counted: dict[str, int], locale: str) -> list[ReasonCount]:
    """Reasons with their numbers, the most frequent first."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [ReasonCount(code, reason_text(code, locale), number) for code, number in ordered]


def _run(run: RunRow, profile: str, paused: Collection[str]) -> JourneyRun:
    own = set(JourneyRun.__struct_fields__) - {"profile", "is_paused"}
    return JourneyRun(profile=profile, is_paused=run.journey in paused, **{name: getattr(run, name) for name in own})


def _members(workspace: Workspace, live: ActivePlaybook, name: str) -> list[int]:
    """Who is in a segment as of the last tick."""
    at: datetime = moment(workspace, None)
    segments = live.playbook.segments
    if name not in segments:
        raise NotFoundError(problem("There is no segment “{name}” in force.", near=nearest(name, segments), name=name))
    if segments[name].of != "person":
        raise UserError(
            problem("“{name}” is a segment of accounts; journeys are entered by people.", name=name), code="invalid"
        )
    cursor = workspace.evaluator.as_of(workspace.active_queries(at), [f"segment:{name}"], at)
    rows = cursor.execute("SELECT profile_id FROM asof_states WHERE value = 1 ORDER BY profile_id").fetchall()
    return [int(row[0]) for row in rows]
