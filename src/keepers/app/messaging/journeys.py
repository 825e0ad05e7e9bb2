"""Commands about journeys: how they do, pausing, entering customers by hand, and why somebody is where they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from keepers.app.customers.why import why
from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, Next, moment, shown
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.wording import describe
from keepers.i18n.reasons import reason
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import (
    entry_words,
)
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.model.texts import text_in
from keepers.orchestration import run_control
from keepers.playbook.active_playbook import ActivePlaybook, known
from keepers.reports import journeys as measure
from keepers.store.journeys import runs
from keepers.store.journeys.runs import RunRow


def journeys(workspace: Workspace, progress: Progress, locale: str = "en") -> Any:
    """Every journey in force in one line."""
    live = workspace.in_force()
    with workspace.store.read() as connection:
        totals = measure.totals(connection, list(live.playbook.journeys))
    return [_summary(live, journey, totals[journey.id], locale) for journey in live.playbook.journeys.values()]


def journey(workspace: Workspace, progress: Progress, name: str, version: int | None = None, locale: str = "en") -> Any:
    """One journey step by step: who entered, waits, passed, dropped out and why, and who was not let in."""
    live = workspace.in_force()
    found = known(live, name)
    with workspace.store.read() as connection:
        figures = measure.figures(connection, name, list(found.steps), version)
    steps = []
    for one in figures.steps:
        step = found.steps.get(one.id)
        steps.append(
            msgspec.to_builtins(one)
            | {
                "kind": step.head if step is not None else "",
                "name": text_in(step.name, locale) if step is not None else "",
                "dropped": _reasons(one.dropped, locale),
                "skipped": _reasons(one.skipped, locale),
            }
        )
    return _summary(live, found, figures.totals, locale) | {
        "enter": [entry_words(entry) for entry in found.entries],
        "if": describe(found.condition, locale) if found.condition is not None else "",
        "goal": describe(found.conditions["goal"], locale) if found.goal is not None else "",
        "versions": [{"version": number, "active": active} for number, active in figures.versions.items()],
        "ended": _reasons(figures.totals.ended, locale),
        "refused": _reasons(figures.refused, locale),
        "steps": steps,
        "body": live.playbook.bodies[f"journey/{name}"],
    }


def journey_runs(
    workspace: Workspace,
    progress: Progress,
    name: str,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Any:
    """Runs of a journey, newest first; `before` is the number to go on from."""
    known(workspace.in_force(), name)
    with workspace.store.read() as connection:
        found = measure.listed_runs(connection, name, status, before, limit)
    named = names_of(workspace, [run.profile_id for run in found])
    return [_run(run, named[run.profile_id]) for run in found]


def pause_journey(workspace: Workspace, progress: Progress, name: str, reason: str = "") -> Any:
    """Stops a journey where it is."""
    run_control.pause(workspace.store, workspace.in_force(), name, clock(), reason)
    return {"journey": name, "is_paused": True}


def resume_journey(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Lets a journey go on; how many runs it wakes."""
    with workspace.sequencing("keepers journey resume"):
        woken = run_control.resume(workspace.store, workspace.in_force(), name, clock())
    return {"journey": name, "is_paused": False, "runs": woken}


def enroll(
    workspace: Workspace,
    progress: Progress,
    name: str,
    profiles: list[str] | None = None,
    segment: str | None = None,
    data: dict[str, Any] | None = None,
    yes: bool = False,
    cause: str = "command",
) -> Any:
    """Asks for customers to enter a journey at the next tick; a segment only with `yes`, else it is counted alone."""
    live = workspace.in_force()
    known(live, name)
    if bool(profiles) == (segment is not None):
        raise UserError("Name customers, or one segment with --segment: one of both.", code="invalid")
    if segment is not None:
        chosen = _members(workspace, live, segment)
    else:
        chosen = list(dict.fromkeys(workspace.find_profile(one) for one in profiles or []))
    wanted = yes or segment is None
    if wanted:
        run_control.enrol(workspace.store, live, name, chosen, clock(), data, cause)
    return {"journey": name, "segment": segment, "count": len(chosen), "enrolled": len(chosen) if wanted else 0}


def leave(workspace: Workspace, progress: Progress, run: int, reason: str = "removed by hand") -> Any:
    """Takes one customer out of a journey."""
    with workspace.sequencing("keepers leave"):
        run_control.leave(workspace.store, run, clock(), reason)
    with workspace.store.read() as connection:
        row = runs.get(connection, run)
    return _run(row, names_of(workspace, [row.profile_id])[row.profile_id])


def _summary(live: ActivePlaybook, journey: Journey, totals: measure.Totals, locale: str) -> dict[str, Any]:
    return {
        "id": journey.id,
        "name": text_in(journey.name, locale) or journey.id,
        "description": text_in(journey.description, locale),
        "version": live.versions[f"journey/{journey.id}"],
        "is_paused": totals.is_paused,
        "entered": totals.entered,
        "active": totals.active,
        "ended": _reasons(totals.ended, locale),
        "messages": totals.messages,
    }


