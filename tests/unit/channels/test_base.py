"""Waiting for the next attempt, as the channel or the other side says, and reading settings."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.base import backoff, read_settings, retry_after
from keepers.channels.registry import CHANNELS
from keepers.model.errors import UserError

NOW = datetime(2026, 6, 1, 12)
SCHEDULE = [timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)]


@given(st.integers(1, 30), st.text(max_size=30))
def test_each_wait_is_the_schedules_and_at_most_a_fifth_longer(attempts: int, key: str) -> None:
    base = SCHEDULE[min(attempts, len(SCHEDULE)) - 1]
    assert base <= backoff(attempts, key) <= base * 1.2
    assert backoff(attempts, key) == backoff(attempts, key)


def test_what_failed_together_comes_back_apart() -> None:
    waits = {backoff(3, f"run-{n}:hello:1") for n in range(100)}
    assert len(waits) == 100
    assert max(waits) - min(waits) > timedelta(minutes=4)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None), ("", None), ("soon", None), ("-1", None), ("1.5", None), ("9" * 30, None),
        ("0", timedelta(0)), (" 90 ", timedelta(seconds=90)), ("86401", timedelta(days=1)),
        ("Mon, 01 Jun 2026 12:00:30 GMT", timedelta(seconds=30)), ("Sun, 31 May 2026 12:00:30 GMT", timedelta(0)),
        ("Mon, 01 Jun 2099 12:00:30 GMT", timedelta(days=1)), ("Mon, 31 Jun 2026 12:00:30 GMT", None),
    ],
)  # fmt: skip
def test_a_retry_after_header_is_seconds_or_a_date(header: str | None, wait: timedelta | None) -> None:
    assert retry_after(header, NOW) == wait


def test_settings_are_read_as_from_the_file_or_the_environment() -> None:
    read = read_settings(CHANNELS["sms"], {"url": "json://localhost/{to}", "max_parts": "2"})
    assert (read.max_parts, read.country) == (2, "")
    with pytest.raises(UserError, match=r"\[channels\.sms\].*max_parts"):
        read_settings(CHANNELS["sms"], {"max_parts": "many"})
    with pytest.raises(UserError, match="Did you mean “max_parts”"):
        read_settings(CHANNELS["sms"], {"max_part": 2})
