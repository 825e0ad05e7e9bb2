"""The stories in the YAML files beside this: given these events at these times, then these stages and moves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import workspaces
from stories.telling import Telling
from stories.telling_sending import mailbox_for

STORIES: dict[str, dict[str, Any]] = {
    story["story"]: story
    for file in sorted(Path(__file__).parent.glob("*.yaml"))
    for story in yaml.safe_load(file.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str, tmp_path: Path, migrated_folder: Path) -> None:
    story = STORIES[name]
    folder = workspaces.make(
        tmp_path / "shop",
        migrated_folder,
        lifecycles=story.get("lifecycles", ()),
        playbook=story.get("playbook"),
        zone=story.get("zone", "UTC"),
    )
    is_mailed = any("deliver" in step for step in story["steps"])
    mailbox = mailbox_for(folder, datetime(2026, 1, 1)) if is_mailed else None
    with workspaces.opened(folder) as workspace:
        telling = Telling(folder, workspace, mailbox)
        try:
            for number, step in enumerate(story["steps"], start=1):
                try:
                    telling.step(step)
                except AssertionError as wrong:
                    raise AssertionError(f"step {number}, {step}: {wrong}") from wrong
        finally:
            telling.close()


def test_there_are_stories_enough() -> None:
    assert len(STORIES) >= 15
