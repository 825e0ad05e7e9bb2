"""Asks the server that has the workspace open: a use case over the management API, with the loopback token."""

from __future__ import annotations

import time
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from keepers.app.operations.operations import Operation
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import UseCase
from keepers.model.errors import ConflictError, KeepersError, NotFoundError, UserError

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=Struct)
PREFIX = "/api/v1"
_LOOKS_EVERY_S = 0.1
_SLOWEST_S = 1.0


class ServerGoneError(KeepersError):
    """Nobody listens at the address: a server was killed, and its number belongs to another process now."""


def ask_server(server: dict[str, str], what: UseCase[Q, A], request: Q, progress: Progress) -> A:
    """The answer of the server. Raises ServerGoneError, and KeepersError as the use case does."""
    path, query, body = address_of(what, request)
    headers = {"Authorization": f"Bearer {server['token']}"}
    if what.is_long:
        headers["Prefer"] = "respond-async"
    try:
        with httpx.Client(
            base_url=server["address"] + PREFIX, timeout=httpx.Timeout(10, read=None), trust_env=False, headers=headers
        ) as client:
            answer = client.request(what.route.method, path, params=query, json=body)
            if answer.status_code == 202:
                return _follow(client, what, wire_format.decode(answer.content, Operation), progress)
            if answer.status_code != 200:
                raise _error_of(answer)
            return wire_format.decode(answer.content, what.response)
    except httpx.ConnectError:
        raise ServerGoneError("The server is gone.") from None
    except httpx.HTTPError as error:
        raise UserError(
            f"The server at {server['address']} has this workspace open but does not answer ({error}). "
            "Wait for it, or stop it and try again.",
            code="server",
        ) from None


def address_of(what: UseCase[Any, Any], request: Struct) -> tuple[str, dict[str, Any], Any]:
    """Path, query parameters and JSON body (None for none) of a request for a use case."""
    given = msgspec.to_builtins(request)
    path = what.route.path
    for name in what.route.in_path:
        path = path.replace(f"{{{name}}}", quote(str(given.pop(name)), safe=""))
    if what.route.has_body and not what.route.body:
        return path, {}, given
    body = given.pop(what.route.body) if what.route.body else None
    query = {n: str(v).lower() if isinstance(v, bool) else v for n, v in given.items() if v is not None}
    return path, query, body


def _follow(client: httpx.Client, what: UseCase[Q, A], operation: Operation, progress: Progress) -> A:
    """Shows how far it is until it ends. Ctrl-C cancels it."""
    pause = _LOOKS_EVERY_S
    try:
        while operation.status == "running":
            time.sleep(pause)
            pause = min(pause * 1.2, _SLOWEST_S)
            answer = client.get(f"/operations/{operation.id}")
            if answer.status_code != 200:
                raise _error_of(answer)
            operation = wire_format.decode(answer.content, Operation)
            progress(operation.done, operation.total)
    except KeyboardInterrupt:
        client.post(f"/operations/{operation.id}/cancel", json={})
        raise
    if operation.error is not None:
        kind = UserError if operation.error.is_yours else KeepersError
        raise kind(operation.error.message, code=operation.error.code)
    return wire_format.decode(msgspec.json.encode(operation.result), what.response)


def _error_of(answer: httpx.Response) -> KeepersError:
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {}
    detail = str(problem.get("detail") or f"The running server answered {answer.status_code}.")
    code = str(problem.get("code") or "server")
    kinds: dict[int, type[KeepersError]] = {404: NotFoundError, 409: ConflictError}
    kind = kinds.get(answer.status_code, UserError if answer.status_code < 500 else KeepersError)
    return kind(detail, code=code, field=problem.get("field", ""))
