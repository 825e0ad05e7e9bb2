"""Processes that are killed: commands and servers, which begin at once, so that kills hit work."""

from __future__ import annotations

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


def _commands(*commands: list[str]) -> None:
    for command in commands:
        try:
            in_small_chunks(*command)
        except SystemExit as ended:
            if ended.code:
                raise


def serve(place: str, port: int) -> None:
    """The Tracking API over a store, as a process."""
    store = Store.open(place)
    app = create_app(EventIntake(store), clock=clock)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def start(folder: Path, *arguments: object) -> Working:
    """`keepers -w FOLDER …` as a process."""
    words = ["-w", str(folder), *map(str, arguments)]
    return Working(in_small_chunks, words, log_of(folder))


def start_all(folder: Path, *commands: list[object]) -> Working:
    """Several commands, one after the other, as one process."""
    return Working(_commands, [["-w", str(folder), *map(str, command)] for command in commands], log_of(folder))


def log_of(folder: Path) -> Path:
    """Where the processes over a workspace print."""
    return folder.with_name(f"{folder.name}.log")
