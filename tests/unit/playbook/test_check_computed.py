"""Dates that are worked out when they are asked for stand in no calendar: journeys that wait for one are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from keepers.playbook.check import check
from keepers.playbook.load import load

MAIL = {"id": "m", "channel": "in_app", "topic": "t", "content": {"en": {"title": "Hello", "text": "Hello"}}}


def found(folder: Path, enter: Any, step: Any) -> list[tuple[str, str]]:
    journey = {"id": "j", "enter": [enter], "steps": [step, {"id": "send", "message": "m"}]}
    topic = {"id": "t", "kind": "transactional", "channels": ["in_app"]}
    book = {"topics": [topic], "messages": [MAIL], "journeys": [journey]}
    (folder / "own.yaml").write_text(yaml.safe_dump(book), encoding="utf-8")
    return [(finding.field, finding.message) for finding in check(load(folder)) if finding.level == "error"]


@pytest.mark.parametrize("trait", ["due_at", "lost_at"])
def test_a_computed_date_is_refused_with_what_to_write_instead(tmp_path: Path, trait: str) -> None:
    (entry,) = found(tmp_path, {"date": trait, "offset": "-3d"}, {"id": "rest", "delay": "1d"})
    assert "enter[0].date" in entry[0]
    assert f"of who: {{trait: {trait}, before: +3d}}" in entry[1]
    (delay,) = found(tmp_path, {"api": True}, {"id": "rest", "delay": {"until_date": trait}})
    assert "steps[0].delay.until_date" in delay[0]
    assert f"wait: {{when: {{trait: {trait}, before: +3d}}}}" in delay[1]


def test_dates_of_customers_are_fine(tmp_path: Path) -> None:
    assert found(tmp_path, {"date": "renewal_at"}, {"id": "rest", "delay": {"until_date": "renewal_at"}}) == []
