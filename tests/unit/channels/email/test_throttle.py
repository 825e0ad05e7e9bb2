"""How fast a domain is written to, on a clock of the test."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.throttle import DomainThrottle


@given(st.lists(st.floats(0, 0.2), min_size=2, max_size=60))
def test_no_second_has_more_than_the_rate(gaps: list[float]) -> None:
    throttle, now, sent = DomainThrottle(5), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + throttle.reserve("example.com", now, 60))
    assert all(later - earlier > 0.199 for earlier, later in pairwise(sent))


def test_a_place_too_far_away_is_not_taken() -> None:
    throttle = DomainThrottle(1)
    assert [throttle.reserve("a.example", 0, 2) for _ in range(5)] == [0, 1, 2, 3, 3]
    assert throttle.reserve("b.example", 0, 2) == 0, "domains do not wait for each other"


def test_without_a_rate_nothing_waits() -> None:
    assert all(DomainThrottle(0).reserve("a.example", 0, 0) == 0 for _ in range(100))


def test_each_deferral_doubles_the_pause_up_to_an_hour() -> None:
    throttle, now, pauses = DomainThrottle(0), 0.0, []
    for _ in range(10):
        pause = throttle.deferred("a.example", now).total_seconds()
        pauses.append(pause)
        assert throttle.paused_for("a.example", now) == pause
        now += pause
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert throttle.paused_for("b.example", now) == 0


def test_answers_under_way_when_the_pause_began_do_not_double_it() -> None:
    throttle = DomainThrottle(0)
    assert throttle.deferred("a.example", 0) == timedelta(seconds=30)
    assert throttle.deferred("a.example", 10) == timedelta(seconds=20)
    assert throttle.deferred("a.example", 30) == timedelta(seconds=60)


def test_an_accepted_message_ends_the_pause() -> None:
    throttle = DomainThrottle(0)
    throttle.deferred("a.example", 0)
    throttle.accepted("a.example")
    assert throttle.paused_for("a.example", 1) == 0
    assert throttle.deferred("a.example", 2) == timedelta(seconds=30)


def test_a_million_domains_are_forgotten_again() -> None:
    throttle = DomainThrottle(1)
    for number in range(50_000):
        throttle.reserve(f"{number}.example", float(number), 1)
    assert throttle.domains <= 10_000
