"""The figures per subject that decide conditions: every leaf names what it needs, one GROUP BY per table computes it.

All leaves of an expression share the figures: each is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from msgspec import Struct

from keepers.conditions.comparisons import Clock, ComparedValue, later, seconds
from keepers.conditions.compile.event_rows import RowColumns, Rows, RowSource
from keepers.conditions.compile.latest import TRAIT_FIELDS, in_order, latest
from keepers.conditions.compile.tables import STATES, TRAIT_VALUES, ZONE_OFFSETS, Mode, SubjectRows, table
from keepers.conditions.currencies import Currencies
from keepers.conditions.definitions import DerivedEvent
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import TRUSTED, Schema
from keepers.model.moments import Moment


class Term(Struct, frozen=True):
    """A condition as columns: its answer, the instants at which it may change, and the figures it used.

    Instants in `ahead` lie after now by construction, or are NULL; `edges` may lie anywhere.
    """

    holds: Any
    edges: tuple[Any, ...] = ()
    ahead: tuple[Any, ...] = ()
    seen: dict[str, Any] = {}


Finish = Callable[[Any], Term]
"""row of all figures → the term; called once all figures have been joined"""


class ComputedTrait(Protocol):
    """A trait computed from events at the moment of evaluation (rhythm, scores)."""

    name: str
    event: str
    signature: str
    """changes whenever the trait is computed differently"""

    def request(self, features: Features) -> Callable[[Any], tuple[ComparedValue, tuple[Any, ...]]]:
        """Requests figures; the returned function turns them into a value and the instants after now at which it
        changes."""
        ...


class Features:
    def __init__(
        self,
        schema: Schema,
        derived: dict[str, DerivedEvent],
        computed: dict[str, ComputedTrait],
        query_ids: dict[str, int],
        stages: dict[str, tuple[str, ...]],
        mode: Mode,
        currencies: Currencies | None = None,
    ) -> None:
        self.schema = schema
        self.computed = computed
        self.query_ids = query_ids
        self.stages = stages
        self.mode = mode
        self.subject_rows = SubjectRows(schema, mode)
        self.source = RowSource(schema, derived, self.subject_rows, currencies)
        self.needs_zone = False
        self._needs: dict[str, RowColumns] = {}
        self._figures: dict[str, dict[Hashable, tuple[str, str | None, Callable[[Rows], Any]]]] = {}
        self._derived: dict[str, dict[Hashable, tuple[str, str, Callable[[Any], Any]]]] = {}
        self._reach: dict[str, list[Moment | None]] = {}
        self._traits: dict[str, str] = {}
        self._states: dict[str, int] = {}
        self._own: list[Callable[[], Any]] = []
        self._names = 0

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def needs(self, event: str) -> RowColumns:
        return self._needs.setdefault(event, RowColumns())

    def figure(
        self,
        event: str,
        key: Hashable,
        build: Callable[[Rows], Any],
        reach: Moment | None = None,
        kind: str | None = "timestamp",
    ) -> str:
        """A column over an event's rows, grouped by subject; none when `build` gives None.

        `reach`: rows at or before it are never read. `kind` is the type of the NULL in its place when the event never
        arrived; None for an edge, which is then left out.
        """
        figures = self._figures.setdefault(event, {})
        self._reach.setdefault(event, []).append(reach)
        if key not in figures:
            figures[key] = (self.name("e"), kind, build)
        return figures[key][0]

    def derived(self, event: str, key: Hashable, build: Callable[[Any], Any], kind: str) -> str:
        """A column computed from figures of the same event (a row of them), once for all its uses."""
        derived = self._derived.setdefault(event, {})
        if key not in derived:
            derived[key] = (self.name("d"), kind, build)
        return derived[key][0]

    def trait(self, name: str) -> str:
        """A column prefix: `<prefix>_<field>` of the latest value, `<prefix>_next` is the next future time."""
        return self._traits.setdefault(name, f"t{len(self._traits)}")

    def state(self, definition: str) -> tuple[str, str]:
        """Columns of another definition's answer: its value and since when."""
        query_id = self.query_ids[definition]
        self._states[definition] = query_id
        return f"s{query_id}_value", f"s{query_id}_since"

    def ordinal(self, lifecycle: str, stage: str) -> int:
        """A stage's number, from 1."""
        return self.stages[lifecycle].index(stage) + 1

    def own_table(self, build: Callable[[], Any]) -> None:
        """A relation keyed by profile_id that is joined as it is (sequences, accounts)."""
        self._own.append(build)

    def now_of(self, rows: Any) -> Any:
        return rows.now if self.mode.scoped else self.mode.now()

    def clock_of(self, rows: Any) -> Clock:
        return self.subject_rows.clock(rows)

    def joined(self) -> Any:
        """The subjects in scope, with every figure."""
        base = self.subject_rows.subjects()
        if self.needs_zone:
            base = self._with_zone(base)
        absent: dict[str, Any] = {}
        for event, figures in self._figures.items():
            found = self._event_figures(event)
            if found is not None:
                base = _join(base, found)
            else:
                wanted = [*figures.values(), *self._derived.get(event, {}).values()]
                absent |= {name: ibis.null(kind) for name, kind, _ in wanted if kind is not None}
        if self._traits:
            base = _join(base, self._trait_figures())
        if self._states:
            base = _join(base, self._state_figures())
        for build in self._own:
            base = _join(base, build())
        return base.mutate(**absent) if absent else base

    def _event_figures(self, event: str) -> Any:
        rows = self.source.rows(event, self.needs(event))
        if rows is None:
            return None
        reaches = self._reach[event]
        if all(r is not None and r.is_relative for r in reaches) and not rows.has_void:
            furthest = min(r.offset for r in reaches if r is not None)
            kept = rows.table.filter(rows.table.time > self.now_of(rows.table) + seconds(furthest))
            rows = Rows(kept, rows.has_void, rows.has_future, rows.per_day)
        built = {name: build(rows) for name, _, build in self._figures[event].values()}
        built = {name: figure for name, figure in built.items() if figure is not None}
        grouped = rows.table.group_by("profile_id").aggregate(**built)
        derived = {name: build(grouped) for name, _, build in self._derived.get(event, {}).values()}
        return grouped.mutate(**derived) if derived else grouped

    def _trait_figures(self) -> Any:
        values = table("trait_values", TRAIT_VALUES).rename({TRUSTED: "trusted"})
        values = values.filter(values.trait.isin(sorted(self._traits)))
        # A list is stored in raw only; an empty one is no value.
        is_list = values.raw.startswith("[") & (values.raw != "[]")
        rows = self.subject_rows.attach_own(values.mutate(items=ibis.cases((is_list, values.raw))).drop("raw"))
        now = self.now_of(rows)
        rows = rows.mutate(known_order=in_order(rows))
        built = {}
        for name, prefix in self._traits.items():
            mine = rows.trait == name
            known = mine & (rows.time <= now)
            # The engine drops the columns that no condition reads.
            for kind in TRAIT_FIELDS:
                built[f"{prefix}_{kind}"] = latest(kind)(rows[kind], rows.known_order, where=known)
            built[f"{prefix}_next"] = rows.time.min(where=mine & (rows.time > now))
        return rows.group_by("profile_id").aggregate(**built)

    def _state_figures(self) -> Any:
        states = table(self.mode.states, STATES)
        states = states.filter(states.query_id.isin(sorted(self._states.values())))
        if self.mode.scoped:
            states = states.semi_join(self.subject_rows.scope, "profile_id")
        built = {}
        for query_id in sorted(self._states.values()):
            mine = states.query_id == query_id
            built[f"s{query_id}_value"] = states.value.max(where=mine)
            built[f"s{query_id}_since"] = states.since.max(where=mine)
        return states.group_by("profile_id").aggregate(**built)

    def _with_zone(self, base: Any) -> Any:
        offsets = table("zone_offsets", ZONE_OFFSETS)
        offsets = offsets.rename(offset_zone="zone")
        if self.mode.scoped:
            holds = [base.zone == offsets.offset_zone, base.now >= offsets.from_utc, base.now < offsets.until_utc]
            joined = base.left_join(offsets, holds)
        else:
            now = self.mode.now()
            offsets = offsets.filter((offsets.from_utc <= now) & (now < offsets.until_utc))
            joined = base.left_join(offsets, base.zone == offsets.offset_zone)
        return joined.select(*base.columns, offset_s=joined.offset_s.fill_null(0), offset_until=joined.until_utc)


def _join(base: Any, figures: Any) -> Any:
    renamed = figures.rename(figure_owner="profile_id")
    return base.left_join(renamed, base.profile_id == renamed.figure_owner).drop("figure_owner")


def instants(row: Any, columns: list[tuple[str, Any]]) -> list[Any]:
    """The instants in (column, offset) pairs, of those columns that are there."""
    return [row[c] + seconds(offset) if offset else row[c] for c, offset in columns if c in row.columns]


def changes_at(edges: tuple[Any, ...], ahead: tuple[Any, ...], now: Any) -> Any:
    """The earliest instant after now, or NULL."""
    known = {instant.op(): instant for instant in ahead}
    unsure = {edge.op(): edge for edge in edges if edge.op() not in known}
    ahead = (*known.values(), *(later(edge, now) for edge in unsure.values()))
    if not ahead:
        return ibis.null("timestamp")
    return ibis.least(*ahead) if len(ahead) > 1 else ahead[0]
