"""Who enters a journey: re-entry, age and cause first, then the conditions, set-based."""

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
from keepers.journeys.run import UNTRUSTED, Run
from keepers.orchestration.journey_index import EntryTrigger
from keepers.orchestration.work_queue import TriggeredEntry, WorkItem
from keepers.store.database import Store
from keepers.store.journeys import entry_rejections, runs
from keepers.store.journeys.entry_rejections import EntryRejection
from keepers.store.journeys.runs import RunRow
from keepers.warehouse.profile_lookup import ProfileSnapshot

UNMET = "condition"
UNLIKE = "another_event"
NOT_TRUSTED = "not_trusted"


class EntryCandidate(NamedTuple):
    """A customer who may enter, with the entry key that makes the run unique."""

    entry: TriggeredEntry
    item: WorkItem
    run: Run
    entry_key: str


class EntryResult(NamedTuple):
    """The outcome of a wave of candidates."""

    entered: list[RunRow]
    refused: list[EntryRejection]


def enter(
    store: Store,
    evaluator: Evaluator,
    queries: ActiveQueries,
    profiles: Mapping[int, ProfileSnapshot],
    items: Sequence[WorkItem],
) -> EntryResult:
    """Decides on the candidates of some items, at most one item of a profile. Nothing is written."""
    candidates, refused = _candidates(store, profiles, items)
    entered: list[RunRow] = []
    for group in _by_questions(candidates).values():
        conditions = _conditions(group[0].entry.source)
        askings = [
            Question(n, candidate.run.profile_id, candidate.item.at, _keys(candidate.run, conditions))
            for n, candidate in enumerate(group)
        ]
        source = group[0].entry.source
        replies = answer(evaluator, queries, conditions, askings, trusted_only=source.trusted_only)
        if source.trusted_only and source.condition is not None:
            # Of trusted rows alone it is no such event: that it is one, and not trusted, is why nobody is entered.
            public = [askings[n] for n, candidate in enumerate(group) if candidate.entry.is_trusted is False]
            replies |= answer(evaluator, queries, {source.question: source.condition}, public)
        trusted = _trusted(evaluator, queries, source, group)
        for n, candidate in enumerate(group):
            unmet = next((name for name in conditions if not replies[name, n].holds), None)
            if unmet is None and source.trusted_only and n not in trusted:
                refused.append(_refusal(candidate.entry, candidate.item, NOT_TRUSTED))
            elif candidate.entry.is_echo:
                pass
            elif unmet is None:
                entered.append(_row(candidate, is_trusted=n in trusted))
            else:
                refused.append(_refusal(candidate.entry, candidate.item, UNMET if unmet == "if" else UNLIKE))
    # An event that does not match the entry is not stored as a rejection: most events do not.
    return EntryResult(entered, [r for r in refused if r.reason != UNLIKE])


def _trusted(
    evaluator: Evaluator, queries: ActiveQueries, source: EntryTrigger, group: Sequence[EntryCandidate]
) -> set[int]:
    """The places of those in a group whose entry is trusted: by its event, or by what trusted rows alone say."""
    found = {n for n, candidate in enumerate(group) if candidate.entry.is_trusted}
    unsaid = [n for n, candidate in enumerate(group) if candidate.entry.is_trusted is None]
    if source.membership is None or not (source.trusted_only or source.journey.has_outcomes):
        return found
    askings = [Question(n, group[n].run.profile_id, group[n].item.at) for n in unsaid]
    replies = answer(evaluator, queries, {"trusted": source.membership}, askings, trusted_only=True)
    return found | {n for n in unsaid if replies["trusted", n].holds}


def _candidates(
    store: Store, profiles: Mapping[int, ProfileSnapshot], items: Sequence[WorkItem]
) -> tuple[list[EntryCandidate], list[EntryRejection]]:
    by_journey: dict[str, list[tuple[TriggeredEntry, WorkItem]]] = {}
    for item in items:
        for entry in item.entries:
            by_journey.setdefault(entry.source.journey.id, []).append((entry, item))
    found: list[EntryCandidate] = []
    refused: list[EntryRejection] = []
    for name, entries in by_journey.items():
        with store.read() as connection:
            who = sorted({item.profile_id for _, item in entries})
            earlier = runs.entries_of(connection, name, who)
            turned_away = entry_rejections.newest(connection, name, who)
        for entry, item in entries:
            profile = profiles.get(item.profile_id)
            if profile is None or _was_refused(item, turned_away.get(item.profile_id)):
                continue
            journey = entry.source.journey
            before = earlier.get(item.profile_id, ())
            key = may_enter(journey, before, entry.trigger, item.at, cause=entry.cause, hops=entry.hops)
            if isinstance(key, EntryRejected) and entry.is_echo:
                continue
            if isinstance(key, EntryRejected):
                refused.append(_refusal(entry, item, key.reason))
                continue
            run = begin(
                journey, profile_id=item.profile_id, bucket_key=profile.bucket_key, zone=profile.zone, now=item.at,
                trigger=entry.trigger, hops=entry.hops,
            )  # fmt: skip
            found.append(EntryCandidate(entry, item, run, key))
    return found, refused


def _was_refused(item: WorkItem, last: tuple[datetime, int] | None) -> bool:
    """Whether an item was rejected before a crash: what blocked it may have changed since, and it stays rejected."""
    return last is not None and 0 != item.seq <= last[1] and item.at <= last[0]


def _by_questions(candidates: Sequence[EntryCandidate]) -> dict[tuple[str, int], list[EntryCandidate]]:
    found: dict[tuple[str, int], list[EntryCandidate]] = {}
    for candidate in candidates:
        source = candidate.entry.source
        found.setdefault((source.journey.id, source.n), []).append(candidate)
    return found


def _conditions(source: EntryTrigger) -> dict[str, ast.Condition]:
    """What must hold for this entry; the trigger itself first."""
    found: dict[str, ast.Condition] = {}
    if source.condition is not None:
        found[source.question] = source.condition
    if source.only_if is not None:
        found["if"] = source.only_if
    return found


def _keys(run: Run, conditions: Mapping[str, ast.Condition]) -> dict[str, object]:
    paths = frozenset[str]().union(*(ast.refs(c) for c in conditions.values()))
    return dict(keys_for(run, paths))


def _row(candidate: EntryCandidate, *, is_trusted: bool) -> RunRow:
    run = candidate.run
    return RunRow(
        journey=run.journey,
        version=run.version,
        profile_id=run.profile_id,
        entry_key=candidate.entry_key,
        entered_at=run.entered_at,
        since=run.since,
        step=run.step,
        wake_at=run.wake_at,
        visits=run.visits,
        vars=run.vars if is_trusted else run.vars | {UNTRUSTED: True},
        trigger=run.trigger,
        state=run.state,
        zone=run.zone,
        hops=run.hops,
    )


def _refusal(entry: TriggeredEntry, item: WorkItem, reason: str) -> EntryRejection:
    return EntryRejection(entry.source.journey.id, item.profile_id, item.at, reason, item.seq)
