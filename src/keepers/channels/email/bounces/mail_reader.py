"""Mail from outside, read in a process that can be ended: no mail can stop the server or take its memory."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock, Timer

import msgspec
from msgspec import Struct

from keepers.channels.email.bounces.reading_process import Answer, Mail, ReaderSetup, read_frame, write_frame
from keepers.channels.email.bounces.returned_mail import MOST_BYTES
from keepers.channels.email.bounces.set_aside import SetAside
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport

_MOST_LATE = 1000
_MODULE = "keepers.channels.email.bounces.reading_process"
log = logging.getLogger("keepers")


class ReadingLimits(Struct, frozen=True):
    """What reading one mail may use."""

    cpu_s: int = 10
    """seconds of processor time: a machine with other work is no reason to give up a mail"""
    wall_s: float = 60.0
    """seconds after which a try is given up: the machine is slow or was stopped, and the mail is tried again later"""
    late_tries: int = 5
    """after so many tries that were given up, the mail is the cause after all"""
    memory_bytes: int = 256 << 20
    mails: int = 1000
    """read by one process before another takes its place"""


class MailReader:
    """Reads one mail at a time in a process that is started with the first and kept for the next ones.

    A mail that takes too much processor time or memory, ends the process twice, or is not read in several tries of a
    minute, is set aside in a folder: said in the log, counted by `doctor` and `/metrics`, and not read again.
    """

    def __init__(self, verp: Verp, folder: Path, limits: ReadingLimits | None = None) -> None:
        """Starts nothing. `folder` is where mail is set aside."""
        self.verp = verp
        self.set_aside = SetAside(folder)
        self._limits = limits or ReadingLimits()
        self._late: Counter[bytes] = Counter()
        """tries that took too long, by the hash of the mail"""
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._is_stopped = False

    def read(self, data: bytes, at: datetime, recipients: Sequence[str] = ()) -> tuple[DeliveryReport, ...]:
        """What a mail that came in at `at` (naive UTC) reports; empty for other mail and for one set aside.

        Its first 512 KiB are read. May be called by any thread. Raises OSError when no process can be started, when
        reading takes longer than a minute by the clock, and when the mail cannot be kept; UserError when the folder of
        mail set aside is full. The mail is then still the caller's, who tries again later.
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
            trouble, is_certain = self._failure(process, is_late)
            if is_late and not is_certain:
                self._refuse_late(mail.data)
                is_certain = True
            return None, trouble, is_certain
        self._read += 1
        answer = msgspec.msgpack.decode(frame, type=Answer)
        if answer.failure:
            return None, answer.failure, True
        return answer, "", True

    def _refuse_late(self, data: bytes) -> None:
        """Raises OSError while the mail may be tried again."""
        digest = sha256(data).digest()
        if len(self._late) > _MOST_LATE:
            self._late.clear()
        self._late[digest] += 1
        if self._late[digest] < self._limits.late_tries:
            raise OSError(f"reading a mail took more than {self._limits.wall_s:g} s; it is tried again later")
        del self._late[digest]

    def _failure(self, process: subprocess.Popen[bytes], is_late: bool) -> tuple[str, bool]:
        """Why the process has ended, and whether the mail is certainly the cause."""
        code = process.wait()
        self._end()
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return f"reading it took more than {self._limits.cpu_s} s of processor time", True
        if is_late:
            return f"reading it took more than {self._limits.wall_s:g} s, {self._limits.late_tries} times", False
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
