"""Ctrl-C at any moment: a sentence and exit code 130, never a traceback, and never gone unheard."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import workspaces
from keepers.app.operations import maintenance
from keepers.cli import interrupts
from workspaces import keepers


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.watch()
    interrupts.begin()
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    sys.unraisablehook = hook
    interrupts.begin()


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0, 1.5])
def test_a_command_is_interrupted_while_it_loads_or_works(
    tmp_path: Path, migrated_folder: Path, seconds: float
) -> None:
    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    command = [sys.executable, "-m", "keepers", "-w", str(folder), "tick"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    # Before the first line of ours, and after the last, it is Python's alone.
    is_starting = err.startswith(("Fatal Python error: init_import_site", "Could not import runpy"))
    assert process.returncode in ((1,) if is_starting else (0, 130, -signal.SIGINT)), err
    if process.returncode == 130:
        assert "Interrupted" in err
        assert "Traceback" not in out + err


def test_a_query_that_was_interrupted_is_no_mistake_of_ours(
    tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    def interrupted(*arguments: Any, **more: Any) -> None:
        try:
            ctrl_c()
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None

    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    monkeypatch.setattr(maintenance, "tick", replace(maintenance.tick, function=interrupted))
    ran = keepers("-w", folder, "tick", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (130, "interrupted")
    assert not (folder / "data" / "errors.log").exists()


def test_an_interrupt_that_got_lost_is_heard_at_the_next_step(
    tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    class Deaf:
        def __del__(self) -> None:
            ctrl_c()

    steps = []

    def deaf(workspace: Any, actor: Any, request: Any, progress: Callable[[int, int], None]) -> None:
        Deaf()
        steps.append("went on")
        progress(1, 2)
        steps.append("for ever")

    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    monkeypatch.setattr(maintenance, "tick", replace(maintenance.tick, function=deaf))
    ran = keepers("-w", folder, "tick")
    assert (ran.code, steps) == (130, ["went on"])
    assert "Interrupted" in ran.err
