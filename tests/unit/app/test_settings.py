"""Every number of the settings has its range, and one outside is refused with where, what and what would do."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest

from keepers.app.workspace.settings import FILE, OR_ZERO, RANGES, Settings, load_settings, sections
from keepers.model.errors import UserError

NUMBERS = [
    f"{section}.{name}"
    for section, struct in sections().items()
    for name, hint in get_type_hints(struct).items()
    if hint in (int, float)
]


def load(folder: Path, place: str, value: object) -> Settings:
    section, _, name = place.partition(".")
    (folder / FILE).write_text(f"[{section}]\n{name} = {value}\n", encoding="utf-8")
    return load_settings(folder, {})


def test_every_number_has_a_range_that_its_default_is_in() -> None:
    assert set(RANGES) == set(NUMBERS)
    for place, (least, most) in RANGES.items():
        section, _, name = place.partition(".")
        value = getattr(getattr(Settings(), section), name)
        assert least <= value <= most or (place in OR_ZERO and value == 0), place


@pytest.mark.parametrize("place", NUMBERS)
def test_a_number_out_of_its_range_is_refused(tmp_path: Path, place: str) -> None:
    least, most = RANGES[place]
    section, _, name = place.partition(".")
    for value in (least, most, *([0] if place in OR_ZERO else [])):
        assert getattr(getattr(load(tmp_path, place, value), section), name) == value
    for value in (-5, (least - 1) or -1, most + 1, "nan", "-inf"):
        with pytest.raises(UserError) as refused:
            load(tmp_path, place, value)
        assert refused.value.code == "settings"
        assert name in refused.value.message
    with pytest.raises(UserError, match=rf"{place} is -5(\.0)?; it must lie between"):
        load(tmp_path, place, -5)


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "200000"])
def test_a_rate_out_of_its_range_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=r"sending\.per_second of “email” is .*; it must lie between 0 and 100,000"):
        load(tmp_path, "sending.per_second", f"{{email = {value}}}")
    assert load(tmp_path, "sending.per_second", "{email = 0.5}").sending.per_second == {"email": 0.5}


def test_the_environment_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"limits\.key_per_minute is -1"):
        load_settings(tmp_path, {"KEEPERS_LIMITS_KEY_PER_MINUTE": "-1"})
