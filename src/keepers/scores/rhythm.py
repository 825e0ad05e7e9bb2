"""Rhythm: when a customer is due, slipping or lost, relative to their own cycle and the shop's.

P, the shop's typical gap between first and second purchase, is the Kaplan-Meier median (Kaplan & Meier 1958),
so customers who have not yet come back count as censored and not as absent. Where fewer than half ever come
back the curve has no median; then P is the median among those who do: the curve is rescaled by its plateau, the
share of a cure model's "immune" (Maller & Zhou 1992).
R, a customer's own gap, is (2 P + sum of own gaps) / (2 + number of gaps), within 7 to 365 days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from keepers.conditions.comparisons import ComparedValue, seconds
from keepers.conditions.compile.did import live
from keepers.conditions.compile.event_rows import RowColumns, Rows, RowSource
from keepers.conditions.compile.features import Features, instants
from keepers.conditions.compile.tables import Mode, SubjectRows
from keepers.conditions.definitions import DerivedEvent
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.parsing.operands import text_of
from keepers.conditions.schema import Schema
from keepers.model.errors import DefinitionError, problem
from keepers.model.fields import duration, join, mapping
from keepers.scores.score import Score

DEFAULT_GAP = timedelta(days=60)
DEFAULT_LONGEST = timedelta(days=240)
ENOUGH_REPEATERS = 200
SEASON = timedelta(days=91)
YEAR = timedelta(days=365)
NAMES = ("due_at", "slipping_at", "lost_at", "rhythm_days")


class Rhythm(Struct, frozen=True):
    """The shop's own cycle. Gaps that are not written down are fitted from history and frozen."""

    event: str = "purchase"
    typical_gap: timedelta | None = None
    longest_gap: timedelta | None = None
    least: timedelta = timedelta(days=7)
    most: timedelta = timedelta(days=365)


class Fit(Struct, frozen=True):
    """The shop's figures, frozen when fitted. `repeaters` is how many customers had come back by then."""

    typical_gap: timedelta = DEFAULT_GAP
    longest_gap: timedelta = DEFAULT_LONGEST
    repeaters: int = 0
    months: float = 0.0
    is_provisional: bool = True
    method: str = "default"


def frozen(rhythm: Rhythm, fit: Fit) -> Fit:
    """The fit with whatever the playbook writes down by hand in its place."""
    by_hand = rhythm.typical_gap is not None
    return Fit(
        typical_gap=rhythm.typical_gap or fit.typical_gap,
        longest_gap=rhythm.longest_gap or fit.longest_gap,
        repeaters=fit.repeaters,
        months=fit.months,
        is_provisional=fit.is_provisional and not by_hand,
        method="playbook" if by_hand else fit.method,
    )


def gap_counts(rhythm: Rhythm, schema: Schema, derived: dict[str, DerivedEvent], mode: Mode) -> Any | None:
    """Ibis expression: (kind, days, customers); None when nothing of the kind ever arrived.

    `kind` is `first` (second purchase after so many days), `censored` (none yet after so many days) or `gap` (any
    two purchases in a row).
    """
    subjects = SubjectRows(schema, mode)
    rows = RowSource(schema, derived, subjects).rows(rhythm.event, RowColumns())
    if rows is None:
        return None
    kept = rows.table.filter(live(rows, mode.now()))
    occasions = kept.group_by("profile_id", "day").aggregate(time=kept.time.min())
    window = ibis.window(group_by="profile_id", order_by="time")
    steps = occasions.mutate(following=occasions.time.lead().over(window), position=ibis.row_number().over(window))
    gap = (steps.following.epoch_seconds() - steps.time.epoch_seconds()) / 86400.0
    waited = (mode.now().epoch_seconds() - steps.time.epoch_seconds()) / 86400.0
    parts = [
        steps.filter((steps.position == 0) & steps.following.notnull()).select(kind=ibis.literal("first"), days=gap),
        steps.filter((steps.position == 0) & steps.following.isnull()).select(
            kind=ibis.literal("censored"), days=waited
        ),
        steps.filter(steps.following.notnull()).select(kind=ibis.literal("gap"), days=gap),
    ]
    merged = parts[0].union(parts[1]).union(parts[2])
    whole = merged.mutate(days=merged.days.round(2))
    return whole.group_by("kind", "days").aggregate(customers=whole.count())


