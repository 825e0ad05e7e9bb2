"""Ctrl-C, noted as well as raised: Python drops what is raised in a `__del__`, and DuckDB makes it an error of its own.

Imports nothing of Keepers', so that it stands before the second that loading takes.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_state = {"loading": False, "noted": False}


def watch() -> None:
    """Takes Ctrl-C over while the command is loaded, when there is nothing to undo."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _state["loading"] = True
        signal.signal(signal.SIGINT, _interrupted)
        sys.unraisablehook = _unraisable


def begin() -> None:
    """The command begins: from now on Ctrl-C is raised, and kept in mind."""
    _state.update(loading=False, noted=False)


def is_noted() -> bool:
    return _state["noted"]


def check() -> None:
    """Raises KeyboardInterrupt if Ctrl-C was pressed and the exception got lost."""
    if _state["noted"]:
        raise KeyboardInterrupt


def _interrupted(number: int, frame: FrameType | None) -> None:
    if _state["loading"]:
        message = "Interrupted before anything was begun."
        if "--json" in sys.argv:
            os.write(1, b'{"error":{"code":"interrupted","message":"%b"}}\n' % message.encode())
        else:
            os.write(2, message.encode() + b"\n")
        os._exit(130)
    _state["noted"] = True
    signal.default_int_handler(number, frame)


def _unraisable(unraisable: sys.UnraisableHookArgs, /) -> None:
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
