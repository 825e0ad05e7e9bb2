"""Definitions → one Ibis expression: for every subject in scope each answer, and when it may change.

The one evaluator: everybody or a scope, now or as of a past moment; live tick, preview and report use it alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from keepers.conditions import ast
from keepers.conditions.compile.features import ComputedTrait, Features, Finish, Term, changes_at
from keepers.conditions.compile.leaves import finish_condition
from keepers.conditions.compile.tables import Mode
from keepers.conditions.currencies import Currencies
from keepers.conditions.definitions import Definition, DerivedEvent, Lifecycle, Segment
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import Schema
from keepers.model.fields import Kind


class StandingQuery(Struct, frozen=True):
    """A definition that is kept answered: `number` is its id in the warehouse, `id` is `segment:x` or `lifecycle:y`."""

    number: int
    id: str
    definition: Definition

    @property
    def subject(self) -> Kind:
        return self.definition.of

    @property
    def trusted_only(self) -> bool:
        """Whether it counts only what is trusted."""
        return self.definition.trust == "server"


def by_mode(queries: Iterable[StandingQuery]) -> Iterator[tuple[StandingQuery, ...]]:
    """Queries in groups that one expression answers: those of accounts first, for members read them."""
    found: dict[tuple[Kind, bool], list[StandingQuery]] = {}
    for query in queries:
        found.setdefault((query.subject, query.trusted_only), []).append(query)
    for key in sorted(found):
        yield tuple(found[key])


class Vocabulary(Struct, frozen=True):
    """What the conditions of a workspace may name besides what has arrived."""

    derived: dict[str, DerivedEvent] = field(default_factory=dict)
    computed: dict[str, ComputedTrait] = field(default_factory=dict)
    query_ids: dict[str, int] = field(default_factory=dict)
    """definition → number of its standing query"""
    stages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    currencies: Currencies | None = None


class CompiledQueries(Struct, frozen=True):
    """`expression` has profile_id, now and, per query in order, `v<number>` (0 none, 1 in the segment, n the n-th
    stage) and `x<number>` (earliest instant after now at which that may change, or NULL)."""

    expression: Any
    queries: tuple[StandingQuery, ...]


def compile_queries(
    queries: tuple[StandingQuery, ...], schema: Schema, vocabulary: Vocabulary, mode: Mode
) -> CompiledQueries:
    """One expression for several queries of one kind of subject. Event tables are read once for all of them."""
    features = _features(schema, vocabulary, mode)
    leaves: dict[ast.Condition, Finish] = {}
    finishers = [[finish_condition(c, features, leaves) for c in _conditions(query.definition)] for query in queries]
    row = features.joined()
    exists = row.created_at <= row.now
    columns: dict[str, Any] = {}
    for query, parts in zip(queries, finishers, strict=True):
        terms = [finish(row) for finish in parts]
        value = _value(terms, is_lifecycle=isinstance(query.definition, Lifecycle))
        edges = tuple(edge for term in terms for edge in term.edges)
        ahead = tuple(instant for term in terms for instant in term.ahead)
        columns[f"v{query.number}"] = ibis.cases((exists, value), else_=ibis.literal(0)).cast("int16")
        columns[f"x{query.number}"] = changes_at((*edges, row.created_at), ahead, row.now)
    return CompiledQueries(row.select("profile_id", "now", **columns), queries)


def compile_condition(
    condition: ast.Condition, schema: Schema, vocabulary: Vocabulary, mode: Mode
) -> tuple[Any, list[tuple[str, tuple[str, ...]]]]:
    """One condition, explained: `holds`, and for every leaf a column with its answer and the figures it used.

    Returns the expression and, for each of `ast.leaves`, its answer's column and the names of the figures
    (columns `<answer>_<n>`).
    """
    features = _features(schema, vocabulary, mode)
    leaves: dict[ast.Condition, Finish] = {}
    finish = finish_condition(condition, features, leaves)
    row = features.joined()
    exists = row.created_at <= row.now
    columns: dict[str, Any] = {"holds": exists & finish(row).holds}
    named: list[tuple[str, tuple[str, ...]]] = []
    for n, leaf in enumerate(ast.leaves(condition)):
        term = leaves[leaf](row)
        columns[f"l{n}"] = exists & term.holds
        for k, seen in enumerate(term.seen.values()):
            columns[f"l{n}_{k}"] = seen
        named.append((f"l{n}", tuple(term.seen)))
    return row.select("profile_id", "now", **columns), named


def _features(schema: Schema, vocabulary: Vocabulary, mode: Mode) -> Features:
    words = vocabulary
    return Features(schema, words.derived, words.computed, words.query_ids, words.stages, mode, words.currencies)


def _conditions(definition: Definition) -> tuple[ast.Condition, ...]:
    match definition:
        case Segment():
            return (definition.who,)
        case Lifecycle():
            return tuple(stage.when for stage in definition.stages)


def _value(terms: list[Term], is_lifecycle: bool) -> Any:
    """The number of the last stage that holds; for a segment 1 or 0."""
    if not is_lifecycle:
        return terms[0].holds.cast("int16")
    ordinals = [(term.holds, ibis.literal(n)) for n, term in reversed(list(enumerate(terms, start=1)))]
    return ibis.cases(*ordinals, else_=ibis.literal(0))
