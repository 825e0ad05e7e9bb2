"""What the management API and the status page are given to work with: one workspace, opened by the wire layer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from keepers.playbook.live import InForce
from keepers.store.database import Store
from keepers.warehouse.answers import Answerer
from keepers.warehouse.standing import Standing

Progress = Callable[[int, int], None]
"""(done, of how many)"""


class Pulse(Struct, frozen=True):
    """How the ticking goes. `trouble` says what keeps ticks from succeeding; it is empty when they do.

    `took_s` is the time of the last tick that did something, `failures` how many failed in a row.
    """

    is_ticking: bool = False
    ticked_at: datetime | None = None
    took_s: float | None = None
    failures: int = 0
    trouble: str = ""


class Desk(Protocol):
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
    def answerer(self) -> Answerer: ...

    @property
    def secret(self) -> bytes: ...

    def clock(self) -> datetime: ...

    def now(self) -> datetime: ...

    def last_tick(self) -> datetime | None: ...

    def in_force(self) -> InForce: ...

    def standing(self) -> Standing: ...

    def find_profile(self, name: str) -> int: ...

    def pulse(self) -> Pulse: ...

    def run(self, command: str, arguments: dict[str, Any], progress: Progress | None = None) -> Any: ...

    def look(self, command: str, arguments: dict[str, Any]) -> Any: ...
