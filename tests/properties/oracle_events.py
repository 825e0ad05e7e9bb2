"""Which events count, over plain lists: the business's words, windows, figures, sequences, rhythm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from keepers.conditions.ast import Aggregate, Did, PropertyTest, Sequence, TimeWindow
from keepers.conditions.definitions import DerivedEvent, Source
from keepers.scores.rhythm import Fit, Rhythm
from properties.oracle_values import Clock, is_number, moment, passes


@dataclass(frozen=True)
class Row:
    """One event row of a subject. `voids`: when it was cancelled."""

    seq: int
    event: str
    time: datetime
    day: date
    data: dict[str, Any]
    trusted: bool = True
    source: Source | None = None
    voids: tuple[datetime, ...] = ()

    def held(self, path: str) -> Any:
        if self.source is not None and path == "value" and self.source.value:
            path = self.source.value
        if self.source is not None and path == "currency" and self.source.currency:
            path = self.source.currency
        found: Any = self.data
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return None if isinstance(found, dict) else found

    @property
    def place(self) -> tuple[datetime, int]:
        return self.time, self.seq


def matches(row: Row, where: tuple[PropertyTest, ...], clock: Clock) -> bool:
    for test in where:
        value = row.held(test.path)
        if test.some:
            items = value if isinstance(value, list) else []
            if not any(_item_matches(item, test.some, clock) for item in items):
                return False
        elif not passes(value, test.tests, clock, "UTC"):
            return False
    return True


def _item_matches(item: Any, tests: tuple[PropertyTest, ...], clock: Clock) -> bool:
    fields = item if isinstance(item, dict) else {"value": item}
    return all(passes(fields.get(t.path), t.tests, clock, "UTC") for t in tests)


def rows_of(name: str, rows: list[Row], words: dict[str, DerivedEvent], clock: Clock) -> tuple[list[Row], bool]:
    """The rows an event's name stands for, and whether several on one local day are one occasion."""
    word = words.get(name)
    if word is None:
        return [r for r in rows if r.event == name], False
    found = []
    for source in word.sources:
        mine = [r for r in rows if r.event == source.event]
        mine = [Row(r.seq, r.event, r.time, r.day, r.data, r.trusted, source, _voids(r, source, rows)) for r in mine]
        mine = sorted((r for r in mine if matches(r, source.where, clock)), key=lambda r: r.place)
        found += [r for n, r in enumerate(mine) if _is_nth(mine[: n + 1], source)]
    return found, word.per_day


def _voids(row: Row, source: Source, rows: list[Row]) -> tuple[datetime, ...]:
    if source.unless is None:
        return ()
    key = row.held(source.unless.same)
    if key is None:
        return ()
    # What anybody says cancels nothing that a trusted source said.
    cancels = [r for r in rows if r.event in source.unless.events and (r.trusted or not row.trusted)]
    return tuple(r.time for r in cancels if written(r.held(source.unless.same)) == written(key))


