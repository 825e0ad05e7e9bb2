"""What conditions read, and in which order definitions are answered."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions.graph import cycles, reads, strata
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_derived
from keepers.model.errors import DefinitionError

WORDS = {
    "purchase": parse_derived(
        {"id": "purchase", "from": ["Order", "purchase"], "unless": {"did": ["Cancelled"], "same": "order_id"}}
    )
}


def test_a_word_reads_its_sources_and_what_voids_them() -> None:
    found = reads(parse_condition({"did_not": "purchase"}), WORDS)
    assert found.events == {"Order", "purchase", "Cancelled"}
    assert found.words == {"purchase"}


def test_everything_inside_is_read() -> None:
    found = reads(
        parse_condition(
            {
                "all": [
                    {"not": {"sequence": [{"did": "A"}, {"did_not": "B", "within": "1d"}]}},
                    {"account": {"any": [{"trait": "tier", "eq": "gold"}, {"in_stage": "b2b.live"}]}},
                    {"in_segment": "vip", "for": "7d"},
                    {"persona": "collector"},
                ]
            }
        ),
        WORDS,
    )
    assert found.events == {"A", "B"}
    assert found.traits == {"tier", "persona"}
    assert found.definitions == {"segment:vip", "lifecycle:b2b"}
    assert found.accounts


def test_a_scores_traits_read_its_event() -> None:
    condition = parse_condition({"trait": "lost_at", "after": "now"})
    assert reads(condition, WORDS, {"lost_at": "purchase"}).events == {"Order", "purchase", "Cancelled"}
    assert reads(condition, WORDS, {"lost_at": "visit"}).events == {"visit"}
    assert reads(condition, WORDS).events == frozenset()
    assert reads(condition, WORDS).traits == {"lost_at"}


def test_unknown_references_do_not_stop_the_order() -> None:
    assert strata({"segment:a": frozenset({"segment:gone"})}) == [["segment:a"]]


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.frozensets(st.sampled_from("abcdefgh"), max_size=3)))
def test_a_graph_is_either_in_order_or_has_a_circle(graph: dict[str, frozenset[str]]) -> None:
    found = cycles(graph)
    for path in found:
        assert path[0] == path[-1]
        assert all(after in graph[before] for before, after in pairwise(path))
    if found:
        with pytest.raises(DefinitionError):
            strata(graph)
        return
    before: set[str] = set()
    for layer in strata(graph):
        for node in layer:
            assert graph[node] & set(graph) <= before
        before |= set(layer)
    assert before == set(graph)
