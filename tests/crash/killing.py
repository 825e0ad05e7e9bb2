"""Processes that are killed: commands and servers, which begin at once, so that kills hit work."""

from __future__ import annotations

import random
import time
from pathlib import Path

import uvicorn

import processes
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.http.application import create_app
from keepers.ingest.imports import chunks
from keepers.store.database import Store
from processes import Working

SMALL_CHUNK = 1000
"""lines"""


def in_small_chunks(*arguments: str) -> None:
    """The work of `keepers ARGUMENTS` with chunks far smaller than a file's, so that much falls between them."""
    chunks.CHUNK_LINES = SMALL_CHUNK
    processes.command(*arguments)


def serve(place: str, port: int) -> None:
    """The Tracking API over a store, as a process."""
    store = Store.open(place)
    app = create_app(EventIntake(store), clock=clock)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def start(folder: Path, *arguments: object) -> Working:
    """`keepers -w FOLDER …` as a process."""
    words = ["-w", str(folder), *map(str, arguments)]
    return Working(in_small_chunks, words, log_of(folder))


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