def _reasons(counted: dict[str, int], locale: str) -> list[dict[str, Any]]:
    """Reasons with their numbers, the most frequent first."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": code, "says": reason(code, locale), "number": number} for code, number in ordered]


def _run(run: RunRow, profile: str) -> dict[str, Any]:
    names = ("id", "journey", "version", "status", "reason", "step", "is_paused", "is_test")
    instants = ("entered_at", "since", "wake_at", "ended_at")
    told = {name: getattr(run, name) for name in names} | {name: shown(getattr(run, name)) for name in instants}
    return told | {"profile": profile, "profile_id": run.profile_id, "trigger": shown(run.trigger)}


def _members(workspace: Workspace, live: ActivePlaybook, name: str) -> list[int]:
    """Who is in a segment as of the last tick."""
    at: datetime = moment(workspace, None)
    segments = live.playbook.segments
    if name not in segments:
        raise NotFoundError(f"There is no segment “{name}” in force.{nearest(name, segments)}")
    if segments[name].of != "person":
        raise UserError(f"“{name}” is a segment of accounts; journeys are entered by people.", code="invalid")
    cursor = workspace.answerer.as_of(workspace.standing(at), [f"segment:{name}"], at)
    rows = cursor.execute("SELECT profile_id FROM asof_states WHERE value = 1 ORDER BY profile_id").fetchall()
    return [int(row[0]) for row in rows]


COMMANDS: dict[str, Callable[..., Any]] = {
    "journeys": journeys,
    "journey": journey,
    "journey-runs": journey_runs,
    "pause-journey": pause_journey,
    "resume-journey": resume_journey,
    "enroll": enroll,
    "leave": leave,
    "why": why,
}


MOST_ENROLLED = 1000


class Reason(Struct, frozen=True):
    """A reason and how many it stopped."""

    reason: Annotated[str, Meta(description="A code, such as `no_consent`, or a journey's own words.")]
    says: Annotated[str, Meta(description="The reason as a sentence in the language asked for.")]
    number: int


class JourneySummary(Struct, frozen=True):
    """A journey in force; test runs are not counted."""

    id: str
    name: str
    description: str
    version: int
    is_paused: bool
    entered: int
    active: int
    ended: list[Reason]
    messages: Annotated[dict[str, int], Meta(description="Messages decided on, by status.")]


class JourneyList(Struct, frozen=True):
    items: list[JourneySummary]


class StepFigures(Struct, frozen=True):
    """One step, visits counted: entered = waiting + passed + dropped."""

    id: str
    kind: Annotated[str, Meta(description="`message`, `delay` …; empty for a step that is no longer there.")]
    name: str
    entered: int
    waiting: int
    passed: int
    dropped: list[Reason]
    messages: dict[str, int]
    skipped: list[Reason]


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
    ended: list[Reason]
    messages: dict[str, int]
    enter: Annotated[list[str], Meta(description="Its ways in.")]
    condition: Annotated[str, Meta(description="What must hold besides, as a sentence.")]
    goal: str
    versions: Annotated[list[VersionInUse], Meta(description="Versions that customers are on now.")]
    refused: Annotated[list[Reason], Meta(description="Customers who did not come in, by the last reason.")]
    steps: list[StepFigures]
    body: Annotated[Any, Meta(description="The journey, exactly as in the playbook.")]


class Run(Struct, frozen=True):
    """One customer's way through a journey."""

    id: int
    journey: str
    version: int
    profile: str
    profile_id: int
    status: Literal["active", "ended"]
    reason: str
    step: str | None
    is_paused: bool
    is_test: bool
    entered_at: Instant
    since: Annotated[Instant, Meta(description="When it came to its step.")]
    wake_at: Annotated[Instant | None, Meta(description="When it looks round again by itself.")]
    ended_at: Instant | None
    trigger: dict[str, Any]


class RunPage(Struct, frozen=True):
    items: list[Run]
    next: Next


class Paused(Struct, frozen=True):
    journey: str
    is_paused: bool
    runs: Annotated[int, Meta(description="Runs that were woken.")] = 0


class Enrolled(Struct, frozen=True):
    """How many are meant, and how many come to the journey's door at the next tick."""

    journey: str
    segment: str | None
    count: int
    enrolled: int


class Schemas(Struct, frozen=True):
    """JSON Schemas of what the playbook holds."""

    journey: Annotated[Any, Meta(description="One entry of `journeys:`, with every step under `$defs`.")]
    contact: Annotated[Any, Meta(description="The `contact:` section.")]


class PauseBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=500, description="Why, for whoever finds it paused.")] = ""


class EnrollBody(Struct, frozen=True, forbid_unknown_fields=True):
    profiles: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=512)]],
        Meta(max_length=MOST_ENROLLED, description="Customers, by any identity or `#12`."),
    ] = []
    segment: Annotated[str, Meta(max_length=200, description="Or everybody in this segment now.")] = ""
    data: Annotated[dict[str, Any], Meta(description="What the journey finds in its trigger.")] = {}
    dry_run: Annotated[bool, Meta(description="Count alone.")] = False