def history_start(rhythm: Rhythm, schema: Schema, derived: dict[str, DerivedEvent], mode: Mode) -> Any | None:
    """Ibis expression: one row, the first time of the rhythm's event."""
    rows = RowSource(schema, derived, SubjectRows(schema, mode)).rows(rhythm.event, RowColumns())
    return None if rows is None else rows.table.aggregate(start=rows.table.time.min())


def fit(counts: Iterable[tuple[str, float, int]], months: float) -> Fit:
    """Fits P and the 95th-percentile gap from rows of `gap_counts`; the defaults until 200 have come back."""
    firsts: dict[float, int] = {}
    censored: dict[float, int] = {}
    gaps: dict[float, int] = {}
    for kind, days, customers in counts:
        {"first": firsts, "censored": censored, "gap": gaps}[kind][days] = customers
    repeaters = sum(firsts.values())
    if repeaters < ENOUGH_REPEATERS:
        return Fit(repeaters=repeaters, months=months)
    median, method = typical_gap(firsts, censored)
    return Fit(
        typical_gap=timedelta(days=max(median, 1 / 24)),
        longest_gap=timedelta(days=percentile(gaps, 0.95)),
        repeaters=repeaters,
        months=months,
        is_provisional=months < 12,
        method=method,
    )


def survival(firsts: dict[float, int], censored: dict[float, int]) -> list[tuple[float, float]]:
    """Kaplan-Meier: (days, share not yet back after so many days), at each day on which someone came back."""
    at_risk = sum(firsts.values()) + sum(censored.values())
    share = 1.0
    curve = []
    for days in sorted({*firsts, *censored}):
        back = firsts.get(days, 0)
        if back:
            share *= 1 - back / at_risk
            curve.append((days, share))
        at_risk -= back + censored.get(days, 0)
    return curve


def typical_gap(firsts: dict[float, int], censored: dict[float, int]) -> tuple[float, str]:
    """Days until half have come back, and how it was found."""
    curve = survival(firsts, censored)
    plateau = curve[-1][1]
    goal, method = (0.5, "kaplan-meier median") if plateau <= 0.5 else ((1 + plateau) / 2, "median of those who return")
    return next(days for days, share in curve if share <= goal + 1e-12), method


def percentile(values: dict[float, int], share: float) -> float:
    """The nearest-rank percentile of values with counts."""
    rank = share * sum(values.values())
    seen = 0
    for value in sorted(values):
        seen += values[value]
        if seen >= rank:
            return value
    return 0.0


class RhythmTrait:
    """One of `due_at`, `slipping_at`, `lost_at`, `rhythm_days`, worked out at the moment of evaluation."""

    def __init__(self, name: str, rhythm: Rhythm, fitted: Fit) -> None:
        self.name = name
        self.event = rhythm.event
        self._rhythm = rhythm
        self._fit = fitted
        self.signature = f"{name} {rhythm} {fitted.typical_gap} {fitted.longest_gap}"

    def request(self, features: Features) -> Callable[[Any], tuple[ComparedValue, tuple[Any, ...]]]:
        """Purchases' first and last time, number of occasions and seasons, in the same GROUP BY as all else."""

        def figure(key: str, build: Callable[[Rows, Any], Any], kind: str | None = "timestamp") -> str:
            return features.figure(
                self.event,
                ("rhythm", key),
                lambda rows: build(rows, live(rows, features.now_of(rows.table))),
                kind=kind,
            )

        first = figure("first", lambda rows, mask: rows.table.time.min(where=mask))
        last = figure("last", lambda rows, mask: rows.table.time.max(where=mask))
        occasions = figure("occasions", lambda rows, mask: rows.table.day.nunique(where=mask), "int64")
        first_season = figure("first season", lambda rows, mask: _season(rows).min(where=mask), "int64")
        last_season = figure("last season", lambda rows, mask: _season(rows).max(where=mask), "int64")
        first_year = figure("first year", lambda rows, mask: _season_year(rows).min(where=mask), "int64")
        last_year = figure("last year", lambda rows, mask: _season_year(rows).max(where=mask), "int64")
        upcoming = figure("upcoming", lambda rows, mask: _upcoming(rows, features), None)
        voids = figure("voids", lambda rows, mask: _voids(rows, features), None)

        def value(row: Any) -> Any:
            span_s = (row[last].epoch_seconds() - row[first].epoch_seconds()).cast("float64")
            own = (2 * self._fit.typical_gap.total_seconds() + span_s) / (2 + row[occasions] - 1)
            least, most = self._rhythm.least.total_seconds(), self._rhythm.most.total_seconds()
            own = ibis.least(ibis.greatest(own, least), most)
            is_seasonal = (row[first_season] == row[last_season]) & (row[first_year] < row[last_year])
            return self._value(row[last], own, is_seasonal)

        is_number = self.name == "rhythm_days"
        kind = "float64" if is_number else "timestamp"
        column = features.derived(self.event, ("rhythm", self.signature), value, kind)

        def value_of(row: Any) -> tuple[ComparedValue, tuple[Any, ...]]:
            found = ComparedValue(number=row[column]) if is_number else ComparedValue(instant=row[column])
            return found, tuple(instants(row, [(upcoming, None), (voids, None)]))

        return value_of

    def _value(self, last: Any, own_s: Any, is_seasonal: Any) -> Any:
        if self.name == "rhythm_days":
            return own_s / 86400
        longest = self._fit.longest_gap.total_seconds()
        if self.name == "due_at":
            usual, seasonal = own_s, YEAR
        elif self.name == "slipping_at":
            usual, seasonal = 2 * own_s, YEAR + SEASON
        else:
            usual, seasonal = ibis.greatest(4 * own_s, longest), YEAR + 2 * SEASON
        plain = last + usual.round().cast("int64").as_interval("s")
        return ibis.cases((is_seasonal.fill_null(False), last + seconds(seasonal)), else_=plain)


