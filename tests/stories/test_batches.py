"""The same story told in random batch sizes has the same outcome."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from keepers.ingest import identify
from keepers.orchestration import advance
from stories.story_runner import run_story
from stories.test_stories import STORIES

TOLD = [
    name
    for name, story in STORIES.items()
    if story.get("stores") == "both" and "answers" not in story and "deliver" not in str(story["steps"])
]


@pytest.mark.parametrize("name", TOLD)
def test_a_story_ends_alike_in_batches_of_any_size(
    name: str, tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(name)
    monkeypatch.setattr(identify, "BATCH_EVENTS", chance.randint(1, 4))
    monkeypatch.setattr(identify, "READ_ROWS", chance.randint(1, 4))
    monkeypatch.setattr(advance, "RUN_BATCH", chance.randint(1, 5))
    monkeypatch.setattr(advance, "CHUNK", chance.randint(1, 3))
    monkeypatch.setattr(advance, "BATCH", chance.randint(1, 5))
    run_story(STORIES[name], tmp_path / "shop", migrated_folder)
