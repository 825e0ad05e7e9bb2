"""The parser: every mistake is one clear error with its field and the remedy, whatever is thrown at it."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions import ast
from keepers.conditions.operators import BY_NAME, OPERATORS
from keepers.conditions.parsing.conditions import MAX_DEPTH, parse_condition
from keepers.conditions.parsing.definitions import parse_derived, parse_lifecycle, parse_segment
from keepers.i18n.catalogues import gettext, languages
from keepers.model.errors import DefinitionError
from keepers.scores.rhythm import RhythmScore
from profiles import examples


def nested(depth: int, head: str = "not") -> Any:
    condition: Any = "anyone"
    for _ in range(depth):
        condition = {head: condition if head == "not" else [condition]}
    return condition


def deep_list(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({"di": "x"}, "", "Did you mean “did”"),
        ({"did": "x", "withn": "3d"}, "", "Did you mean “within”"),
        ({"did": "x", "within": "3 moons"}, "within", "is not a duration"),
        ({"did": "x", "within": "3d", "since": "now"}, "", "exclude each other"),
        ({"did": "x", "count": True}, "count", "number"),
        ({"did": "x", "count": {"gte": "3"}}, "count", "number"),
        ({"did": "x", "sum": {"gte": 3}}, "sum", "of"),
        ({"did": "x", "sum": {"of": "total"}}, "sum", "gte"),
        ({"did": "x", "first": True, "last": True}, "last", "not both"),
        ({"did": "x", "first": True, "count": 2}, "", "leave one of them out"),
        ({"did": "x", "between": ["now", "3d ago"]}, "between", "ends before it starts"),
        ({"did": "x", "where": ["total"]}, "where", "{total: {gt: 50}}"),
        ({"did": "x", "where": {"total": None}}, "where.total", "exists: false"),
        ({"did": "x", "where": {"total": {"gt": math.nan}}}, "where.total.gt", "finite"),
        ({"did": "x", "where": {"total": math.inf}}, "where.total.eq", "finite"),
        ({"did": "x", "where": {"items": {"some": {"x": {"some": {"y": 1}}}}}}, "where.items.some.x", "list item"),
        ({"did": "x", "where": {"items": {"some": {"due": {"after": "now"}}}}}, "where.items.some.due", "write a date"),
        ({"any": ["anyone"] * 401}, "any[400]", "more than 400"),
        ({"any": [{"not": {}}] * 401}, "any[400].not", "more than 400"),
        ({"did": "x", "where": {f"p{n}": 1 for n in range(401)}}, "where.p399", "more than 400"),
        ({"did": "x", "where": {"l": {"some": {f"p{n}": 1 for n in range(400)}}}}, "where.l.some.p398", "than 400"),
        ({"sequence": [{"did": "x"}] * 51}, "sequence", "more than 50 steps"),
        ({"any": [{"sequence": [{"did": "x"}] * 50}] * 8}, "any[7].sequence[42]", "more than 400"),
        ({"did": "x\0y"}, "did", "NUL"),
        ({"did": "x", "where": {"a\0b": 1}}, "where.a\0b", "NUL"),
        ({"trait": "x", "eq": "\ud800"}, "eq", "surrogate"),
        ({"trait": "x", "between": [5, 1]}, "between", "greater than the second"),
        ({"trait": "x", "between": [5, "a"]}, "between", "one kind"),
        ({"trait": "x", "in": []}, "in", "list of values"),
        ({"trait": "x", "in": ["a"] * 10_001}, "in", "import them as a trait"),
        ({"trait": "x", "matches": "(?=a)"}, "matches", "RE2"),
        ({"trait": "x", "matches": "("}, "matches", "RE2"),
        ({"trait": "x", "anniversary": {"in": "1h"}}, "anniversary", "whole days"),
        ({"trait": "x", "eq": "a" * 5001}, "eq", "5000"),
        ({"trait": "x", "eq": [1]}, "eq", "expected a text, a number"),
        ({"trait": "x", "lt": True}, "lt", "no order"),
        ({"trait": "x", "within_last": "1e9w"}, "within_last", "duration"),
        ({"all": {"did": "x"}}, "all", "list of conditions"),
        ({"all": ["anyone"], "any": ["anyone"]}, "", "side by side"),
        ({"sequence": [{"did": "x"}]}, "sequence", "two steps"),
        ({"sequence": [{"did_not": "x"}, {"did": "y"}]}, "sequence[0]", "last step"),
        ({"sequence": [{"did": "x", "within": "1d"}, {"did": "y"}]}, "sequence[0]", "on the sequence"),
        ({"in_stage": "loyal"}, "in_stage", "value.loyal"),
        ({"in_segment": "x", "for": "soon"}, "for", "duration"),
        ({"account": {"account": "anyone"}}, "account", "no member"),
        ({"sample": "110%"}, "sample", "10%"),
        ({"sample": [0.5, 0.2]}, "sample", "10%"),
        ({"sample": math.nan}, "sample", "10%"),
        (nested(MAX_DEPTH + 1), ".".join(["not"] * (MAX_DEPTH + 1)), "nested deeper"),
        ({"all": ["x"]}, "all[0]", "expected a condition"),
        ({"any": [{"did": "x"}] * 401}, "any[400]", "more than 400"),
        (5, "", "expected a condition"),
    ],
)
def test_a_mistake_names_its_field_and_the_remedy(data: Any, field: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_condition(data)
    assert caught.value.field == field
    assert says in caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        nested(100_000),
        nested(100_000, "all"),
        deep_list(100_000),
        {"did": deep_list(100_000)},
        {"trait": "x", "eq": deep_list(100_000)},
        {"trait": "x", "matches": deep_list(100_000)},
        {"did": "x", "where": {"a": deep_list(100_000)}},
        {"did": "x", "count": deep_list(100_000)},
        {"sample": deep_list(100_000)},
        {"trait": "x", "between": [deep_list(100_000), 1]},
        {"did": "x", "within": deep_list(100_000)},
        {"did": "x", "since": deep_list(100_000)},
        {1: 2},
        {None: None},
        {"trait": "x", "eq": 10**400},
        {"trait": "x", "within_last": "9" * 5000 + "d"},
        {"trait": "x", "matches": "a{1000}{1000}"},
        {"sample": "1" * 5000},
    ],
    ids=lambda data: "case",
)
def test_hostile_input_is_an_ordinary_mistake(data: Any) -> None:
    with pytest.raises(DefinitionError):
        parse_condition(data)


def test_ten_thousand_operands_are_read() -> None:
    parsed = parse_condition({"trait": "x", "in": [f"v{n}" for n in range(10_000)]})
    assert isinstance(parsed, ast.Trait)
    assert len(parsed.tests[0].operand) == 10_000


def test_an_empty_condition_matches_nobody() -> None:
    for empty in (None, {}, [], {"all": []}, {"any": []}, "nobody"):
        assert parse_condition(empty) == ast.NOBODY


def test_text_is_compared_normalised() -> None:
    decomposed = parse_condition({"trait": "cafe\u0301", "eq": "cafe\u0301"})
    assert decomposed == parse_condition({"trait": "caf\u00e9", "eq": "caf\u00e9"})
    assert parse_condition({"did": "x", "where": {"cafe\u0301": 1}}) == parse_condition(
        {"did": "x", "where": {"caf\u00e9": 1}}
    )


def test_every_operator_is_found_by_all_its_names_and_has_words_in_every_language() -> None:
    for row in OPERATORS:
        assert all(BY_NAME[name] is row for name in (row.id, *row.aliases))
        assert len({gettext(row.words, locale) for locale in languages()}) == len(languages())
        assert row.doc.endswith(".")


def test_what_counts_as_an_event_cannot_look_at_the_clock() -> None:
    with pytest.raises(DefinitionError, match="write a date"):
        parse_derived({"id": "offer", "from": "Offer", "where": {"until": {"after": "now"}}})


@pytest.mark.parametrize(
    ("read", "data", "field"),
    [
        (parse_segment, {"id": "Big", "who": "anyone"}, "id"),
        (parse_segment, {"id": "x"}, ""),
        (parse_segment, {"id": "x", "who": "anyone", "of": "cats"}, "of"),
        (parse_lifecycle, {"id": "x", "stages": []}, "stages"),
        (parse_lifecycle, {"id": "x", "stages": [{"id": "a", "when": "anyone"}] * 2}, "stages[1].id"),
        (parse_lifecycle, {"id": "x", "stages": [{"id": "a", "when": {"did": ""}}]}, "stages[0].when.did"),
        (parse_derived, {"id": "x", "from": "y", "times": 0}, "times"),
        (parse_derived, {"id": "x", "any": [{"from": ["a", None]}]}, "any[0].from"),
        (parse_derived, {"id": "x", "from": "y", "per": "week"}, "per"),
        (parse_derived, {"id": "x", "from": ["y"] * 401}, "from"),
        (parse_derived, {"id": "x", "any": [{"from": ["y"] * 200}] * 3}, "any"),
        (parse_derived, {"id": "x", "from": "y", "unless": {"did": ["z"] * 401, "same": "id"}}, "unless.did"),
        (parse_derived, {"id": "x", "from": "y", "unless": {"did": "z"}}, "unless.same"),
        (RhythmScore().parse, {"typical_gap": "soon"}, "rhythm.typical_gap"),
        (RhythmScore().parse, {"least": "9d", "most": "1d"}, "rhythm"),
    ],
)
def test_a_definition_names_the_field_at_fault(read: Any, data: Any, field: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(data)
    assert caught.value.field == field


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["did", "trait", "where", "all", "not", "count", "within", "sequence", "some", *BY_NAME])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@examples(3)
@given(JSON)
def test_anything_at_all_is_a_condition_or_a_definition_error(data: Any) -> None:
    with suppress(DefinitionError):
        parse_condition(data)
