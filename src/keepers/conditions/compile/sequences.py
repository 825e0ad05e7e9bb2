"""`sequence`: one event after another within a span, and optionally no third one after that."""

from __future__ import annotations

from typing import Any

from keepers.conditions import ast
from keepers.conditions.comparisons import later, seconds, sure
from keepers.conditions.compile.did import in_window, live
from keepers.conditions.compile.event_rows import RowColumns, Rows, united
from keepers.conditions.compile.features import Features, Finish, Term
from keepers.conditions.lazy_ibis import ibis


def sequence(leaf: ast.Sequence, features: Features) -> Finish:
    """Joins a table of its own: whether a chain exists, and when that may change."""
    name = features.name("q")
    if any(not step.negated and not features.source.has(step.event) for step in leaf.steps):
        return lambda row: Term(ibis.literal(False))
    features.own_table(lambda: _table(leaf, features, name))

    def finish(row: Any) -> Term:
        return Term(row[f"{name}_last"].notnull(), (), (row[f"{name}_edge"],), {"last": row[f"{name}_last"]})

    return finish


class _Step:
    """One step's rows: all that match, and those that count now."""

    def __init__(self, step: ast.SequenceStep, leaf: ast.Sequence, features: Features) -> None:
        needs = RowColumns()
        flag = needs.where(step.where)
        flip = needs.flip(step.where)
        key = needs.key(leaf.same) if leaf.same else None
        self.span = step.within
        found = features.source.rows(step.event, needs)
        assert found is not None
        self.rows: Rows = found
        rows = self.rows.table
        self.now = features.now_of(rows)
        self.flip = rows[flip] if flip else None
        matching = rows if flag is None else rows.filter(rows[flag])
        self.matching = Rows(matching, self.rows.has_void, self.rows.has_future, self.rows.per_day)
        now = features.now_of(matching)
        counted = live(self.matching, now)
        inside = None if step.negated else in_window(matching.time, leaf.window, features.clock_of(matching))
        if inside is not None:
            counted = counted & inside
        columns = {"profile_id": matching.profile_id, "now": matching.now, "time": matching.time, "seq": matching.seq}
        if key:
            columns["key"] = matching[key]
        kept = matching.filter(counted).select(**columns)
        # A view, so that two steps of one event are two relations when they are joined.
        self.counted = (kept.filter(kept.key.notnull()) if key else kept).view()


def _table(leaf: ast.Sequence, features: Features, name: str) -> Any:
    steps = [_Step(step, leaf, features) if features.source.has(step.event) else None for step in leaf.steps]
    first = steps[0]
    assert first is not None
    chain = first.counted
    for definition, step in zip(leaf.steps[1:], steps[1:], strict=True):
        if step is None:
            if definition.within is not None:
                chain = chain.filter(sure(chain.time + seconds(definition.within) <= chain.now))
            continue
        if definition.negated:
            chain = _not_followed(chain, step, leaf)
        else:
            chain = _followed(chain, step, leaf)
    found = chain.group_by("profile_id").aggregate(**{f"{name}_last": chain.time.max()})
    edges = _edges(leaf, steps)
    if edges is None:
        return found.mutate(**{f"{name}_edge": ibis.null("timestamp")})
    edge = edges.group_by("profile_id").aggregate(**{f"{name}_edge": edges.edge.min()})
    joined = edge.outer_join(found, "profile_id")
    owner = ibis.coalesce(joined.profile_id, joined.profile_id_right)
    return joined.select(f"{name}_last", f"{name}_edge", profile_id=owner)


def _after(before: Any, after: Any, span: Any) -> list[Any]:
    """Pairs of rows of one subject (and one key) in order, within the span."""
    ordered = (after.time > before.time) | ((after.time == before.time) & (after.seq > before.seq))
    pairs = [before.profile_id == after.profile_id, ordered]
    if "key" in before.columns:
        pairs.append(before.key == after.key)
    if span is not None:
        pairs.append(after.time <= before.time + seconds(span))
    return pairs


def _followed(chain: Any, step: _Step, leaf: ast.Sequence) -> Any:
    rows = step.counted
    return rows.semi_join(chain, _after(chain, rows, step.span))


def _not_followed(chain: Any, step: _Step, leaf: ast.Sequence) -> Any:
    """Rows that the last event did not follow; with a span, only once the span has passed."""
    kept = chain.anti_join(step.counted, _after(chain, step.counted, step.span))
    return kept if step.span is None else kept.filter(sure(kept.time + seconds(step.span) <= kept.now))


def _edges(leaf: ast.Sequence, steps: list[_Step | None]) -> Any:
    """(profile_id, edge) of every instant after now at which the answer may change."""
    found = []
    window = leaf.window
    negated = leaf.steps[-1].within if leaf.steps[-1].negated else None
    for n, step in enumerate(steps):
        if step is None:
            continue
        rows = step.matching.table
        now = rows.now
        instants = [rows.time] if step.matching.has_future else []
        if step.matching.has_void:
            instants.append(rows.void_at)
        instants += [
            rows.time - seconds(bound.offset)
            for bound in (window.start, window.end)
            if bound is not None and bound.is_relative and bound.offset
        ]
        if negated is not None and n == len(steps) - 2:
            instants.append(rows.time + seconds(negated))
        found += [rows.select("profile_id", edge=later(i, now)) for i in instants]
        if step.flip is not None:
            found.append(step.rows.table.select("profile_id", edge=step.flip))
    if not found:
        return None
    merged = united(found)
    return merged.filter(merged.edge.notnull())
