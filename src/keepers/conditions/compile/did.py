"""`did`: counts, sums and other figures of an event within a window."""

from __future__ import annotations

import functools
import operator
from typing import Any

from keepers.conditions import ast
from keepers.conditions.comparisons import Clock, ComparedValue, moment_column, seconds, sure
from keepers.conditions.compile.event_rows import Rows
from keepers.conditions.compile.features import Features, Finish, Term, instants
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.operators import BY_NAME
from keepers.model.moments import Moment

SUM_TYPE = "decimal(38,6)"
LARGEST_SUMMED = 1e24
"""greater numbers are left out of sums: DECIMAL(38,6) cannot hold ten million of them"""


def live(rows: Rows, now: Any) -> Any:
    """Rows that count at the moment of evaluation: in the past, and not cancelled."""
    # Where no row lies ahead there is nothing to test: this is the most frequent path.
    holds = rows.table.time <= now if rows.has_future else ibis.literal(True)
    if rows.has_void:
        void = rows.table.void_at
        holds = holds & (void.isnull() | (void > now))
    return holds


def in_window(time: Any, window: ast.TimeWindow, clock: Clock) -> Any:
    """Whether a time lies in the window; None when the window is unbounded. Relative bounds are half-open
    (start, end], absolute ones [start, end)."""
    holds = None
    if window.start is not None:
        bound = moment_column(window.start, clock)
        holds = time > bound if window.start.is_relative else time >= bound
    if window.end is not None:
        bound = moment_column(window.end, clock)
        before = time <= bound if window.end.is_relative else time < bound
        holds = before if holds is None else holds & before
    return holds


def entering(window: ast.TimeWindow) -> Moment:
    """When a row comes into a window: at its time, or later when the window ends before now."""
    end = window.end
    return end if end is not None and end.is_relative and end.offset.total_seconds() < 0 else Moment()


def did(leaf: ast.Did, features: Features) -> Finish:
    return _occurrence(leaf, features) if leaf.occurrence else _figures(leaf, features)


class _Masks:
    """Row filters of one leaf, and the figures for its edges."""

    def __init__(self, leaf: ast.Did, features: Features) -> None:
        self.leaf = leaf
        self.features = features
        needs = features.needs(leaf.event)
        self.flag = needs.where(leaf.where)
        self.flip = needs.flip(leaf.where)
        start = leaf.window.start
        self.reach = start if start is not None and start.is_relative and self.flip is None else None

    def counted(self, rows: Rows) -> Any:
        """Which rows the leaf counts; None for all of them."""
        clock = self.features.clock_of(rows.table)
        masks = [live(rows, clock.now)] if rows.has_future else []
        inside = in_window(rows.table.time, self.leaf.window, clock)
        if inside is not None:
            masks.append(inside)
        if self.flag is not None:
            masks.append(rows.table[self.flag])
        return functools.reduce(operator.and_, masks) if masks else None

    def figure(self, key: str, build: Any, kind: str | None = "timestamp") -> str:
        """A figure over the leaf's rows; leaves with the same rows share it."""
        return self.features.figure(self.leaf.event, (key, self.leaf.where, self.leaf.window), build, self.reach, kind)

    def edges(self) -> list[tuple[str, Any]]:
        """(column, offset) of instants at which rows of this leaf come in, are cancelled, or change by themselves."""
        enter = entering(self.leaf.window)
        enters = self.figure("enters", lambda rows: self._enters(rows, enter), None)
        found: list[tuple[str, Any]] = [(enters, -enter.offset)]
        found.append((self.figure("voids", self._voids, None), None))
        if self.flip is not None:
            found.append((self.figure("flips", self._flips, None), None))
        return found

    def _matching(self, rows: Rows) -> Any:
        return True if self.flag is None else rows.table[self.flag]

    def _enters(self, rows: Rows, enter: Moment) -> Any:
        if not rows.has_future and not enter.offset:
            return None
        bound = moment_column(enter, Clock(now=self.features.now_of(rows.table)))
        return rows.table.time.min(where=(rows.table.time > bound) & self._matching(rows))

    def _voids(self, rows: Rows) -> Any:
        if not rows.has_void:
            return None
        now = self.features.now_of(rows.table)
        return rows.table.void_at.min(where=(rows.table.void_at > now) & self._matching(rows))

    def _flips(self, rows: Rows) -> Any:
        return rows.table[self.flip].min()


def _figures(leaf: ast.Did, features: Features) -> Finish:
    masks = _Masks(leaf, features)
    rolls = leaf.window.start is not None and leaf.window.start.is_relative
    span = -leaf.window.start.offset if leaf.window.start is not None else None
    is_plain = not leaf.aggregates
    tests = [(aggregate, _aggregate(aggregate, masks, features)) for aggregate in leaf.aggregates]
    last = masks.figure("last", lambda rows: rows.table.time.max(where=masks.counted(rows)))
    unrated = [pair for aggregate in leaf.aggregates for pair in _unrated(aggregate, masks, features)]
    first = None
    if rolls and not is_plain:
        first = masks.figure("first", lambda rows: rows.table.time.min(where=masks.counted(rows)))
    edges = masks.edges()

    def finish(row: Any) -> Term:
        clock = features.clock_of(row)
        seen: dict[str, Any] = {"last": row[last]}
        seen |= {label: row[column] for label, column in unrated}
        holds = row[last].notnull() if is_plain else None
        for aggregate, column in tests:
            figure = _absent_as_zero(aggregate, row[column])
            seen[_label(aggregate)] = figure
            for test in aggregate.tests:
                passed = sure(BY_NAME[test.op].holds(ComparedValue(number=figure), test.operand, clock))
                holds = passed if holds is None else holds & passed
        # All lie after now: rows outside come in later, and rows inside leave later.
        ahead = instants(row, edges)
        if rolls and span is not None:
            ahead.append(row[first or last] + seconds(span))
        return Term(holds, (), tuple(ahead), seen)

    return finish


