"""Real processes for tests, forked from one that has loaded Keepers: each begins at once instead of in seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(["all_loaded"])


def forked(work: Callable[..., Any], *arguments: object) -> ForkServerProcess:
    """A started process that does the work."""
    # A console keeps the width it finds when it is loaded; without one it asks again, in the process it is used in.
    # Python 3.11 does not hand its own path on to the process that forks.
    before = dict(os.environ)
    try:
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
            os.unsetenv(name)  # Readline, which pytest loads, sets them without telling `os.environ`
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    process = _fork.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


class Working:
    """A process at work since the moment this is made. What it prints goes to `log`."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[object], log: Path) -> None:
        self._log = log
        mine, its = _fork.Pipe()
        self._process = forked(_begin, work, arguments, str(log), dict(os.environ), its)
        its.close()
        # Begins when Python and Keepers are loaded; a process that cannot begin closes the pipe.
        mine.recv_bytes()
        mine.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> bool:
        """SIGKILL. False when it had ended by itself; it must then have ended well."""
        self._process.kill()
        return self.wait(60) != 0

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def exit_code(self, longest_s: float = 0) -> int | None:
        """The exit code, whatever it is, or None if the process still works after so many seconds."""
        self._process.join(longest_s)
        return self._process.exitcode

    def wait(self, longest_s: float) -> int:
        """The exit code; below zero when it was killed. Raises AssertionError when it failed or takes longer."""
        code = self.exit_code(longest_s)
        assert code in (0, -signal.SIGKILL), f"exit code {code}: {self._log.read_text()[-3000:]}"
        return code


def _begin(
    work: Callable[..., Any], arguments: Sequence[object], log: str, environment: Mapping[str, str], ready: Connection
) -> None:
    assert "all_loaded" in sys.modules, "the process that forks could not load Keepers"
    os.environ.clear()
    os.environ.update(environment)
    stream = open(log, "a", buffering=1)  # noqa: SIM115 - for the rest of this process
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    sys.stdout = sys.stderr = stream
    ready.send_bytes(b"ready")
    ready.close()
    work(*arguments)


def command(*arguments: str) -> None:
    """The work of `keepers ARGUMENTS`, from the command's own entry on."""
    from keepers.__main__ import run

    sys.argv = ["keepers", *arguments]
    run()


def command_anew(*arguments: str) -> None:
    """`keepers ARGUMENTS` in a Python of its own, which loads all it needs: where starting and ending matter."""
    os.execv(sys.executable, [sys.executable, "-m", "keepers", *arguments])
