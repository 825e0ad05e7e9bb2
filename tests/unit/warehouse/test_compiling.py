"""A query is compiled once, and again only when something that it reads changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from keepers.conditions.compile.tables import Mode
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_segment
from keepers.evaluation import evaluator
from keepers.evaluation.active_queries import Definitions, build
from keepers.evaluation.evaluator import CompiledSql, Evaluator
from keepers.scores.registry import in_force
from keepers.scores.rhythm import Fit, Rhythm
from keepers.warehouse.database import Warehouse
from warehouse_rows import START

RULES: dict[str, Any] = {
    "buyers": {"did": "Order"},
    "late": {"trait": "due_at", "before": "now"},
    "both": {"in_segment": "buyers"},
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of all that is compiled."""
    found: list[str] = []
    compile_asks = evaluator.compile_asks

    def counted(asks: Any, *given: Any) -> Any:
        found.extend(ask.id for ask in asks)
        return compile_asks(asks, *given)

    monkeypatch.setattr(evaluator, "compile_asks", counted)
    return found


def definitions(typical_days: int = 10, **more: Any) -> Definitions:
    segments = {name: parse_segment({"id": name, "who": who}) for name, who in {**RULES, **more}.items()}
    scores = in_force({"rhythm": Rhythm()}, {"rhythm": Fit(typical_gap=timedelta(days=typical_days))})
    return Definitions(segments=segments, scores=scores)


def ask_all(asked: Evaluator, written: Definitions) -> None:
    numbers = {f"segment:{name}": n for n, name in enumerate(written.segments, start=1)}
    standing = build(written, numbers)
    for ask in standing.asks.values():
        asked.sql((ask,), asked.warehouse.schema(START), standing.vocabulary, Mode())


def test_what_a_query_does_not_read_compiles_it_no_second_time(compiled: list[str]) -> None:
    asked = Evaluator(Warehouse.open(None, threads=1), CompiledSql())
    ask_all(asked, definitions())
    assert compiled == [f"segment:{name}" for name in RULES]
    compiled.clear()
    ask_all(asked, definitions(other={"did": "View"}))
    assert compiled == ["segment:other"]
    compiled.clear()
    ask_all(asked, definitions(typical_days=20))
    assert compiled == ["segment:late"], "the rhythm's figures are read by what asks for them alone"


def test_a_count_compiles_only_what_is_counted(compiled: list[str]) -> None:
    asked = Evaluator(Warehouse.open(None, threads=1), CompiledSql())
    standing = build(definitions())
    for condition in ({"in_segment": "buyers"}, {"all": [{"in_segment": "buyers"}, {"did": "View"}]}):
        compiled.clear()
        asked.count(standing, parse_condition(condition), START)
    assert compiled == ["segment:counted"]


def test_all_evaluators_of_a_process_share_what_was_compiled(compiled: list[str]) -> None:
    unusual = definitions(unusual={"did": "Something that no other test asks about"})
    for _ in range(2):
        ask_all(Evaluator(Warehouse.open(None, threads=1)), unusual)
    assert compiled.count("segment:unusual") == 1


def test_the_oldest_makes_room_for_the_newest() -> None:
    kept = CompiledSql[str](2)
    made: list[int] = []

    def get(n: int) -> str:
        return kept.get((n,), lambda: made.append(n) or str(n))  # type: ignore[func-returns-value]

    assert [get(n) for n in (1, 2, 1, 3, 2, 1)] == ["1", "2", "1", "3", "2", "1"]
    assert made == [1, 2, 3, 1]
