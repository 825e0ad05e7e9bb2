"""Interim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from keepers.app.workspace.clock import clock
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.ticker_status import TickerStatus
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluate import last_tick
from keepers.evaluation.evaluator import Evaluator
from keepers.model.errors import NotFoundError, nearest
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store.database import Store


class WorkspaceApi(Protocol):
    """One open workspace. Everything here may block; call it from a thread, never from the event loop.

    `run` does a command of the command line by its name, with the arguments as plain data, and gives its answer
    as plain data; commands that write wait for the tick under way. It raises KeepersError. `look` does one that only
    reads.
    """

    @property
    def name(self) -> str: ...

    @property
    def zone(self) -> ZoneInfo: ...

    @property
    def playbook_folder(self) -> Path: ...

    @property
    def uploads_folder(self) -> Path: ...

    @property
    def max_upload_bytes(self) -> int: ...

    @property
    def store(self) -> Store: ...

    @property
    def answerer(self) -> Evaluator: ...

    @property
    def secret(self) -> bytes: ...

    def clock(self) -> datetime: ...

    def now(self) -> datetime: ...

    def last_tick(self) -> datetime | None: ...

    def in_force(self) -> ActivePlaybook: ...

    def standing(self) -> ActiveQueries: ...

    def find_profile(self, name: str) -> int: ...

    def pulse(self) -> TickerStatus: ...

    def run(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any: ...

    def look(self, command: str, arguments: dict[str, Any]) -> Any: ...


class OpenWorkspace:
    """Implements `keepers.app.workspace.progress.Desk` over a workspace. Threads may share it."""

    def __init__(
        self,
        workspace: Workspace,
        commands: Mapping[str, Callable[..., Any]],
        status: Callable[[], TickerStatus] = TickerStatus,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._workspace = workspace
        self._commands = commands
        self._status = status
        self._wake = wake
        self.secret = workspace.cursor_secret

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
    def answerer(self) -> Evaluator:
        return self._workspace.answerer

    def clock(self) -> datetime:
        return clock()

    def now(self) -> datetime:
        return self._workspace.now()

    def last_tick(self) -> datetime | None:
        return last_tick(self._workspace.warehouse)

    def in_force(self) -> ActivePlaybook:
        return self._workspace.definitions.current()[0]

    def standing(self) -> ActiveQueries:
        return self._workspace.definitions.current()[1]

    def find_profile(self, name: str) -> int:
        return self._workspace.find_profile(name)

    def pulse(self) -> TickerStatus:
        return self._status()

    def notes(self) -> dict[str, str]:
        """What whoever asks whether the server is ready should know besides."""
        return {"tick": "failing: see /api/v1/health"} if self.pulse().trouble else {}

    def run(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any:
        """A command's answer as plain data. Raises KeepersError; NotFoundError for an unknown command."""
        try:
            return self.look(command, arguments, progress)
        finally:
            if self._wake is not None:
                self._wake()

    def look(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any:
        """The same of a command that only reads: nothing follows from it that a tick would work off."""
        if command not in self._commands:
            raise NotFoundError(f"There is no command “{command}”.{nearest(command, self._commands)}", code="command")
        with self._workspace.interruptible():
            return self._commands[command](self._workspace, progress or _silent, **arguments)


def _silent(done: int, total: int) -> None:
    """Nobody watches."""
