"""Rhythm: the fit against tables worked out by hand and in print, and the seasonal customer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keepers.evaluation.active_queries import Definitions, build
from keepers.scores.rhythm import (
    DEFAULT_GAP,
    ENOUGH_REPEATERS,
    Fit,
    Rhythm,
    fit,
    frozen,
    percentile,
    survival,
    typical_gap,
)
from properties.oracle import Oracle
from properties.running import answers_at, loaded, segments
from properties.scenario import Scenario

# Freireich et al. 1963, the 6-MP arm (Kleinbaum & Klein, Survival Analysis, 3rd ed., table 2.3): weeks in remission.
BACK = {6.0: 3, 7.0: 1, 10.0: 1, 13.0: 1, 16.0: 1, 22.0: 1, 23.0: 1}
CENSORED = {6.0: 1, 9.0: 1, 10.0: 1, 11.0: 1, 17.0: 1, 19.0: 1, 20.0: 1, 25.0: 1, 32.0: 2, 34.0: 1, 35.0: 1}


def test_survival_equals_the_published_table() -> None:
    published = [(6, 0.8571), (7, 0.8067), (10, 0.7529), (13, 0.6902), (16, 0.6275), (22, 0.5378), (23, 0.4482)]
    assert [(days, round(share, 4)) for days, share in survival(BACK, CENSORED)] == published


def test_the_typical_gap_is_the_kaplan_meier_median() -> None:
    assert typical_gap(BACK, CENSORED) == (23.0, "kaplan-meier median")


def test_where_fewer_than_half_come_back_it_is_the_median_of_those_who_do() -> None:
    # Of 10: back after 2, 4, 6 and 8 days, six never seen again: 0.9 0.8 0.7 0.6, half-way down to 0.6 is 0.8.
    assert typical_gap({2.0: 1, 4.0: 1, 6.0: 1, 8.0: 1}, {100.0: 6}) == (4.0, "median of those who return")


@pytest.mark.parametrize(("share", "value"), [(0.95, 10.0), (0.9, 9.0), (0.5, 5.0), (0.01, 1.0), (1.0, 10.0)])
def test_the_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile({float(n): 1 for n in range(1, 11)}, share) == value


def test_the_default_holds_until_enough_have_come_back() -> None:
    def counts(repeaters: int) -> list[tuple[str, float, int]]:
        return [("first", 10.0, repeaters), ("gap", 10.0, repeaters), ("censored", 50.0, 20)]

    assert fit(counts(ENOUGH_REPEATERS - 1), 18).typical_gap == DEFAULT_GAP
    fitted = fit(counts(ENOUGH_REPEATERS), 18)
    assert fitted.typical_gap == timedelta(days=10)
    assert fitted.longest_gap == timedelta(days=10)
    assert not fitted.is_provisional
    assert fit(counts(ENOUGH_REPEATERS), 11.9).is_provisional


def test_what_the_playbook_writes_down_wins_over_the_fit() -> None:
    settled = frozen(Rhythm(typical_gap=timedelta(days=3)), Fit(longest_gap=timedelta(days=99)))
    assert (settled.typical_gap, settled.longest_gap, settled.method) == (
        timedelta(days=3), timedelta(days=99), "playbook",
    )  # fmt: skip


def test_who_bought_only_in_one_season_is_due_next_season() -> None:
    """Once every December; once in March and once in June; only this winter."""
    scenario = Scenario()
    for who, days in enumerate(
        (["2023-12-10", "2024-12-12"], ["2024-03-01", "2024-06-01"], ["2024-12-01", "2025-01-05"], ["2024-12-31"]), 1
    ):
        scenario.person(who, datetime(2023, 1, 1))
        for day in days:
            scenario.track(who, "purchase", datetime.fromisoformat(day))
    rules = [{"trait": name, "lte": "now"} for name in ("due_at", "slipping_at", "lost_at")]
    definitions = Definitions(segments=segments([*rules, {"trait": "rhythm_days", "gt": 60}]))
    queries = build(definitions)
    oracle = Oracle(scenario, definitions)
    with loaded(scenario) as warehouse:
        for now in ("2025-02-01", "2025-03-15", "2025-08-01", "2025-12-12", "2026-03-14", "2026-06-13"):
            moment = datetime.fromisoformat(now)
            for (name, who), (value, _) in answers_at(warehouse, queries, moment).items():
                assert value == oracle.value(definitions.by_id()[name], who, moment), (now, name, who)
        december = answers_at(warehouse, queries, datetime(2025, 12, 11))
        assert [december[f"segment:s{n}", 1][0] for n in range(3)] == [0, 0, 0], "not due before December comes"
        assert answers_at(warehouse, queries, datetime(2025, 12, 12))["segment:s0", 1][0] == 1
