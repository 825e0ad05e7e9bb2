"""Commands about journeys: how they do, pausing, entering customers by hand, and why somebody is where they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from keepers.audience.wording import describe
from keepers.cli.answers import Progress, moment, names_of, shown
from keepers.journeys.definition import Journey
from keepers.journeys.entries import ApiEntry, DateEntry, EventEntry, ScheduleEntry, SegmentEntry, StageEntry
from keepers.measure import journeys as measure
from keepers.measure import why as measure_why
from keepers.measure.reasons import reason
from keepers.model.consent import address_hash
from keepers.model.definitions import text_in
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.pipeline import publishing
from keepers.pipeline.perform import recipient_of
from keepers.playbook.live import InForce
from keepers.store import runs
from keepers.store.runs import RunRow
from keepers.warehouse.people import people
from keepers.wire import Workspace, clock


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
    publishing.pause(workspace.store, workspace.in_force(), name, clock(), reason)
    return {"journey": name, "is_paused": True}


def resume_journey(workspace: Workspace, progress: Progress, name: str) -> Any:
    """Lets a journey go on; how many runs it wakes."""
    with workspace.sequencing("keepers journey resume"):
        woken = publishing.resume(workspace.store, workspace.in_force(), name, clock())
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
        publishing.enrol(workspace.store, live, name, chosen, clock(), data, cause)
    return {"journey": name, "segment": segment, "count": len(chosen), "enrolled": len(chosen) if wanted else 0}


def leave(workspace: Workspace, progress: Progress, run: int, reason: str = "removed by hand") -> Any:
    """Takes one customer out of a journey."""
    with workspace.sequencing("keepers leave"):
        publishing.leave(workspace.store, run, clock(), reason)
    with workspace.store.read() as connection:
        row = runs.get(connection, run)
    return _run(row, names_of(workspace, [row.profile_id])[row.profile_id])


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
    names = measure_why.Names(live.playbook.topics, workspace.zone, locale)
    with workspace.store.read() as connection:
        found = measure_why.why(connection, profile_id, names, hashes, journey, message)
    told = shown(found) | {"profile": names_of(workspace, [profile_id])[profile_id], "as_of": shown(workspace.now())}
    if journey is not None and not found.waiting and not any(one.kind in ("run", "entry") for one in found.lines):
        told["not_yet"] = {
            "says": measure_why.never_came(journey, locale),
            "enter": [entry_words(entry) for entry in live.playbook.journeys[journey].entries],
        }
    return told


def known(live: InForce, name: str) -> Journey:
    """A journey in force. Raises NotFoundError with the nearest names."""
    found = live.playbook.journeys.get(name)
    if found is None:
        raise NotFoundError(f"There is no journey “{name}” in force.{nearest(name, live.playbook.journeys)}")
    return found


def entry_words(entry: Any) -> str:
    """A way in, as short as the playbook has it."""
    match entry:
        case EventEntry(event):
            return f"event {event}"
        case SegmentEntry(segment, on):
            return f"segment {segment} {on}"
        case StageEntry(stage, on):
            return f"stage {stage} {on}"
        case DateEntry(date, offset):
            return f"date {date} {offset}"
        case ScheduleEntry(schedule, segment):
            return f"schedule {schedule}, segment {segment}"
        case ApiEntry():
            return "api"
        case _:
            return str(entry.head)


def _summary(live: InForce, journey: Journey, totals: measure.Totals, locale: str) -> dict[str, Any]:
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


def _members(workspace: Workspace, live: InForce, name: str) -> list[int]:
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
