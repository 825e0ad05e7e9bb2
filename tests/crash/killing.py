"""Processes that are killed: commands and servers, forked from one that has loaded Keepers, so that kills hit work."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn

from keepers.api.app import create_app
from keepers.cli.main import main
from keepers.pipeline.imports import read
from keepers.store.database import Store
from keepers.wire import clock

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(["keepers.cli.main", "keepers.cli.serve", "keepers.cli.demo"])


class Working:
    """A process at work since the moment this is made. What it prints goes to `log`."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[object], log: Path) -> None:
        self._log = log
        mine, its = _fork.Pipe()
        self._process = _fork.Process(target=_begin, args=(work, arguments, str(log), its), daemon=True)
        self._process.start()
        its.close()
        # Begins when Python and Keepers are loaded; a process that cannot begin closes the pipe.
        mine.recv_bytes()
        mine.close()

    def kill(self) -> bool:
        """SIGKILL. False when it had ended by itself; it must then have ended well."""
        self._process.kill()
        return self.wait(60) != 0

    def wait(self, longest_s: float) -> int:
        """Its exit code; below zero when it was killed. Raises AssertionError when it failed or takes longer."""
        self._process.join(longest_s)
        code = self._process.exitcode
        assert code in (0, -9), f"exit code {code}: {self._log.read_text()[-3000:]}"
        return code


def _begin(work: Callable[..., Any], arguments: Sequence[object], log: str, ready: Connection) -> None:
    sys.stdout = sys.stderr = open(log, "a", buffering=1)  # noqa: SIM115 - for the rest of this process
    ready.send_bytes(b"ready")
    ready.close()
    work(*arguments)


def _command(*arguments: str) -> None:
    # Chunks far smaller than a file's, so that kills fall between them.
    read.CHUNK_LINES = 1000
    sys.argv = ["keepers", *arguments]
    main()


def serve(place: str, port: int) -> None:
    """The events' door over a store, as a process."""
    store = Store.open(place)
    app = create_app(store, clock=clock)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def start(folder: Path, *arguments: object) -> Working:
    """`keepers -w FOLDER …` as a process."""
    given = ["-w", str(folder), *map(str, arguments)]
    return Working(_command, given, log_of(folder))


def log_of(folder: Path) -> Path:
    """Where the processes over a workspace print."""
    return folder.with_name(f"{folder.name}.log")


def run_whole(folder: Path, *arguments: object) -> float:
    """Runs a command to its end and returns the seconds it took."""
    began = time.monotonic()
    assert start(folder, *arguments).wait(120) == 0
    return time.monotonic() - began


def run_killed(folder: Path, *arguments: object, chance: random.Random, times: int, longest_s: float) -> int:
    """Kills the command up to `times` times, at random moments within `longest_s`, then runs it to its end.

    Returns how many died at work; one that finishes before its moment ends the killing.
    """
    died = 0
    for _ in range(times):
        working = start(folder, *arguments)
        time.sleep(chance.random() * longest_s)
        if not working.kill():
            break
        died += 1
    run_whole(folder, *arguments)
    return died
