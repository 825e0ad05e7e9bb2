"""The machine's clock against the last tick: small steps back are bridged, long jumps are refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from keepers.model.errors import ConflictError, problem
from keepers.model.moments import format_instant

LONGEST_BACK = timedelta(hours=2)
"""a clock that is no further behind the last tick, as after a correction, counts as showing its time"""
CODE = "clock"


def machine_seconds() -> float:
    """Seconds that no setting of the clock changes and that, on Linux, go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """The present, naive UTC. Within `LONGEST_BACK` it never shows less than the last tick."""

    def __init__(self, clock: Callable[[], datetime], seconds: Callable[[], float] = machine_seconds) -> None:
        self._clock = clock
        self._seconds = seconds
        self._last: datetime | None = None
        self._noted_s = 0.0

    def __call__(self) -> datetime:
        now, last = self._clock(), self._last
        return last if last is not None and now < last <= now + LONGEST_BACK else now

    def note_tick(self, last: datetime | None) -> None:
        """Records the moment of the last tick."""
        if last != self._last:
            self._noted_s = self._seconds()
            self._last = last

    def require_believable(
        self, now: datetime, longest_jump: timedelta, received: Callable[[datetime], Iterable[datetime]]
    ) -> None:
        """Raises ConflictError (`clock`) when `now` cannot be the moment of the next tick.

        It may be `longest_jump` after the last tick, from where it is known that time passed: this process has measured
        it, or `received(last)`, the times since then at which events arrived, in their order, leave no longer gap.
        """
        last = self._last
        if last is None:
            return
        if now < last:
            raise _behind(now, last)
        passed = last + timedelta(seconds=self._seconds() - self._noted_s)
        if now - passed > longest_jump:
            for at in received(last):
                if at - passed > longest_jump:
                    break
                passed = max(passed, at)
        if now - passed > longest_jump:
            raise _ahead(now, last, longest_jump)


def require_near(now: datetime, clock: datetime, longest_jump: timedelta) -> None:
    """Raises ConflictError (`clock`) for a given moment of a tick that lies further ahead of the clock."""
    if now - clock > longest_jump:
        raise ConflictError(
            problem(
                "{now} lies {days} days ahead of this machine's clock. A tick up to then decides on everything until "
                "then, and later ticks are refused until the clock is there. Add --allow-jump if that is meant.",
                now=format_instant(now),
                days=(now - clock).days,
            ),
            code=CODE,
        )


def _behind(now: datetime, last: datetime) -> ConflictError:
    return ConflictError(
        problem(
            "The clock shows {now}, which is before the last tick, at {before}. If the clock is wrong, set it right. "
            "If it was ahead at that tick, run `keepers rewind`: it takes back what was decided ahead of time.",
            now=format_instant(now),
            before=format_instant(last),
        ),
        code=CODE,
    )


def _ahead(now: datetime, last: datetime, longest_jump: timedelta) -> ConflictError:
    return ConflictError(
        problem(
            "The clock shows {now}, {days} days after the last tick, at {before}; more than {most} are not believed. "
            "If the clock is right, as after a long stop, run `keepers tick --allow-jump` once. If it is wrong, set "
            "it right.",
            now=format_instant(now),
            days=(now - last).days,
            before=format_instant(last),
            most=longest_jump.days,
        ),
        code=CODE,
    )