def written(value: Any) -> Any:
    """A value as people write it: the number 5 and the text "5" name the same order."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) else repr(float(value))
    return value


def _is_nth(so_far: list[Row], source: Source) -> bool:
    last = so_far[-1]
    if source.within is not None:
        so_far = [r for r in so_far if r.time > last.time - source.within]
    return len(so_far) >= source.times


def is_live(row: Row, now: datetime) -> bool:
    return row.time <= now and not any(v <= now for v in row.voids)


def in_window(time: datetime, window: TimeWindow, clock: Clock) -> bool:
    """Relative bounds are half-open (start, end], absolute ones [start, end)."""
    start, end = window.start, window.end
    if start is not None:
        bound = moment(start, clock)
        if not (time > bound if start.is_relative else time >= bound):
            return False
    if end is not None:
        bound = moment(end, clock)
        if not (time <= bound if end.is_relative else time < bound):
            return False
    return True


def did(leaf: Did, rows: list[Row], words: dict[str, DerivedEvent], clock: Clock) -> bool:
    named, per_day = rows_of(leaf.event, rows, words, clock)
    live = sorted((r for r in named if is_live(r, clock.now)), key=lambda r: r.place)
    if leaf.occurrence:
        if not live:
            return False
        one = live[0] if leaf.occurrence == "first" else live[-1]
        return matches(one, leaf.where, clock) and in_window(one.time, leaf.window, clock)
    counted = [r for r in live if matches(r, leaf.where, clock) and in_window(r.time, leaf.window, clock)]
    if not leaf.aggregates:
        return bool(counted)
    return all(passes(figure(a, counted, per_day), a.tests, clock, "UTC") for a in leaf.aggregates)


def figure(aggregate: Aggregate, rows: list[Row], per_day: bool) -> float | None:
    if aggregate.function == "count":
        return float(len({r.day for r in rows}) if per_day else len(rows))
    values = [r.held(aggregate.of or "") for r in rows]
    if aggregate.function == "distinct":
        return float(len({(type(v).__name__ if not is_number(v) else "number", v) for v in values if _is_scalar(v)}))
    numbers = [Decimal(str(v)) for v in values if is_number(v)]
    if aggregate.function == "sum":
        return float(sum(numbers, Decimal(0)))
    if not numbers:
        return None
    match aggregate.function:
        case "min":
            return float(min(numbers))
        case "max":
            return float(max(numbers))
        case _:
            return float(sum(numbers)) / len(numbers)


def _is_scalar(value: Any) -> bool:
    return value is not None and not isinstance(value, list | dict)


def sequence(leaf: Sequence, rows: list[Row], words: dict[str, DerivedEvent], clock: Clock) -> bool:
    """Tries every choice of one row per step."""
    per_step = []
    for step in leaf.steps:
        named, _ = rows_of(step.event, rows, words, clock)
        live = [r for r in named if is_live(r, clock.now) and matches(r, step.where, clock)]
        if not step.negated:
            live = [r for r in live if in_window(r.time, leaf.window, clock)]
        if leaf.same is not None:
            live = [r for r in live if _is_scalar(r.held(leaf.same))]
        per_step.append(live)
    return any(_continues(leaf, per_step, 1, row, clock) for row in per_step[0])


def _continues(leaf: Sequence, per_step: list[list[Row]], n: int, before: Row, clock: Clock) -> bool:
    if n == len(leaf.steps):
        return True
    step = leaf.steps[n]
    following = [
        r
        for r in per_step[n]
        if r.place > before.place
        and (step.within is None or r.time <= before.time + step.within)
        and (leaf.same is None or written(r.held(leaf.same)) == written(before.held(leaf.same)))
    ]
    if step.negated:
        return not following and (step.within is None or before.time + step.within <= clock.now)
    return any(_continues(leaf, per_step, n + 1, r, clock) for r in following)


def rhythm(
    name: str, plan: Rhythm, fit: Fit, rows: list[Row], words: dict[str, DerivedEvent], clock: Clock
) -> datetime | float | None:
    """A computed trait, from the rule of DEFAULTS: R = (2 P + own gaps) / (2 + number of gaps)."""
    named, _ = rows_of(plan.event, rows, words, clock)
    live = sorted((r for r in named if is_live(r, clock.now)), key=lambda r: r.place)
    if not live:
        return None
    last, occasions = live[-1].time, len({r.day for r in live})
    span = (last - live[0].time).total_seconds()
    own = (2 * fit.typical_gap.total_seconds() + span) / (2 + occasions - 1)
    own = min(max(own, plan.least.total_seconds()), plan.most.total_seconds())
    seasons = {r.time.month % 12 // 3 for r in live}
    years = {r.time.year + (r.time.month == 12) for r in live}
    is_seasonal = len(seasons) == 1 and len(years) >= 2
    year, season = timedelta(days=365), timedelta(days=91)
    match name:
        case "rhythm_days":
            return own / 86400
        case "due_at":
            return last + (year if is_seasonal else _whole(own))
        case "slipping_at":
            return last + (year + season if is_seasonal else _whole(2 * own))
        case _:
            longest = fit.longest_gap.total_seconds()
            return last + (year + 2 * season if is_seasonal else _whole(max(4 * own, longest)))


def _whole(seconds: float) -> timedelta:
    return timedelta(seconds=int(seconds + 0.5))
