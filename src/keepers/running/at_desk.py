"""The open workspace as the API and the status page use it: every answer from here may block."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from keepers.api.desk import Progress, Pulse
from keepers.cli.commands import Command
from keepers.model.errors import KeepersError, NotFoundError, nearest
from keepers.pipeline.evaluate import last_tick
from keepers.playbook.live import InForce
from keepers.running.ticking import TickLoop
from keepers.store import definitions, meta
from keepers.store.database import Store
from keepers.warehouse.answers import Answerer
from keepers.warehouse.standing import Standing
from keepers.wire import Workspace, clock

_SECRET = "cursor_secret"


class OpenDesk:
    """Implements `keepers.api.desk.Desk` over a workspace. Threads may share it."""

    def __init__(self, workspace: Workspace, commands: Mapping[str, Command], loop: TickLoop | None) -> None:
        self._workspace = workspace
        self._commands = commands
        self._loop = loop
        self._lock = Lock()
        self._known: tuple[tuple[int, str], InForce, Standing] | None = None
        self._running: dict[int, duckdb.DuckDBPyConnection] = {}
        self.secret = _cursor_secret(workspace.store)

    @property
    def name(self) -> str:
        return self._workspace.settings.workspace.name

    @property
    def zone(self) -> ZoneInfo:
        return self._workspace.zone

    @property
    def playbook_folder(self) -> Path:
        return self._workspace.playbook_folder

    @property
    def uploads_folder(self) -> Path:
        return self._workspace.data_folder / "uploads"

    @property
    def max_upload_bytes(self) -> int:
        return self._workspace.settings.server.max_upload_bytes

    @property
    def store(self) -> Store:
        return self._workspace.store

    @property
    def answerer(self) -> Answerer:
        return self._workspace.answerer

    def clock(self) -> datetime:
        return clock()

    def now(self) -> datetime:
        return self._workspace.now()

    def last_tick(self) -> datetime | None:
        return last_tick(self._workspace.warehouse)

    def in_force(self) -> InForce:
        return self._current()[0]

    def standing(self) -> Standing:
        return self._current()[1]

    def find_profile(self, name: str) -> int:
        return self._workspace.find_profile(name)

    def pulse(self) -> Pulse:
        return self._loop.pulse if self._loop is not None else Pulse()

    def notes(self) -> dict[str, str]:
        """What whoever asks whether the server is ready should know besides."""
        return {"tick": "failing: see /api/v1/health"} if self.pulse().trouble else {}

    def run(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any:
        """A command's answer as plain data. Raises KeepersError; NotFoundError for an unknown command."""
        try:
            return self.look(command, arguments, progress)
        finally:
            if self._loop is not None:
                self._loop.wake()

    def look(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any:
        """The same of a command that only reads: nothing follows from it that a tick would work off."""
        if command not in self._commands:
            raise NotFoundError(f"There is no command “{command}”.{nearest(command, self._commands)}", code="command")
        with self._interruptible():
            try:
                return self._commands[command](self._workspace, progress or _silent, **arguments)
            except duckdb.InterruptException:
                raise KeepersError("The server is stopping; run the command again to go on.", code="stopped") from None

    def interrupt(self) -> None:
        """Ends the queries of commands under way, for a stop within seconds. What they had committed is kept."""
        with self._lock:
            for cursor in self._running.values():
                cursor.interrupt()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        cursor = self._workspace.warehouse.cursor()
        with self._lock:
            self._running[id(cursor)] = cursor
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(id(cursor), None)

    def _current(self) -> tuple[InForce, Standing]:
        """What is in force and its standing asks, read again when something was applied or numbered since."""
        with self.store.read() as connection:
            version = definitions.newest_version(connection)
        rows = self.answerer.warehouse.cursor().execute(
            "SELECT list(ask ORDER BY ask)::VARCHAR FROM asks WHERE is_active"
        )
        stamp = (version, str((rows.fetchone() or ("",))[0]))
        known = self._known
        if known is None or known[0] != stamp:
            known = self._known = (stamp, self._workspace.in_force(), self._workspace.standing())
        return known[1], known[2]


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


def _cursor_secret(store: Store) -> bytes:
    """What cursors are signed with: made once per workspace, so that they outlive a restart."""
    with store.begin() as connection:
        found = meta.get(connection, _SECRET)
        if found is None:
            found = secrets.token_hex(32)
            meta.put(connection, _SECRET, found)
    return bytes.fromhex(found)
