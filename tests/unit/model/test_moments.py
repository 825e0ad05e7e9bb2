"""Durations, instants and moments: what is written is read back the same; what is not one is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.model.errors import UserError
from keepers.model.moments import (
    EARLIEST,
    LATEST,
    Moment,
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
    parse_moment,
    parse_zone,
)
from profiles import examples

quick = examples(3)


@quick
@given(st.integers(0, 36525 * 86400))
def test_a_duration_is_read_back_as_it_was_written(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span


@quick
@given(st.datetimes(EARLIEST, LATEST - timedelta(microseconds=1)))
def test_an_instant_is_read_back_as_it_was_written(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("8w", timedelta(weeks=8)),
        ("1d12h", timedelta(hours=36)),
        (" 1.5h ", timedelta(minutes=90)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "d", "-3d", "3", "3y", "1d ago", "1e3d", "1_0d", None, 5, True, "101y", "40000d"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(UserError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", Moment()),
        ("30d ago", Moment(offset=-timedelta(days=30))),
        ("-30d", Moment(offset=-timedelta(days=30))),
        ("+1d12h", Moment(offset=timedelta(hours=36))),
        ("2026-03-01T09:30:00+01:00", Moment(at=datetime(2026, 3, 1, 8, 30))),
        ("2026-03-01", Moment(at=datetime(2026, 3, 1))),
    ],
)
def test_moments(text: str, moment: Moment) -> None:
    assert parse_moment(text) == moment


def test_a_time_without_an_offset_lies_in_the_zone() -> None:
    assert parse_instant("2026-07-01", ZoneInfo("Europe/Warsaw")) == datetime(2026, 6, 30, 22)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1899-12-31", "2200-01-01", "9999-12-31T23:59:59-12:00", "2026-02-30", "0001-01-01T00:00+14"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_instant(text)


@pytest.mark.parametrize(
    "name", ["", "Mars/Phobos", "/etc/passwd", "../x", "a\0b", "\ud800", 5, None, "x" * 5000, "Europe"]
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(UserError):
        parse_zone(name)
