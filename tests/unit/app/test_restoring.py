"""Two restores to one place at once: neither takes the other's new folder for one that was left."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from keepers.app.operations import restore

Between = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def after_it_is_made(monkeypatch: pytest.MonkeyPatch, other: Callable[[], None]) -> None:
    def made(**place: Any) -> str:
        folder = mkdtemp(**place)
        other()
        return folder

    monkeypatch.setattr(restore, "mkdtemp", made)


def before_it_is_locked(monkeypatch: pytest.MonkeyPatch, other: Callable[[], None]) -> None:
    lock = fcntl.flock

    def locked(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX:
            other()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", locked)


@pytest.mark.parametrize("between", [after_it_is_made, before_it_is_locked])
def test_a_new_folder_that_another_restore_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: Between
) -> None:
    to, seen = tmp_path / "new", list[list[str]]()

    def other() -> None:
        seen.append([one.name for one in tmp_path.glob(".new.restoring-*")])
        if len(seen) == 1:
            restore._remove_left(to)

    between(monkeypatch, other)
    with restore._made_whole(to, tmp_path / "backups") as building:
        (building / "keepers.toml").write_text("")
        restore._remove_left(to)
    assert [len(names) for names in seen] == [1, 1]
    assert seen[0] != seen[1]
    assert (to / "keepers.toml").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["new"]
