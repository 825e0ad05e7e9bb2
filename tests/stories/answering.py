"""A server on this machine that answers the webhooks of a story, one answer after the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Answers:
    """`called` are the bodies of the calls so far. The last of the `answers` ({status, body}) is given again and
    again. Stopped by `stop`."""

    def __init__(self, answers: Sequence[dict[str, Any]]) -> None:
        self.called: list[Any] = []
        self._answers = list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer_call(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer_call(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        self.called.append(json.loads(handler.rfile.read(length) or b"null"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        body = json.dumps(answer.get("body")).encode()
        handler.send_response(answer.get("status", 200))
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
