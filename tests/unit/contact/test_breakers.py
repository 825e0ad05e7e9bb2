"""At which shares a stream is warned about and stopped."""

from __future__ import annotations

import pytest

from keepers.contact.breakers import StreamCounts, check_stream, stream_of
from keepers.contact.rules import Breakers, BreakerThresholds


@pytest.mark.parametrize(
    ("sends", "hard", "spam", "decision"),
    [
        (1000, 0, 0, ("fine", "recovered")),
        (1000, 0, 1, ("warn", "complaints")),
        (1000, 0, 3, ("stop", "complaints")),
        (1000, 20, 0, ("stop", "hard_bounces")),
        (1000, 20, 1, ("stop", "hard_bounces")),
        (1000, 20, 3, ("stop", "complaints")),
        (10, 5, 0, ("fine", "recovered")),
    ],
)
def test_stopping_comes_before_warning_and_few_sends_are_taken_as_a_thousand(
    sends: int, hard: int, spam: int, decision: tuple[str, str]
) -> None:
    assert check_stream(Breakers(), StreamCounts(sends, hard, spam)) == decision


def test_a_threshold_that_is_not_set_is_never_reached() -> None:
    none = Breakers(complaints=BreakerThresholds(), hard_bounces=BreakerThresholds(warn=0.01))
    assert check_stream(none, StreamCounts(1000, 900, 900)) == ("warn", "hard_bounces")


def test_transactional_messages_have_a_stream_of_their_own() -> None:
    assert [stream_of("email", one) for one in (False, True)] == ["email.marketing", "email.transactional"]
