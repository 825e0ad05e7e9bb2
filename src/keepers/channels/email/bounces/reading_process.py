"""Reads mail in a process of its own, with limits of time and memory: `python -m` this module.

Frames of MessagePack go both ways, each after its length in four bytes (big-endian). The first frame in holds the
secret of the return paths and the limits; each further one a mail, answered by its reports. The process ends with its
input, so it never outlives the server, and the system ends it when a mail takes more processor time than it may.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from math import ceil
from typing import IO

import msgspec
from msgspec import Struct

from keepers.channels.email.bounces.reports import reports_in
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport

MOST_FRAME = 16_777_216
"""bytes"""


class ReaderSetup(Struct, frozen=True):
    """The return paths to know, and what one mail may use."""

    secret: bytes
    domain: str
    prefix: str
    cpu_s: int
    memory_bytes: int


class Mail(Struct, frozen=True):
    data: bytes
    at: datetime
    recipients: Sequence[str]


class Answer(Struct, frozen=True):
    """The reports of one mail. `failure` names what happened when it could not be read."""

    reports: tuple[DeliveryReport, ...] = ()
    failure: str = ""


def write_frame(stream: IO[bytes], value: Struct) -> None:
    """Raises OSError when the other side has ended."""
    data = msgspec.msgpack.encode(value)
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end, also when it comes within a frame."""
    head = stream.read(4)
    length = int.from_bytes(head, "big")
    if len(head) < 4 or length > MOST_FRAME:
        return None
    data = stream.read(length)
    return data if len(data) == length else None


def main(source: IO[bytes], target: IO[bytes]) -> None:
    """Answers mails until the input ends, or one could not be read for want of memory."""
    first = read_frame(source)
    if first is None:
        return
    start = msgspec.msgpack.decode(first, type=ReaderSetup)
    verp = Verp(start.secret, start.domain, start.prefix)
    _limit_memory(start.memory_bytes)
    write_frame(target, Answer())
    decode = msgspec.msgpack.Decoder(Mail).decode
    while (frame := read_frame(source)) is not None:
        _limit_time(start.cpu_s)
        mail = decode(frame)
        try:
            answer = Answer(reports_in(mail.data, verp, mail.at, mail.recipients))
        except MemoryError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a mail can do to a parser is said, and the mail is kept
            answer = Answer(failure=f"{type(error).__name__}: {error}"[:500])
        write_frame(target, answer)


def _limit_memory(most: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        with suppress(ValueError):  # macOS has no such limit
            resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def _limit_time(seconds: int) -> None:
    """SIGXCPU ends the process once it has used so much processor time more."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = ceil(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until if hard < 0 else min(until, hard), hard))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
