"""Journey figures: entries, and waiting, passed and dropped visits of each step with reasons, and entry rejections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from sqlalchemy import func, select

from keepers.model.channels import ANSWERED
from keepers.store.journeys import entry_rejections, journey_states, run_history, runs
from keepers.store.messages import messages as messages_
from keepers.store.privacy import removed_counts
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages as message_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

FINISHED = "finished"
"""the reason of runs that came to the end of the steps"""


class Totals(Struct, frozen=True):
    """A journey in one line. `ended` is by reason; `messages` counts what was decided on, webhooks left out."""

    entered: int = 0
    active: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    is_paused: bool = False


class StepFigures(Struct, frozen=True):
    """One step, visits counted. `dropped`: runs that ended here, by reason; `messages` by status; `skipped` by reason.

    entered = waiting + passed + dropped.
    """

    id: str
    entered: int = 0
    waiting: int = 0
    passed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)


class JourneyFigures(Struct, frozen=True):
    """A journey with its steps, in order; `refused` counts profiles by the reason of their last refusal."""

    totals: Totals
    steps: tuple[StepFigures, ...]
    refused: dict[str, int]
    versions: dict[int, int]
    """version → runs that are on it now"""


def totals(connection: Connection, journeys: Sequence[str]) -> dict[str, Totals]:
    """Each journey in one line; test runs are left out."""
    paused = journey_states.paused(connection)
    sent = _messages(connection)
    found = {}
    for name in journeys:
        counted = runs.counts(connection, name)
        found[name] = Totals(counted.entered, counted.active, counted.ended, sent.get(name, {}), name in paused)
    return found


def figures(connection: Connection, journey: str, steps: Sequence[str], version: int | None = None) -> JourneyFigures:
    """A journey step by step; `steps` are those of the version in force, others that runs went through follow them."""
    counted = runs.counts(connection, journey, version)
    entered = run_history.visits(connection, journey, version)
    dropped: dict[str, dict[str, int]] = {}
    for row in run_history.counts(connection, journey, version):
        if row.what == "ended" and row.reason != FINISHED:
            dropped.setdefault(row.step, {})[row.reason] = row.runs
    sent: dict[str, dict[str, int]] = {}
    skipped: dict[str, dict[str, int]] = {}
    for count in messages_.counts(connection, journey=journey, version=version):
        of_step = sent.setdefault(count.step, {})
        of_step[count.status] = of_step.get(count.status, 0) + count.number
        if count.status == "skipped":
            reasons = skipped.setdefault(count.step, {})
            reasons[count.reason] = reasons.get(count.reason, 0) + count.number
    listed = []
    for step in (*steps, *sorted(entered.keys() - set(steps))):
        waiting, lost = counted.waiting.get(step, 0), dropped.get(step, {})
        come = max(entered.get(step, 0), waiting + sum(lost.values()))
        gone_on = come - waiting - sum(lost.values())
        listed.append(StepFigures(step, come, waiting, gone_on, lost, sent.get(step, {}), skipped.get(step, {})))
    whole = Totals(
        counted.entered,
        counted.active,
        counted.ended,
        _messages(connection, journey).get(journey, {}),
        journey in journey_states.paused(connection),
    )
    return JourneyFigures(
        whole, tuple(listed), entry_rejections.counts(connection, journey), _versions(connection, journey)
    )


def listed_runs(
    connection: Connection, journey: str, status: str | None = None, before: int | None = None, limit: int = 50
) -> list[runs.RunRow]:
    """Runs of a journey, newest first; `before` is the id to go on from."""
    query = select(journey_runs.c.id).where(journey_runs.c.journey == journey)
    if status is not None:
        query = query.where(journey_runs.c.status == status)
    if before is not None:
        query = query.where(journey_runs.c.id < before)
    ids = list(connection.execute(query.order_by(journey_runs.c.id.desc()).limit(limit)).scalars())
    found = runs.get_many(connection, ids)
    return [found[id] for id in ids if id in found]


def _messages(connection: Connection, journey: str | None = None) -> dict[str, dict[str, int]]:
    """Journey → status → messages."""
    columns = message_table.c.journey, message_table.c.status
    query = select(*columns, func.count()).where(message_table.c.channel.not_in(ANSWERED)).group_by(*columns)
    query = query.where(message_table.c.journey == journey if journey is not None else message_table.c.journey != "")
    found: dict[str, dict[str, int]] = {}
    for name, status, number in connection.execute(query):
        found.setdefault(name, {})[status] = number
    for row in removed_counts.read(connection, "message", journey=journey):
        if row.journey and row.channel not in ANSWERED:
            of_journey = found.setdefault(row.journey, {})
            of_journey[row.status] = of_journey.get(row.status, 0) + row.number
    return found


def _versions(connection: Connection, journey: str) -> dict[int, int]:
    query = (
        select(journey_runs.c.version, func.count())
        .where(journey_runs.c.journey == journey, journey_runs.c.status == "active")
        .group_by(journey_runs.c.version)
        .order_by(journey_runs.c.version)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
