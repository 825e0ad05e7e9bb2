"""The `keepers` command for shell scripts of tests: each call is a process forked from one that has loaded Keepers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import processes

_LISTENING = """\
#!{python} -IS
# Hands its arguments, folder, environment and streams over, and ends as the command did.
import json, os, socket, sys
given = sys.argv[1:]
if given[:1] in (["serve"], ["mailbox"]):  # these are stopped by signals, so they are this process
    os.execv({python!r}, [{python!r}, "-m", "keepers", *given])
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    socket.send_fds(line, [b"*"], [0, 1, 2])
    line.sendall(json.dumps([given, os.getcwd(), dict(os.environ)]).encode())
    line.shutdown(socket.SHUT_WR)
    code = line.recv(16)
sys.exit(int(code) if code else "The command did not end by itself.")
"""


@contextmanager
def forked_commands() -> Iterator[Path]:
    """A folder with a `keepers` in it, to be put first in PATH while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="kcmd-"))  # short: a socket's path is limited to 107 bytes
    address = str(folder / "socket")
    script = folder / "keepers"
    script.write_text(_LISTENING.format(python=sys.executable, address=address), encoding="utf-8")
    script.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        accepting = threading.Thread(target=_accept, args=(listening,), daemon=True)
        accepting.start()
        try:
            yield folder
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(20)
            shutil.rmtree(folder)


def _accept(listening: socket.socket) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:  # closed, as there will be no more commands
            return
        threading.Thread(target=_serve, args=(line,), daemon=True).start()


def _serve(line: socket.socket) -> None:
    with line:
        _, streams, _, _ = socket.recv_fds(line, 1, 3)
        try:
            with line.makefile("rb") as request:
                arguments, folder, environment = json.loads(request.read())
            process = processes.forked(_run, arguments, folder, environment, _Streams(streams))
        finally:
            for number in streams:
                os.close(number)
        process.join()
        with suppress(BrokenPipeError):  # the script that called was ended
            line.sendall(str(process.exitcode).encode())


class _Streams:
    """File descriptors on their way into another process."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, tuple(DupFd(number) for number in self.numbers)


def _taken(*streams: Any) -> list[int]:
    return [stream.detach() for stream in streams]


def _run(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    processes.command(*arguments)
