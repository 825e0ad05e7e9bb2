"""The only clock."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache

from keepers.app.workspace.settings import TEST_CLOCK, parse_test_clock
from keepers.model.errors import Problem, problem
from keepers.model.moments import format_instant


def clock() -> datetime:
    """The present as naive UTC, moved by KEEPERS_TEST_CLOCK. Raises UserError when that cannot be read."""
    return datetime.now(UTC).replace(tzinfo=None) + _clock_shift(os.environ.get(TEST_CLOCK, ""))


def environment() -> dict[str, str]:
    return dict(os.environ)


@cache
def _clock_shift(test_clock: str) -> timedelta:
    return parse_test_clock(test_clock) if test_clock else timedelta(0)


def clock_notice() -> Problem | None:
    """The warning shown while a test clock is in use."""
    if not os.environ.get(TEST_CLOCK):
        return None
    return problem(
        "The clock is a test clock and shows {time}, because {variable} is set. Unset it wherever messages go to "
        "customers.",
        time=format_instant(clock().replace(microsecond=0)),
        variable=TEST_CLOCK,
    )
