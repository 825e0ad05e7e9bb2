"""What applying a playbook would change, with the numbers: who would enter and leave each segment and stage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
from msgspec import Struct, field

from keepers.evaluation.active_queries import Definitions, build, is_hidden, signatures
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.query_numbers import preview_numbers
from keepers.evaluation.score_fit import fit_score
from keepers.playbook.active_playbook import ActivePlaybook, body_text, definitions_of
from keepers.playbook.changes import DefinitionChange, Flow
from keepers.playbook.load import Playbook
from keepers.scores.registry import SCORES


class Plan(Struct, frozen=True):
    """What `apply` would do. `figures` are new ones that would be frozen, by score."""

    now: datetime
    changes: tuple[DefinitionChange, ...]
    flows: tuple[Flow, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.figures


def make_plan(current: ActivePlaybook, wanted: Playbook, evaluator: Evaluator, now: datetime) -> Plan:
    """Compares the playbook with what is in force, over everybody as of `now`. Changes nothing."""
    figures = proposed_figures(current, wanted, evaluator, now)
    before = current.definitions()
    after = definitions_of(wanted, current.figures | figures)
    changes = definition_changes(current.playbook, wanted, _changed_ids(before, after))
    return Plan(now, changes, _flows(evaluator, before, after, now), figures)


def proposed_figures(current: ActivePlaybook, wanted: Playbook, evaluator: Evaluator, now: datetime) -> dict[str, Any]:
    """New figures of scores: the first time they rest on enough, then when it is time to revise them."""
    found = {}
    definitions = definitions_of(wanted, current.figures)
    for name, score in SCORES.items():
        fitted_at = current.fitted_at.get(name)
        if score.is_fixed(definitions.scores[name].settings):
            continue
        if fitted_at is not None and now - fitted_at < score.revised_after:
            continue
        figures = fit_score(score, evaluator, definitions, now)
        if score.is_enough(figures) and figures != current.figures.get(name):
            found[name] = figures
    return found


def _changed_ids(before: Definitions, after: Definitions) -> set[str]:
    old, new = signatures(before), signatures(after)
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def definition_changes(current: Playbook, wanted: Playbook, changed: set[str]) -> tuple[DefinitionChange, ...]:
    found = []
    for key in sorted({*current.bodies, *wanted.bodies}):
        file, line = wanted.sources.get(key, ("", None))
        if key not in wanted.bodies:
            found.append(DefinitionChange(key, "remove"))
        elif key not in current.bodies:
            found.append(DefinitionChange(key, "add", file, line))
        elif body_text(current.bodies[key]) != body_text(wanted.bodies[key]):
            found.append(DefinitionChange(key, "change", file, line, _changes_answers(key, current, wanted, changed)))
    return tuple(found)


def _changes_answers(key: str, current: Playbook, wanted: Playbook, changed: set[str]) -> bool:
    kind, _, name = key.partition("/")
    match kind:
        case "segment" | "lifecycle":
            return key.replace("/", ":") in changed
        case "event":
            before, after = current.events[name], wanted.events[name]
            return (before.sources, before.per_day) != (after.sources, after.per_day)
        case _:
            return True


def _flows(evaluator: Evaluator, before: Definitions, after: Definitions, now: datetime) -> tuple[Flow, ...]:
    """Per segment and stage whose answers may change: counts, and who would come and go."""
    changed = sorted(n for n in _changed_ids(before, after) if not is_hidden(n))
    if not changed:
        return ()
    cursor = evaluator.prepare_as_of(now)
    for table, definitions in (("plan_before", before), ("plan_after", after)):
        queries = build(definitions, preview_numbers(evaluator.warehouse, definitions))
        ids = [name for name in changed if name in queries.by_id]
        evaluator.as_of(queries, ids, now)
        _save_stages(cursor, table, {queries.by_id[name].number: name for name in ids}, definitions)
    rows = cursor.execute(
        """
        SELECT coalesce(b.definition, a.definition), coalesce(b.stage, a.stage),
               count(b.profile_id), count(a.profile_id),
               count(*) FILTER (WHERE b.profile_id IS NULL), count(*) FILTER (WHERE a.profile_id IS NULL)
        FROM plan_before b
        FULL JOIN plan_after a
          ON a.definition = b.definition AND a.stage = b.stage AND a.profile_id = b.profile_id
        GROUP BY 1, 2
        """
    ).fetchall()
    found = {(r[0], r[1]): Flow(*r) for r in rows}
    order = [(n, stage) for n in changed for stage in (_stages(after, n) or _stages(before, n))]
    order += [pair for pair in sorted(found) if pair not in order]
    return tuple(found.get(pair, Flow(pair[0], pair[1], 0, 0, 0, 0)) for pair in order)


def _save_stages(
    cursor: duckdb.DuckDBPyConnection, table: str, names: dict[int, str], definitions: Definitions
) -> None:
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {table} (definition VARCHAR, stage VARCHAR, profile_id BIGINT)")
    for number, name in names.items():
        for value, stage in enumerate(_stages(definitions, name), start=1):
            cursor.execute(
                f"INSERT INTO {table} SELECT ?, ?, profile_id FROM asof_states WHERE query_id = ? AND value = ?",
                [name, stage, number, value],
            )


def _stages(definitions: Definitions, name: str) -> list[str]:
    kind, _, plain = name.partition(":")
    if kind == "lifecycle":
        lifecycle = definitions.lifecycles.get(plain)
        return [stage.id for stage in lifecycle.stages] if lifecycle else []
    return ["in"] if plain in definitions.segments else []
