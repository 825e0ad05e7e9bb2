"""uvicorn's HTTP/1.1 protocol with limits on what a client may take: time, header bytes and connections."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from math import inf
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keepers.channels.networks import network_of
from keepers.server.connections import Connections

Phase = Literal["idle", "head", "body", "answer"]
_OVERHEAD = 8
"""bytes of chunked transfer coding allowed for each byte of a body: chunks of one byte take six"""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. It is `idle` between requests, in `head` while headers arrive, in `body` while the body does, and
    in `answer` until the answer is sent; the first three have a time limit each."""

    def __init__(self, *arguments: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open = connections
        self._limits = connections.limits
        self.network = ""
        self._is_admitted = False
        self._is_ended = False
        self._phase: Phase = "idle"
        self._entered = 0
        """phases so far"""
        self._due = inf
        """when the phase has lasted too long"""
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self._write_timer: TimerHandle | None = None
        self._received = 0
        """bytes since the phase began"""
        self._head = 0
        """bytes of the address and fields read so far"""
        self._body = 0
        self._began = self._last = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.network = network_of(self.client[0]) if self.client else ""
        if not self._open.admit(self, self.loop.time()):
            self._end(503, "no room")
            return
        self._is_admitted = True
        self._enter("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Closes the connection, and frees its place at once."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        self._is_ended = True
        self._stop_timers()
        if self._is_admitted:
            self._is_admitted = False
            self._open.remove(self)

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            return
        self._last = self.loop.time()
        if self._phase == "idle":
            self._enter("head")
        before = self._entered
        super().data_received(data)
        if self._is_ended or self._entered != before:
            return
        self._received += len(data)
        if self._phase == "head" and self._received > self._limits.header_bytes:
            self._end(431, "header bytes")
        elif self._phase == "body" and self._received > self._limits.header_bytes + (1 + _OVERHEAD) * self._body:
            self._end(400, "body overhead")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        if self._phase != "head":
            self._enter("head")

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        if self._head <= self._limits.header_bytes:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        if self._head <= self._limits.header_bytes:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_ended:
            return
        if self._head > self._limits.header_bytes:
            self._end(431, "header bytes")
            return
        super().on_headers_complete()
        self._body = 0
        self._enter("body")

    def on_body(self, body: bytes) -> None:
        if self._is_ended:
            return
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_ended:
            return
        super().on_message_complete()
        self._enter("idle" if self.cycle.response_complete else "answer")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase == "answer" and not self._is_ended and not self.pipeline:
            self._enter("idle")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._limits.answer_s, self._stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._entered += 1
        self._received = 0
        self._began = self._last = self.loop.time()
        self._open.set_waiting(self, phase != "answer" and not self._is_answering)
        if phase == "answer":
            self._due = inf
        else:
            self._set_due(self._began + (self._limits.body_s if phase == "body" else self._limits.header_s))

    @property
    def _is_answering(self) -> bool:
        """Whether an answer to an earlier request is on its way, as with pipelined requests."""
        return self._phase in ("head", "idle") and self.cycle is not None and not self.cycle.response_complete

    def _woken(self) -> None:
        self._timer, self._timer_at = None, inf
        if self._is_ended or self._due == inf:
            return
        if self.loop.time() < self._due:
            self._set_due(self._due)
        elif self._phase == "body":
            self._check_body()
        elif self._is_answering:
            self._set_due(self.loop.time() + self._limits.header_s)
        elif self._phase == "idle" or (not self._received and self._head == 0):
            self._end(0, "silence")
        else:
            self._end(408, "header time")

    def _check_body(self) -> None:
        """Ends a body that has stopped or is too slow; one that the server itself does not read on is given time."""
        limits, now = self._limits, self.loop.time()
        if self.flow.read_paused:
            self._began += limits.body_s
            self._last = now
        left = min(
            self._last + limits.body_s - now, self._began + limits.body_s + self._body / limits.body_bytes_per_s - now
        )
        if left <= 0 and not self.flow.read_paused:
            self._end(408, "body time")
        else:
            self._set_due(now + max(left, 0.05))

    def _stalled(self) -> None:
        self._write_timer = None
        if not self._is_ended:
            self._open.count_ended("answer not read", self.loop.time())
            self.give_way()

    def _end(self, status: int, reason: str) -> None:
        """Answers with a status, unless an answer has begun or it is 0, and closes the connection."""
        self._is_ended = True
        self._stop_timers()
        self._open.count_ended(reason, self.loop.time())
        cycle = self.cycle
        if status and (cycle is None or cycle.response_complete or not cycle.response_started):
            known = HTTPStatus(status)
            text = f"{known.phrase}\n".encode()
            self.transport.write(
                f"HTTP/1.1 {known.value} {known.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode()
                + text
            )
        self.transport.close()

    def _set_due(self, at: float) -> None:
        """A timer that runs already and ends sooner is kept: it is set anew when it ends, once a connection and not
        several times a request."""
        self._due = at
        if self._timer_at <= at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self.loop.call_at(at, self._woken), at

    def _stop_timers(self) -> None:
        self._due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, inf
        self._stop_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