def _season(rows: Rows) -> Any:
    """Quarter of the year that starts in December: winter 0, spring 1 …"""
    return (rows.table.time.month() % 12).cast("int32") // 3


def _season_year(rows: Rows) -> Any:
    """December belongs to the winter of the year after."""
    return rows.table.time.year() + (rows.table.time.month() == 12).cast("int32")


def _upcoming(rows: Rows, features: Features) -> Any:
    if not rows.has_future:
        return None
    return rows.table.time.min(where=rows.table.time > features.now_of(rows.table))


def _voids(rows: Rows, features: Features) -> Any:
    if not rows.has_void:
        return None
    return rows.table.void_at.min(where=rows.table.void_at > features.now_of(rows.table))


class RhythmScore(Score):
    """When a customer is due, slipping and lost: `due_at`, `slipping_at`, `lost_at`, and their cycle, `rhythm_days`."""

    id = "rhythm"
    traits = NAMES
    settings = Rhythm
    figures = Fit

    def parse(self, data: Any, at: str = "rhythm") -> Rhythm:
        """`rhythm:` of the playbook; what is left out is fitted from history and frozen."""
        fields = mapping(data, ("event", "typical_gap", "longest_gap", "least", "most"), at)
        known = {k: duration(v, join(at, k)) for k, v in fields.items() if k != "event"}
        rhythm = Rhythm(event=text_of(fields.get("event", "purchase"), join(at, "event")), **known)
        if rhythm.least > rhythm.most:
            raise DefinitionError(problem("“least” is longer than “most”"), field=at)
        return rhythm

    def event(self, settings: Rhythm) -> str:
        return settings.event

    def computed(self, settings: Rhythm, figures: Fit) -> dict[str, RhythmTrait]:
        settled = frozen(settings, figures)
        return {name: RhythmTrait(name, settings, settled) for name in NAMES}

    def signature(self, settings: Rhythm, figures: Fit) -> list[Any]:
        return [settings, figures.typical_gap, figures.longest_gap]

    def history(
        self, settings: Rhythm, schema: Schema, derived: dict[str, DerivedEvent], mode: Mode
    ) -> tuple[Any, ...] | None:
        start = history_start(settings, schema, derived, mode)
        counts = gap_counts(settings, schema, derived, mode)
        return None if start is None or counts is None else (start, counts)

    def fit(self, rows: Sequence[Sequence[tuple[Any, ...]]], now: datetime) -> Fit:
        starts, counts = rows
        start = starts[0][0] if starts else None
        if start is None or start > now:
            return Fit()
        return fit(((kind, days, customers) for kind, days, customers in counts), months=(now - start).days / 30.4375)

    def is_enough(self, figures: Fit) -> bool:
        return figures.repeaters >= ENOUGH_REPEATERS

    def is_fixed(self, settings: Rhythm) -> bool:
        return settings.typical_gap is not None and settings.longest_gap is not None
