"""Who enters a journey and who does not: re-entry, age and cause first, then its conditions, set-based."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from keepers.conditions import ast
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.questions import Question, answer
from keepers.journeys.definition import begin
from keepers.journeys.entry_rules import EntryRejected, may_enter
from keepers.journeys.references import keys_for
from keepers.journeys.run import Run
from keepers.orchestration.journey_index import EntryTrigger
from keepers.orchestration.work_queue import TriggeredEntry, WorkItem
from keepers.store.database import Store
from keepers.store.journeys import entry_rejections, runs
from keepers.store.journeys.entry_rejections import Refusal
from keepers.store.journeys.runs import RunRow
from keepers.warehouse.profile_lookup import Person

UNMET = "condition"
UNLIKE = "another_event"


class EntryCandidate(NamedTuple):
    """Somebody at the door, with the key under which the run would be the only one."""

    candidate: TriggeredEntry
    item: WorkItem
    run: Run
    entry_key: str


class EntryResult(NamedTuple):
    """What came of a wave of candidates."""

    entered: list[RunRow]
    refused: list[Refusal]


def enter(
    store: Store, answerer: Evaluator, standing: ActiveQueries, people: Mapping[int, Person], items: Sequence[WorkItem]
) -> EntryResult:
    """Decides on the candidates of some items, at most one item of a profile. Nothing is written yet."""
    hopefuls, refused = _hopefuls(store, people, items)
    entered: list[RunRow] = []
    for asked in _by_questions(hopefuls).values():
        conditions = _conditions(asked[0].candidate.way)
        askings = [
            Question(n, hopeful.run.profile_id, hopeful.item.at, _keys(hopeful.run, conditions))
            for n, hopeful in enumerate(asked)
        ]
        replies = answer(answerer, standing, conditions, askings)
        for n, hopeful in enumerate(asked):
            unmet = next((name for name in conditions if not replies[name, n].holds), None)
            if unmet is None:
                entered.append(_row(hopeful))
            else:
                refused.append(_refusal(hopeful.candidate, hopeful.item, UNMET if unmet == "if" else UNLIKE))
    # An event that the entry does not ask for is no refusal worth keeping: most events are of that kind.
    return EntryResult(entered, [r for r in refused if r.reason != UNLIKE])


def _hopefuls(
    store: Store, people: Mapping[int, Person], items: Sequence[WorkItem]
) -> tuple[list[EntryCandidate], list[Refusal]]:
    by_journey: dict[str, list[tuple[TriggeredEntry, WorkItem]]] = {}
    for item in items:
        for candidate in item.candidates:
            by_journey.setdefault(candidate.way.journey.id, []).append((candidate, item))
    found: list[EntryCandidate] = []
    refused: list[Refusal] = []
    for name, candidates in by_journey.items():
        with store.read() as connection:
            who = sorted({item.profile_id for _, item in candidates})
            earlier = runs.entries_of(connection, name, who)
            turned_away = entry_rejections.newest(connection, name, who)
        for candidate, item in candidates:
            person = people.get(item.profile_id)
            if person is None or _was_refused(item, turned_away.get(item.profile_id)):
                continue
            journey = candidate.way.journey
            before = earlier.get(item.profile_id, ())
            key = may_enter(journey, before, candidate.trigger, item.at, cause=candidate.cause, hops=candidate.hops)
            if isinstance(key, EntryRejected):
                refused.append(_refusal(candidate, item, key.reason))
                continue
            run = begin(
                journey, profile_id=item.profile_id, bucket_key=person.bucket_key, zone=person.zone, now=item.at,
                trigger=candidate.trigger, hops=candidate.hops,
            )  # fmt: skip
            found.append(EntryCandidate(candidate, item, run, key))
    return found, refused


def _was_refused(item: WorkItem, last: tuple[datetime, int] | None) -> bool:
    """Whether an item was decided on before a crash: who was still in then may have left since, and stays refused."""
    return last is not None and 0 != item.seq <= last[1] and item.at <= last[0]


def _by_questions(hopefuls: Sequence[EntryCandidate]) -> dict[tuple[str, int], list[EntryCandidate]]:
    found: dict[tuple[str, int], list[EntryCandidate]] = {}
    for hopeful in hopefuls:
        way = hopeful.candidate.way
        found.setdefault((way.journey.id, way.n), []).append(hopeful)
    return found


def _conditions(way: EntryTrigger) -> dict[str, ast.Condition]:
    """What must hold to come in this way; the trigger itself first."""
    found: dict[str, ast.Condition] = {}
    if way.condition is not None:
        found[way.question] = way.condition
    if way.journey.condition is not None:
        found["if"] = way.journey.condition
    return found


def _keys(run: Run, conditions: Mapping[str, ast.Condition]) -> dict[str, object]:
    paths = frozenset[str]().union(*(ast.refs(c) for c in conditions.values()))
    return dict(keys_for(run, paths))


def _row(hopeful: EntryCandidate) -> RunRow:
    run = hopeful.run
    return RunRow(
        journey=run.journey,
        version=run.version,
        profile_id=run.profile_id,
        entry_key=hopeful.entry_key,
        entered_at=run.entered_at,
        since=run.since,
        step=run.step,
        wake_at=run.wake_at,
        visits=run.visits,
        vars=run.vars,
        trigger=run.trigger,
        state=run.state,
        zone=run.zone,
        hops=run.hops,
    )


def _refusal(candidate: TriggeredEntry, item: WorkItem, reason: str) -> Refusal:
    return Refusal(candidate.way.journey.id, item.profile_id, item.at, reason, item.seq)
