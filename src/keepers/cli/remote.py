"""Asks the server that has the workspace open: a use case over the management API, with the loopback token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from keepers.app.operations.operations import Operation
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import UseCase
from keepers.app.workspace.files.server_file import RunningServer, other_settings
from keepers.app.workspace.settings import Settings
from keepers.model.errors import ConflictError, KeepersError, NotFoundError, UserError

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=Struct)
PREFIX = "/api/v1"
_CONNECTS_WITHIN_S = 10
_COMES_BACK_AFTER_S = 1.0
_SILENCE_S = 60.0
"""several times the server's heartbeat: nothing for so long is no answer"""


class ServerGoneError(KeepersError):
    """Nobody listens at the address: a server was killed, and its number belongs to another process now."""


def call_server(server: RunningServer, settings: Settings, what: UseCase[Q, A], request: Q, progress: Progress) -> A:
    """The answer of the server.

    Raises ServerGoneError, KeepersError as the use case does, and UserError where environment variables of this
    process say other than the settings the server runs with: the answer would be as if they were not set.
    """
    path, query, body = address_of(what, request)
    there = _Server(server)
    try:
        if others := other_settings(server, settings):
            there.connected().close()
            raise UserError(
                f"The server at {server.address} has this workspace open, so its settings hold, and it runs with "
                f"another value of {', '.join(others)}. Unset that for this command, or restart the server with it.",
                code="settings",
            )
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        status, content = there.call(what.route.method, target, body, is_long=what.is_long)
        if status == 202:
            return _follow(there, what, wire_format.decode(content, Operation), progress)
        if status != 200:
            raise _error_of(status, content)
        return wire_format.decode(content, what.response)
    except (OSError, HTTPException) as error:
        raise UserError(
            f"The server at {server.address} has this workspace open but does not answer ({error}). "
            "Wait for it, or stop it and try again.",
            code="server",
        ) from None


class _Server:
    """Calls by Python's own client: it is loaded in a fifth of the time that others take, and asks no proxy."""

    def __init__(self, server: RunningServer) -> None:
        self._place = urlsplit(server.address)
        self._headers = {"Authorization": f"Bearer {server.token}"}

    def call(self, method: str, path: str, body: Any = None, *, is_long: bool = False) -> tuple[int, bytes]:
        """Status and body, however long they take. Raises as `answering` does."""
        with self.answering(method, path, body, is_long=is_long) as answer:
            return answer.status, answer.read()

    @contextmanager
    def answering(
        self, method: str, path: str, body: Any = None, *, is_long: bool = False, silence_s: float | None = None
    ) -> Iterator[HTTPResponse]:
        """An answer whose body is still to be read. Reading fails after `silence_s` seconds without a byte.

        Raises as `connected` does, OSError and HTTPException when the connection breaks.
        """
        headers = self._headers | ({"Prefer": "respond-async"} if is_long else {})
        if body is not None:
            headers |= {"Content-Type": "application/json"}
        connection = self.connected()
        try:
            connection.sock.settimeout(silence_s)
            connection.request(method, PREFIX + path, None if body is None else msgspec.json.encode(body), headers)
            yield connection.getresponse()
        finally:
            connection.close()

    def connected(self) -> HTTPConnection:
        """Raises ServerGoneError when nobody listens."""
        connection = HTTPConnection(self._place.hostname or "", self._place.port, timeout=_CONNECTS_WITHIN_S)
        try:
            connection.connect()
        except TimeoutError:
            raise
        except OSError:
            raise ServerGoneError("The server is gone.") from None
        return connection


def address_of(what: UseCase[Any, Any], request: Struct) -> tuple[str, dict[str, Any], Any]:
    """Path, query parameters and JSON body (None for none) of a request for a use case."""
    values = msgspec.to_builtins(request)
    path = what.route.path
    for name in what.route.in_path:
        path = path.replace(f"{{{name}}}", quote(str(values.pop(name)), safe=""))
    if what.route.has_body and not what.route.body:
        return path, {}, values
    body = values.pop(what.route.body) if what.route.body else None
    query = {n: str(v).lower() if isinstance(v, bool) else v for n, v in values.items() if v is not None}
    return path, query, body


def _follow(there: _Server, what: UseCase[Q, A], operation: Operation, progress: Progress) -> A:
    """Shows how far it is until it ends. Ctrl-C cancels it."""
    try:
        while operation.status == "running":
            for latest in _events(there, operation.id):
                operation = latest
                if operation.done or operation.total:  # it has not reported yet
                    progress(operation.done, operation.total)
            if operation.status == "running":
                time.sleep(_COMES_BACK_AFTER_S)
    except KeyboardInterrupt:
        there.call("POST", f"/operations/{operation.id}/cancel", {})
        raise
    except ServerGoneError:
        raise UserError(
            "The server ended while it worked on this. What was committed is kept; run it again to go on.",
            code="server",
        ) from None
    if operation.error is not None:
        kind = UserError if operation.error.is_yours else KeepersError
        raise kind(operation.error.message, code=operation.error.code)
    return wire_format.decode(msgspec.json.encode(operation.result), what.response)


def _events(there: _Server, operation_id: str) -> Iterator[Operation]:
    """The operation as it is now and after each change, until it ends, or for as long as the connection holds.

    Where too many watch already, as it is now alone.
    """
    try:
        with there.answering("GET", f"/operations/{operation_id}/events", silence_s=_SILENCE_S) as answer:
            if answer.status == 200:
                for line in answer:
                    if line.startswith(b"data:"):
                        yield wire_format.decode(line.removeprefix(b"data:"), Operation)
                return
            status, content = answer.status, answer.read()
    except (OSError, HTTPException):
        return  # the connection broke: who comes back gets the state as it is then
    if status == 429:
        status, content = there.call("GET", f"/operations/{operation_id}")
    if status != 200:
        raise _error_of(status, content)
    yield wire_format.decode(content, Operation)


def _error_of(status: int, content: bytes) -> KeepersError:
    try:
        problem = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {}
    detail = str(problem.get("detail") or f"The running server answered {status}.")
    code = str(problem.get("code") or "server")
    kinds: dict[int, type[KeepersError]] = {404: NotFoundError, 409: ConflictError}
    kind = kinds.get(status, UserError if status < 500 else KeepersError)
    return kind(detail, code=code, field=problem.get("field", ""))
