"""An HTTP server of this process on a free port of loopback that writes down what it is asked and answers by plan."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from channel_trials import Mood


@dataclass
class ReceivedCall:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Says:
    """One answer; `drips` sends the body in pieces without a length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drips: list[bytes] | None = None


Answering = Callable[[ReceivedCall], Says | None]
"""None: never answer"""


class Loopback:
    """Listens from the moment it is made until `stop`."""

    def __init__(self, answering: Answering, context: ssl.SSLContext | None = None) -> None:
        self.calls: list[ReceivedCall] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                call = ReceivedCall(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                outer.calls.append(call)
                says = answering(call)
                if says is None:
                    outer.released.wait(30)
                    self.close_connection = True
                    return
                self.send_response(says.status)
                for name, value in says.headers.items():
                    self.send_header(name, value)
                if says.drips is None:
                    self.send_header("content-length", str(len(says.body)))
                    self.end_headers()
                    self.wfile.write(says.body)
                    return
                self.close_connection = True
                self.send_header("connection", "close")
                self.end_headers()
                for piece in says.drips:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    if outer.released.wait(0.05):
                        return

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port: int = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stops listening; may be called twice."""
        self.released.set()
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join(5)
            self.server.server_close()


def by_mood(mood: Mood, accepted: Says) -> Answering:
    """The plan of a mood: `accepted` in the good one."""
    busy = Says(503, headers={"retry-after": "120"})
    plans = {"accepts": accepted, "busy": busy, "refuses": Says(403), "silent": None}
    return lambda _: plans[mood]


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


class HttpTrial:
    """The part that HTTP channels' trials share."""

    loopback: Loopback | None = None

    def listen(self, mood: Mood, accepted: Says) -> int:
        """The port to call in this mood."""
        if mood == "absent":
            return closed_port()
        self.loopback = Loopback(by_mood(mood, accepted))
        return self.loopback.port

    @property
    def calls(self) -> list[ReceivedCall]:
        return self.loopback.calls if self.loopback else []

    def stop(self) -> None:
        if self.loopback:
            self.loopback.stop()
