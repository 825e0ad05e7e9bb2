"""`moves --since`: a moment, or how far back."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from keepers.app.customers.lifecycles import parse_since
from keepers.model.errors import UserError
from keepers.model.moments import Moment

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize("text", ["30d", "30d ago", "-30d"])
def test_a_bare_duration_is_how_far_back(text: str) -> None:
    assert parse_since(text, WARSAW) == Moment(offset=-timedelta(days=30))


def test_a_date_is_read_in_the_workspaces_zone() -> None:
    assert parse_since("2026-10-01", WARSAW) == Moment(at=datetime(2026, 9, 30, 22))


def test_anything_else_is_refused() -> None:
    with pytest.raises(UserError, match="not a time"):
        parse_since("lately", WARSAW)
