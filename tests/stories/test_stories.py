"""The stories in the YAML files beside this: given these events at these times, then these stages and moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Postgres
from stories.story_runner import run_story

STORIES: dict[str, dict[str, Any]] = {
    story["story"]: story
    for file in sorted(Path(__file__).parent.glob("*.yaml"))
    for story in yaml.safe_load(file.read_text(encoding="utf-8"))
}


EVERY = [pytest.param(name, "sqlite", id=name) for name in STORIES] + [
    pytest.param(name, "postgres", id=f"{name}, on PostgreSQL")
    for name, story in STORIES.items()
    if story.get("stores") == "both"
]


@pytest.mark.parametrize(("name", "engine"), EVERY)
def test_story(name: str, engine: str, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    address = postgres.migrated() if postgres else None
    run_story(STORIES[name], tmp_path / "shop", migrated_folder, address)
    if postgres and address:
        postgres.drop(address)


def test_there_are_stories_enough() -> None:
    assert len(STORIES) >= 15
