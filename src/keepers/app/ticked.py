"""What a tick did."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field


class Ticked(Struct, frozen=True):
    """What a tick did. `changes` counts entries and exits, and moves between stages; `entered`, `moved` and `ended`
    runs of journeys; `queued` messages decided on."""

    now: datetime
    identified: int = 0
    loaded: int = 0
    waves: int = 0
    subjects: int = 0
    changes: int = 0
    feedback: int = field(default=0, name="news")
    """reports and requests of sent messages worked off"""
    entered: int = 0
    moved: int = 0
    ended: int = 0
    queued: int = 0

    @property
    def did_something(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__ if name not in ("now", "waves"))

    def __add__(self, other: Ticked) -> Ticked:
        names = [name for name in self.__struct_fields__ if name != "now"]
        return Ticked(other.now, **{name: getattr(self, name) + getattr(other, name) for name in names})