def _label(aggregate: ast.Aggregate) -> str:
    if aggregate.of is None:
        return aggregate.function
    return f"{aggregate.function} of {aggregate.of}{' in the reporting currency' * aggregate.is_reporting}"


def _absent_as_zero(aggregate: ast.Aggregate, column: Any) -> Any:
    return column.fill_null(0) if aggregate.function in ("count", "sum", "distinct") else column


def _aggregate(aggregate: ast.Aggregate, masks: _Masks, features: Features) -> str:
    needs = features.needs(masks.leaf.event)
    of = aggregate.of
    match aggregate.function:
        case "count":
            return masks.figure("count", lambda rows: _count(rows, masks.counted(rows)), "int64")
        case "distinct":
            key = needs.key(of or "")
            return masks.figure(
                f"distinct {of}", lambda rows: rows.table[key].nunique(where=masks.counted(rows)), "int64"
            )
        case _:
            column = needs.amount(of or "")[0] if aggregate.is_reporting else needs.number(of or "")
            return masks.figure(
                f"{aggregate.function} {of} {aggregate.is_reporting}",
                lambda rows: _number_figure(aggregate.function, rows.table[column], masks.counted(rows)),
                "float64",
            )


def _unrated(aggregate: ast.Aggregate, masks: _Masks, features: Features) -> list[tuple[str, str]]:
    """(what it is, column) of how many amounts a figure leaves out because their currency had no rate, and of which
    currencies they are (`?`: none was named)."""
    if not aggregate.is_reporting:
        return []
    column = features.needs(masks.leaf.event).amount(aggregate.of or "")[1]

    def where(rows: Rows) -> Any:
        counted = masks.counted(rows)
        missing = rows.table[column].notnull()
        return missing if counted is None else missing & counted

    def codes(rows: Rows) -> Any:
        return rows.table[column].group_concat(" ", where=where(rows), order_by=rows.table[column])

    number = masks.figure(f"unrated {aggregate.of}", lambda rows: rows.table.count(where=where(rows)), "int64")
    named = masks.figure(f"unrated currencies {aggregate.of}", codes, "string")
    of = aggregate.of
    return [(f"{of} without a rate, left out", number), (f"{of} without a rate, currencies", named)]


def _count(rows: Rows, counted: Any) -> Any:
    return rows.table.day.nunique(where=counted) if rows.per_day else rows.table.count(where=counted)


def _number_figure(function: ast.Function, number: Any, counted: Any) -> Any:
    if function == "min":
        return number.min(where=counted)
    if function == "max":
        return number.max(where=counted)
    # Filtered before the cast: the engine casts every row, also those that the filter drops.
    summable = ibis.cases((number.abs() < LARGEST_SUMMED, number))
    total = summable.cast(SUM_TYPE).sum(where=counted)
    return total if function == "sum" else total.cast("float64") / summable.count(where=counted).nullif(0)


def _occurrence(leaf: ast.Did, features: Features) -> Finish:
    """Only the first or last occurrence ever is considered: its tests and its window decide."""
    everything = ast.Did(leaf.event)
    masks = _Masks(leaf, features)
    ever = _Masks(everything, features)
    pick_last = leaf.occurrence == "last"

    def time_of(rows: Rows) -> Any:
        return (
            rows.table.time.max(where=ever.counted(rows))
            if pick_last
            else rows.table.time.min(where=ever.counted(rows))
        )

    def flag_of(rows: Rows) -> Any:
        order = [rows.table.time, rows.table.seq]
        flag = rows.table[masks.flag]
        return (flag.last if pick_last else flag.first)(where=ever.counted(rows), order_by=order)

    time = ever.figure(leaf.occurrence or "", time_of)
    passed = None
    if masks.flag is not None:
        passed = features.figure(leaf.event, (leaf.occurrence, "passes", leaf.where), flag_of, kind="boolean")
    edges = [*ever.edges(), *masks.edges()]

    def finish(row: Any) -> Term:
        inside = in_window(row[time], leaf.window, features.clock_of(row))
        holds = row[time].notnull()
        if passed is not None:
            holds = holds & sure(row[passed])
        if inside is not None:
            holds = holds & sure(inside)
        bounds = [b for b in (leaf.window.start, leaf.window.end) if b is not None and b.is_relative]
        found = tuple(row[time] - seconds(bound.offset) for bound in bounds)
        return Term(holds, found, tuple(instants(row, edges)), {leaf.occurrence or "": row[time]})

    return finish
