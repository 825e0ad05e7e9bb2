"""Mail from outside, read in a process that can be ended: no mail can stop the server or take its memory."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock, Timer

import msgspec
from msgspec import Struct

from keepers.channels.email.bounces.reading_process import Answer, Mail, ReaderSetup, read_frame, write_frame
from keepers.channels.email.bounces.returned_mail import MOST_BYTES
from keepers.channels.email.bounces.set_aside import SetAside
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport

_MODULE = "keepers.channels.email.bounces.reading_process"
log = logging.getLogger("keepers")


class ReadingLimits(Struct, frozen=True):
    """What reading one mail may use."""

    cpu_s: int = 10
    """seconds of processor time: a machine with other work is no reason to give up a mail"""
    wall_s: float = 60.0
    memory_bytes: int = 256 << 20
    mails: int = 1000
    """read by one process before another takes its place"""


class MailReader:
    """Reads one mail at a time in a process that is started with the first and kept for the next ones.

    A mail that takes too much time or memory, or ends the process twice, is set aside in a folder: said in the log,
    counted by `doctor` and `/metrics`, and not read again.
    """

    def __init__(
        self,
        verp: Verp,
        folder: Path,
        limits: ReadingLimits | None = None,
        on_set_aside: Callable[[], None] | None = None,
    ) -> None:
        """Starts nothing. `folder` is where mail is set aside; `on_set_aside` is called after each."""
        self.verp = verp
        self.set_aside = SetAside(folder)
        self._limits = limits or ReadingLimits()
        self._on_set_aside = on_set_aside
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._is_stopped = False

    def read(self, data: bytes, at: datetime, recipients: Sequence[str] = ()) -> tuple[DeliveryReport, ...]:
        """What a mail that came in at `at` (naive UTC) reports; empty for other mail and for one set aside.

        Its first 512 KiB are read. May be called by any thread. Raises OSError when no process can be started or the
        mail cannot be kept, UserError when the folder of mail set aside is full; the mail is then still the caller's.
        """
        data = data[:MOST_BYTES]
        if self.set_aside.holds(data):
            return ()
        mail = Mail(data, at, tuple(recipients))
        with self._lock:
            trouble = ""
            for _ in range(2):
                answer, trouble, is_certain = self._answered(mail)
                if answer is not None:
                    return answer.reports
                if self._is_stopped:
                    raise OSError("reading mail was stopped")
                if is_certain:
                    break
        path = self.set_aside.put(data)
        log.error("A mail from outside was set aside, unread: %s. It is %s.", trouble, path)
        if self._on_set_aside is not None:
            self._on_set_aside()
        return ()

    def stop(self) -> None:
        """Ends the process, also while it reads a mail, and reads no more."""
        self._is_stopped = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._end()

    def _answered(self, mail: Mail) -> tuple[Answer | None, str, bool]:
        """The answer, or why there is none, and whether another try would end the same way."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        late = Timer(self._limits.wall_s, process.kill)
        late.daemon = True
        late.start()
        try:
            write_frame(process.stdin, mail)
            frame = read_frame(process.stdout)
        except OSError:
            frame = None
        finally:
            is_late = late.finished.is_set()
            late.cancel()
        if frame is None:
            return (None, *self._failure(process, is_late))
        self._read += 1
        answer = msgspec.msgpack.decode(frame, type=Answer)
        if answer.failure:
            return None, answer.failure, True
        return answer, "", True

    def _failure(self, process: subprocess.Popen[bytes], is_late: bool) -> tuple[str, bool]:
        """Why the process has ended, and whether the mail is certainly the cause."""
        code = process.wait()
        self._end()
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return f"reading it took more than {self._limits.cpu_s} s of processor time", True
        if is_late:
            return f"reading it took more than {self._limits.wall_s:g} s", True
        if code == 0:
            return f"reading it took more than {self._limits.memory_bytes >> 20} MB of memory", True
        return f"the process reading it ended with code {code}", False

    def _running(self) -> subprocess.Popen[bytes]:
        """A process that waits for a mail. Raises OSError when none can be started."""
        if self._process is not None and (self._process.poll() is not None or self._read >= self._limits.mails):
            self._end()
        if self._process is None:
            limits = self._limits
            # Of a session of its own: Ctrl-C in the server's terminal is not its concern.
            made = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=sys.platform != "win32",
            )
            self._process, self._read = made, 0
            assert made.stdin is not None
            assert made.stdout is not None
            verp = self.verp
            try:
                write_frame(
                    made.stdin, ReaderSetup(verp.secret, verp.domain, verp.prefix, limits.cpu_s, limits.memory_bytes)
                )
                is_ready = read_frame(made.stdout) is not None
            except OSError:
                is_ready = False
            if not is_ready:
                self._end()
                raise OSError(f"the process that reads mail did not start (code {made.returncode})")
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was written and never read
                    stream.close()
