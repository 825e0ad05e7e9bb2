"""Bounds on what a block may use, whatever the machine's speed: processor time and memory."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class TooMuchTimeError(AssertionError):
    """More processor time than the block may use."""


@contextmanager
def bounded(cpu_s: float, memory_bytes: int) -> Iterator[None]:
    """The block, and all threads of this process meanwhile, may use so much processor time and so many bytes more.

    Raises TooMuchTimeError; what takes too much memory gets a MemoryError. For the main thread, on Linux.
    """

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TooMuchTimeError(f"It took more than {cpu_s:g} s of processor time.")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, late)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory_bytes, hard))
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def _address_space() -> int:
    """Bytes that this process has addresses for now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
