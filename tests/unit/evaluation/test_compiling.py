"""A query is compiled once, and again only when something that it reads changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from keepers.conditions.compile.tables import Mode
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_segment
from keepers.evaluation import evaluator as evaluator_module
from keepers.evaluation import query_cache
from keepers.evaluation.active_queries import Definitions, build
from keepers.evaluation.evaluator import Evaluator, Explanation
from keepers.evaluation.query_cache import QueryCache
from keepers.evaluation.score_fit import fit_score
from keepers.scores.registry import SCORES, configured_scores
from keepers.scores.rhythm import Fit, Rhythm, RhythmScore
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from warehouse_rows import START, profile, track

RULES: dict[str, Any] = {
    "buyers": {"did": "Order"},
    "late": {"trait": "due_at", "before": "now"},
    "both": {"in_segment": "buyers"},
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of all that is compiled."""
    found: list[str] = []
    compile_queries = evaluator_module.compile_queries

    def counted(queries: Any, *rest: Any) -> Any:
        found.extend(query.id for query in queries)
        return compile_queries(queries, *rest)

    monkeypatch.setattr(evaluator_module, "compile_queries", counted)
    return found


def definitions(typical_days: int = 10, **more: Any) -> Definitions:
    segments = {name: parse_segment({"id": name, "who": who}) for name, who in {**RULES, **more}.items()}
    scores = configured_scores({"rhythm": Rhythm()}, {"rhythm": Fit(typical_gap=timedelta(days=typical_days))})
    return Definitions(segments=segments, scores=scores)


def compile_all(evaluator: Evaluator, written: Definitions) -> None:
    numbers = {f"segment:{name}": n for n, name in enumerate(written.segments, start=1)}
    queries = build(written, numbers)
    for query in queries.by_id.values():
        evaluator.sql((query,), evaluator.warehouse.schema(START), queries.vocabulary, Mode())


def test_what_a_query_does_not_read_compiles_it_no_second_time(compiled: list[str]) -> None:
    evaluator = Evaluator(Warehouse.open(None, threads=1), QueryCache(str))
    compile_all(evaluator, definitions())
    assert compiled == [f"segment:{name}" for name in RULES]
    compiled.clear()
    compile_all(evaluator, definitions(other={"did": "View"}))
    assert compiled == ["segment:other"]
    compiled.clear()
    compile_all(evaluator, definitions(typical_days=20))
    assert compiled == ["segment:late"], "the rhythm's figures are read by what asks for them alone"


def test_a_count_compiles_only_what_is_counted(compiled: list[str]) -> None:
    evaluator = Evaluator(Warehouse.open(None, threads=1), QueryCache(str))
    queries = build(definitions())
    for condition in ({"in_segment": "buyers"}, {"all": [{"in_segment": "buyers"}, {"did": "View"}]}):
        compiled.clear()
        evaluator.count(queries, parse_condition(condition), START)
    assert compiled == ["segment:counted"]


def test_all_evaluators_of_a_process_share_what_was_compiled(compiled: list[str]) -> None:
    unusual = definitions(unusual={"did": "Something that no other test asks about"})
    for _ in range(2):
        compile_all(Evaluator(Warehouse.open(None, threads=1)), unusual)
    assert compiled.count("segment:unusual") == 1


def in_file(folder: Path) -> Evaluator:
    """An evaluator of a warehouse in a folder, with nothing in memory yet."""
    caches = QueryCache(str), QueryCache(Explanation), QueryCache(list[str])
    return Evaluator(Warehouse.open(folder / "warehouse.duckdb", threads=1), *caches)


def test_a_new_process_finds_what_was_compiled_before(compiled: list[str], tmp_path: Path) -> None:
    for expected in ([f"segment:{name}" for name in RULES], []):
        compiled.clear()
        evaluator = in_file(tmp_path)
        compile_all(evaluator, definitions())
        evaluator.warehouse.close()
        assert compiled == expected


def test_an_explanation_that_was_compiled_before_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    condition = parse_condition({"any": [{"not": {"did": "View"}}, {"did": "Order"}, {"did": "View"}]})
    explained = []
    for _ in range(2):
        evaluator = in_file(tmp_path)
        load(evaluator.warehouse, [profile(1, 1, "who"), track(2, 1, "Order")])
        explained.append(evaluator.explain(build(definitions()), condition, "person", 1, START))
        evaluator.warehouse.close()
        monkeypatch.setattr(evaluator_module, "compile_condition", None)
    assert explained[0] == explained[1]
    assert {leaf: found for leaf, (found, _) in explained[0][1].items()} == {
        parse_condition({"did": "View"}): False, parse_condition({"did": "Order"}): True,
    }  # fmt: skip


def test_a_scores_history_is_compiled_anew_when_its_event_gets_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    history = RhythmScore.history

    def counted(self: RhythmScore, *rest: Any) -> Any:
        made.append(len(made))
        return history(self, *rest)

    monkeypatch.setattr(RhythmScore, "history", counted)
    written = replace(definitions(), scores=configured_scores({"rhythm": Rhythm(event="Order")}))
    for rows, times in (([profile(1, 1, "who"), track(2, 1, "View")], 1), ([track(3, 1, "Order")], 2), ([], 2)):
        evaluator = in_file(tmp_path)
        load(evaluator.warehouse, rows)
        fit_score(SCORES["rhythm"], evaluator, written, START)
        evaluator.warehouse.close()
        assert len(made) == times


def test_a_damaged_file_is_compiled_anew(compiled: list[str], tmp_path: Path) -> None:
    for content in (None, b"", b'"SELECT', b"[1]"):
        if content is not None:
            for file in (tmp_path / "compiled").iterdir():
                file.write_bytes(content)
        compiled.clear()
        evaluator = in_file(tmp_path)
        compile_all(evaluator, definitions())
        evaluator.warehouse.close()
        assert len(compiled) == len(RULES)


def test_other_code_compiles_anew(compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (b"1", b"2"):
        monkeypatch.setattr(query_cache, "code_version", lambda version=version: version)
        compiled.clear()
        evaluator = in_file(tmp_path)
        compile_all(evaluator, definitions())
        evaluator.warehouse.close()
        assert len(compiled) == len(RULES)


def test_a_folder_that_cannot_be_written_costs_time_alone(compiled: list[str], tmp_path: Path) -> None:
    (tmp_path / "compiled").write_text("a file where the folder should be")
    evaluator = in_file(tmp_path)
    compile_all(evaluator, definitions())
    assert len(compiled) == len(RULES)


def test_old_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_cache, "MOST_FILES", 4)
    kept = QueryCache(str)
    for n in range(7):
        kept.get((n,), lambda: "SELECT 1", tmp_path)
    assert 3 <= len(list((tmp_path / "compiled").iterdir())) <= 4


def test_the_oldest_makes_room_for_the_newest() -> None:
    kept = QueryCache(str, 2)
    made: list[int] = []

    def get(n: int) -> str:
        return kept.get((n,), lambda: made.append(n) or str(n))  # type: ignore[func-returns-value]

    assert [get(n) for n in (1, 2, 1, 3, 2, 1)] == ["1", "2", "1", "3", "2", "1"]
    assert made == [1, 2, 3, 1]
