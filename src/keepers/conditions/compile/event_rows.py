"""Event rows for conditions: a base event's table, or the united sources of a derived event.

Every relation has profile_id, now, seq, time, day and, when a row can stop counting, `void_at`; other columns that
conditions need (where-flags, numbers, keys) are computed per source, so that unions stay narrow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from keepers.conditions.ast import Comparison, PropertyTest, ReportingTest, has_reporting
from keepers.conditions.comparisons import Clock, ComparedValue, later, never, seconds, sure
from keepers.conditions.compile import record
from keepers.conditions.compile.reporting import CODE, RATE, with_rates
from keepers.conditions.compile.tables import EVENT_COLUMNS, IBIS_KINDS, SubjectRows, table
from keepers.conditions.currencies import Currencies
from keepers.conditions.definitions import DerivedEvent, Source
from keepers.conditions.graph import MEMBER
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.operators import BY_NAME, is_relative
from keepers.conditions.schema import TRUSTED, EventTable, Schema

Where = tuple[PropertyTest, ...]
VALUE = "value"
CURRENCY = "currency"
SEQ = "$seq"
"""the event's own number, for testing one certain event"""


class RowColumns(Struct):
    """The columns that the conditions of one expression need of an event's rows."""

    wheres: dict[Where, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    flips: dict[Where, str] = field(default_factory=dict)
    amounts: dict[str, str] = field(default_factory=dict)

    @property
    def uses_reporting(self) -> bool:
        return bool(self.amounts) or any(map(has_reporting, self.wheres))

    def where(self, tests: Where) -> str | None:
        return self.wheres.setdefault(tests, f"w{len(self.wheres)}") if tests else None

    def number(self, path: str) -> str:
        return self.numbers.setdefault(path, f"n{len(self.numbers)}")

    def amount(self, path: str) -> tuple[str, str]:
        """The amount in the reporting currency, and the currency of one that has no rate (NULL for one that has)."""
        name = self.amounts.setdefault(path, f"a{len(self.amounts)}")
        return name, f"{name}_unrated"

    def key(self, path: str) -> str:
        return self.keys.setdefault(path, f"k{len(self.keys)}")

    def flip(self, tests: Where) -> str | None:
        """When a row's tests change their answer by themselves; None where no test is relative."""
        if not any(is_relative(t) for p in tests for t in p.tests):
            return None
        return self.flips.setdefault(tests, f"f{len(self.flips)}")


class Rows(Struct, frozen=True):
    """An event's rows with the columns of `RowColumns`."""

    table: Any
    has_void: bool
    has_future: bool
    per_day: bool

    def where(self, flag: str | None) -> Any:
        return ibis.literal(True) if flag is None else self.table[flag]


def united(parts: Sequence[Any]) -> Any:
    """All rows of several tables, united in pairs, which keeps the expression shallow."""
    merged = list(parts)
    while len(merged) > 1:
        merged = [a.union(*b) if b else a for a, *b in (merged[n : n + 2] for n in range(0, len(merged), 2))]
    return merged[0]


class RowSource:
    """Gives the rows of any event by its exact name, derived or base."""

    def __init__(
        self,
        schema: Schema,
        derived: dict[str, DerivedEvent],
        subject_rows: SubjectRows,
        currencies: Currencies | None = None,
    ) -> None:
        self.schema = schema
        self.derived = derived
        self.subject_rows = subject_rows
        self.currencies = currencies

    def has(self, event: str) -> bool:
        """Whether any row of an event ever arrived."""
        word = self.derived.get(event)
        return any(self.schema.event(s.event) for s in (word.sources if word else (Source(event),)))

    def rows(self, event: str, needs: RowColumns) -> Rows | None:
        """Rows of an event; None when none ever arrived."""
        word = self.derived.get(event)
        sources = [s for s in (word.sources if word else (Source(event),)) if self.schema.event(s.event)]
        if not sources:
            return None
        parts = [self._source_rows(source, needs) for source in sources]
        has_void = any("void_at" in part.columns for part in parts)
        if has_void:
            parts = [p if "void_at" in p.columns else p.mutate(void_at=ibis.null("timestamp")) for p in parts]
        columns = sorted(parts[0].columns)
        merged = united([part.select(columns) for part in parts])
        future = any(self._has_future(source) for source in sources)
        return Rows(merged, has_void, future, bool(word and word.per_day))

    def _has_future(self, source: Source) -> bool:
        names = (source.event, *(source.unless.events if source.unless else ()))
        return any(found.has_future for found in map(self.schema.event, names) if found is not None)

    def _source_rows(self, source: Source, needs: RowColumns) -> Any:
        base = BaseRows(self.schema, source.event, self._paths(source, needs))
        for wheres in (source.where, *needs.wheres):
            base.prepare(_translated(wheres, source))
        if needs.uses_reporting:
            code = base.value(base.table, source.currency or CURRENCY).text
            base.table = with_rates(base.table, code, self.currencies)
        rows = self.subject_rows.attach(base.table)
        for wheres in needs.wheres:
            rows = base.with_referring_items(rows, _translated(wheres, source), self.subject_rows)
        clock = self.subject_rows.clock(rows)
        if source.where:
            rows = rows.filter(base.flag(rows, source.where, clock))
        columns: dict[str, Any] = {}
        for wheres, name in needs.wheres.items():
            columns[name] = base.flag(rows, _translated(wheres, source), clock)
        for wheres, name in needs.flips.items():
            columns[name] = base.flip(rows, _translated(wheres, source), clock)
        for path, name in needs.numbers.items():
            number = base.value(rows, _own_path(path, source)).number
            columns[name] = ibis.null("float64") if number is None else number
        for path in needs.amounts:
            name, unrated = needs.amount(path)
            number = base.value(rows, _own_path(path, source)).number
            number = ibis.null("float64") if number is None else number
            columns[name] = number * rows[RATE]
            columns[unrated] = ibis.cases((number.notnull() & rows[RATE].isnull(), rows[CODE].fill_null("?")))
        for path, name in needs.keys.items():
            columns[name] = base.key(rows, _own_path(path, source))
        void = self._voids(source)
        if void is not None and source.unless is not None:
            columns["unless_key"] = base.key(rows, source.unless.same)
            columns[TRUSTED] = rows[TRUSTED]
        kept = rows.select("profile_id", "seq", "time", "day", *self.subject_rows.carried, **columns)
        if source.times > 1:
            kept = self._nth(kept, source)
        if void is None:
            return kept
        same = (kept.profile_id == void.void_owner) & (kept.unless_key == void.void_key)
        if not self._has_future(source):
            # All cancellations lie in the past: cancelled rows never count, and there is no edge.
            may_cancel = void.trusted_void_at.notnull() | ~sure(kept[TRUSTED])
            return kept.anti_join(void, [same, may_cancel]).drop("unless_key", TRUSTED)
        joined = kept.left_join(void, same)
        void_at = ibis.cases((sure(joined[TRUSTED]), joined.trusted_void_at), else_=joined.void_at)
        return joined.mutate(void_at=void_at).drop("void_owner", "void_key", "unless_key", "trusted_void_at", TRUSTED)

    @staticmethod
    def _paths(source: Source, needs: RowColumns) -> set[str]:
        """The properties of the source's own rows that are read, besides those of list items."""
        tests = [test for wheres in (source.where, *needs.wheres) for test in wheres if not test.some]
        paths = {_own_path(path, source) for path in (*needs.numbers, *needs.amounts, *needs.keys)}
        paths |= {_own_path(test.path, source) for test in tests} | {test.path for test in source.where}
        paths |= {source.currency or CURRENCY} if needs.uses_reporting else set()
        return paths | ({source.unless.same} if source.unless else set())

    def _voids(self, source: Source) -> Any:
        """When each (subject, key) was first cancelled, by anything and by something trusted, without which nothing
        trusted is cancelled; None when nothing that cancels ever arrived."""
        parts = []
        if source.unless is None:
            return None
        for event in source.unless.events:
            if self.schema.event(event) is None:
                continue
            base = BaseRows(self.schema, event, {source.unless.same})
            rows = self.subject_rows.attach(base.table)
            key = base.key(rows, source.unless.same)
            parts.append(
                rows.select(void_owner=rows.profile_id, void_key=key, at=rows.time, void_trusted=rows[TRUSTED])
            )
        if not parts:
            return None
        merged = united(parts)
        return merged.group_by("void_owner", "void_key").aggregate(
            void_at=merged["at"].min(), trusted_void_at=merged["at"].min(where=sure(merged.void_trusted))
        )

    @staticmethod
    def _nth(rows: Any, source: Source) -> Any:
        window = ibis.window(group_by="profile_id", order_by=["time", "seq"])
        earlier = rows.mutate(nth_before=rows.time.lag(source.times - 1).over(window))
        reached = earlier.nth_before.notnull()
        if source.within is not None:
            reached = reached & (earlier.nth_before > earlier.time - seconds(source.within))
        return earlier.filter(reached).drop("nth_before")


def _own_path(path: str, source: Source) -> str:
    """`value` and `currency` of a derived event stand for the properties that its source names."""
    if path == VALUE and source.value:
        return source.value
    if path == CURRENCY and source.currency:
        return source.currency
    return path


def _translated(wheres: Where, source: Source) -> Where:
    return tuple(replace(t, path=_own_path(t.path, source)) if not t.some else t for t in wheres)


class Items(NamedTuple):
    """The items of a list: `table` with the event's seq, and what gives a field on rows with its columns."""

    table: Any
    field: Callable[[Any, str], ComparedValue]


class BaseRows:
    """One base event's table, with a flag column joined in for every test on list items. `paths` are the properties
    that will be read: the record is joined in where one of them may have no column."""

    def __init__(self, schema: Schema, event: str, paths: Iterable[str]) -> None:
        self.event = schema.event(event) or EventTable(event)
        if not self.event.table:
            self.table = record.records(event).rename({TRUSTED: "trusted", "raw_kind": "kind"})
        else:
            self.table = _typed(self.event.table, EVENT_COLUMNS, self.event.columns)
            if any(path not in self.event.columns and self.event.in_record(path) for path in paths):
                rows = record.records(event)
                raw = rows.select(raw_seq=rows.seq, raw=rows.raw, raw_kind=rows.kind)
                self.table = self.table.join(raw, self.table.seq == raw.raw_seq).drop("raw_seq")
        self._item_flags: dict[PropertyTest, str] = {}

    def prepare(self, wheres: Where) -> None:
        """Joins in a flag for each test on list items; called before the rows are attached to subjects."""
        for item_test in (item for test in wheres for item in self._item_tests(test)):
            if item_test.refs or item_test in self._item_flags:
                continue
            name = self._name_item_flag(item_test)
            items = self._items(item_test)
            if items is None:
                self.table = self.table.mutate(**{name: ibis.literal(False)})
                continue
            rows = items.table
            # Selected first: a field that never arrived is a bare literal, which cannot be aggregated.
            tested = rows.select(item_seq=rows.seq, passes=_item_passes(items, rows, item_test, None))
            flags = tested.group_by("item_seq").aggregate(**{name: tested.passes.any()})
            joined = self.table.left_join(flags, self.table.seq == flags.item_seq)
            self.table = joined.drop("item_seq").mutate(**{name: sure(joined[name])})

    def with_referring_items(self, rows: Any, wheres: Where, subject_rows: SubjectRows) -> Any:
        """Attached rows with a flag for each test on list items that compares with the run's values."""
        for item_test in (item for test in wheres for item in self._item_tests(test)):
            if not item_test.refs or item_test in self._item_flags:
                continue
            name = self._name_item_flag(item_test)
            items = self._items(item_test)
            if items is None:
                rows = rows.mutate(**{name: ibis.literal(False)})
                continue
            own = items.table.rename(item_seq="seq")
            referring = rows.select(*subject_rows.carried, item_owner=rows.profile_id, referring_seq=rows.seq).view()
            joined = own.join(referring, own.item_seq == referring.referring_seq)
            passes = _item_passes(items, joined, item_test, subject_rows.clock(joined))
            tested = joined.select("item_owner", "item_seq", passes=passes)
            flags = tested.group_by("item_owner", "item_seq").aggregate(**{name: tested.passes.any()})
            found = rows.left_join(flags, [rows.profile_id == flags.item_owner, rows.seq == flags.item_seq])
            rows = found.drop("item_owner", "item_seq").mutate(**{name: sure(found[name])})
        return rows

    def _items(self, test: PropertyTest) -> Items | None:
        """The items that a test is about; None where none ever arrived."""
        child = self.event.children.get(test.path)
        fields = [inner.path for inner in test.some]
        if child is not None and not any(f not in child.columns and child.in_record(f) for f in fields):
            columns = child.columns
            return Items(
                _typed(child.table, {"seq": "int64", "position": "int64"}, columns),
                lambda rows, path: _columns(rows, columns.get(path, {})),
            )
        if child is None and not self.event.in_record(test.path):
            return None
        rows = record.records(self.event.event)
        found = record.items_of(rows.select("seq", "raw", raw_kind=rows.kind), test.path)
        return Items(found, lambda rows, path: _with_instant(record.field_of(rows.item, path)))

    def _is_list(self, path: str) -> bool:
        """Whether a property has, or may have, arrived as a list."""
        return path in self.event.children or self.event.in_record(path)

    def _name_item_flag(self, item_test: PropertyTest) -> str:
        return self._item_flags.setdefault(item_test, f"item{len(self._item_flags)}")

    def _item_tests(self, test: PropertyTest) -> list[PropertyTest]:
        """The tests of list items: `some`, or `{tags: vip}` on a list, which means such an item."""
        if test.some:
            return [test]
        if not self._is_list(test.path):
            return []
        return [item for part in _parts(test.tests) if (item := _of_item(test.path, part)) is not None]

    def value(self, rows: Any, path: str) -> ComparedValue:
        """The property's columns on attached rows, one per JSON kind that ever arrived."""
        if path == SEQ:
            return ComparedValue(number=rows.seq)
        if path in self.event.columns:
            return _columns(rows, self.event.columns[path])
        if self.event.in_record(path):
            return _with_instant(record.value_of(rows, path))
        return ComparedValue()

    def key(self, rows: Any, path: str) -> Any:
        """The property as text, whatever its kind, for matching the same value across events: order 5 is order "5"."""
        if path == MEMBER and path not in self.event.properties:
            return (rows.member_id if "member_id" in rows.columns else rows.profile_id).cast("string")
        value = self.value(rows, path)
        parts = [value.text] if value.text is not None else []
        parts += [_number_text(value.number)] if value.number is not None else []
        parts += [value.boolean.cast("string")] if value.boolean is not None else []
        return ibis.coalesce(*parts) if parts else ibis.null("string")

    def flip(self, rows: Any, wheres: Where, clock: Clock) -> Any:
        """The earliest instant after now at which a row's tests may change by themselves, or NULL."""
        found = [ibis.null("timestamp")]
        for test in wheres:
            for t in filter(is_relative, test.tests):
                flips = BY_NAME[t.op].flips(self.value(rows, test.path), t.operand, clock)
                found += [later(flip, clock.now) for flip in flips]
        return ibis.least(*found) if len(found) > 1 else found[0]

    def flag(self, rows: Any, wheres: Where, clock: Clock) -> Any:
        """Whether a row passes all tests. A list passes when an item does, and `ne` when no item is equal."""
        holds: Any = ibis.literal(True)
        for test in wheres:
            if test.some:
                holds = holds & rows[self._item_flags[test]]
                continue
            value = self.value(rows, test.path)
            if isinstance(test, ReportingTest):
                number = ibis.null("float64") if value.number is None else value.number
                value = ComparedValue(number=number * rows[RATE])
            for part in _parts(test.tests):
                passed = _tests_hold(value, part, clock)
                item = _of_item(test.path, part) if self._is_list(test.path) else None
                if item is not None:
                    found = rows[self._item_flags[item]]
                    passed = passed & ~found if _is_negative(part[0]) else passed | found
                holds = holds & passed
        return holds


def _is_negative(test: Comparison) -> bool:
    row = BY_NAME[test.op]
    return bool(row.negates) or (row.asks_presence and not test.operand)


def _parts(tests: tuple[Comparison, ...]) -> list[tuple[Comparison, ...]]:
    """Tests that one item of a list must pass together; negative tests stand alone, and so does presence."""
    together = tuple(t for t in tests if not (BY_NAME[t.op].negates or BY_NAME[t.op].asks_presence))
    alone: list[tuple[Comparison, ...]] = [(t,) for t in tests if t not in together]
    return [together, *alone] if together else alone


def _of_item(path: str, part: tuple[Comparison, ...]) -> PropertyTest | None:
    """The part as tests on the items of a list of scalars; None for relative tests, since items have no clock."""
    if any(map(is_relative, part)):
        return None
    if BY_NAME[part[0].op].asks_presence:
        return PropertyTest(path, some=(PropertyTest("value"),))
    return PropertyTest(path, some=(PropertyTest("value", tuple(map(_of_one_item, part))),))


def _of_one_item(test: Comparison) -> Comparison:
    positive = BY_NAME[test.op].negates or test.op
    return Comparison(BY_NAME[positive].of_item or positive, test.operand)


def _typed(name: str, fixed: dict[str, str], properties: dict[str, dict[str, str]]) -> Any:
    """A typed table; properties whose names are taken here are renamed."""
    columns = dict(fixed)
    for kinds in properties.values():
        columns |= {physical: IBIS_KINDS[kind] for kind, physical in kinds.items()}
    renamed = {_own(c): c for c in columns if c not in fixed and _own(c) != c}
    found = table(name, columns)
    return found.rename(renamed) if renamed else found


_CALLED = re.compile(
    r"id|now|since|raw|raw_seq|raw_kind|(from|to|member|identified|account)_id|item.*|asked_seq|passes|void_.*|reporting_.*|rate_.*"
)
"""names of columns here other than properties"""


def _own(physical: str) -> str:
    return f"${physical}" if _CALLED.fullmatch(physical) else physical


def _item_passes(items: Items, rows: Any, test: PropertyTest, clock: Clock | None) -> Any:
    """Whether an item passes all the tests on its fields. `rows` have the columns of the items."""
    holds: Any = ibis.literal(True)
    for inner in test.some:
        holds = holds & _tests_hold(items.field(rows, inner.path), inner.tests, clock)
    return holds


def _number_text(number: Any) -> Any:
    """A number as text: 5 and not 5.0."""
    is_whole = (number == number.round()) & (number.abs() < 1e15)
    whole = ibis.cases((is_whole, number), else_=ibis.literal(0.0)).cast("int64").cast("string")
    return ibis.cases((is_whole.fill_null(False), whole), else_=number.cast("string"))


def _tests_hold(value: ComparedValue, tests: tuple[Comparison, ...], clock: Clock | None) -> Any:
    holds: Any = ibis.literal(True)
    for test in tests:
        holds = holds & BY_NAME[test.op].holds(value, test.operand, clock or Clock(now=never()))
    return holds


def _columns(rows: Any, kinds: dict[str, str]) -> ComparedValue:
    picked = {kind: rows[_own(physical)] for kind, physical in kinds.items()}
    return _with_instant(ComparedValue(picked.get("number"), picked.get("text"), picked.get("boolean")))


def _with_instant(value: ComparedValue) -> ComparedValue:
    if value.text is None:
        return value
    # Only texts that look like dates: the engine would also read “epoch” and “infinity”.
    dated = ibis.cases((value.text.substr(4, 1) == "-", value.text))
    instant = dated.try_cast("timestamp('UTC')").cast("timestamp")
    return ComparedValue(value.number, value.text, value.boolean, instant, None)
