"""Commands of the command line, done inside the running server: progress and the answer as lines of JSON.

For programs of the same user on the same machine alone: over loopback, with the token of `data/server.json`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator
from threading import Thread
from time import monotonic
from typing import Any

import msgspec
from litestar import Request, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from keepers.app.workspace.desk import WorkspaceApi
from keepers.http.common.auth import bearer
from keepers.http.common.loopback import is_local
from keepers.model.errors import KeepersError, UserError

_PROGRESS_EVERY_S = 0.1
_MOST_ARGUMENTS = 1_000_000
log = logging.getLogger("keepers")


def command_handler(desk: WorkspaceApi, token: str) -> HTTPRouteHandler:
    """`POST /internal/commands/{name}`."""

    @post(
        "/internal/commands/{name:str}",
        include_in_schema=False,
        status_code=200,
        request_max_body_size=_MOST_ARGUMENTS,
    )
    async def command(request: Request[Any, Any, Any], name: str) -> Stream:
        if not is_local(request):
            raise HTTPException("Commands are taken from this machine alone.", status_code=403)
        if not hmac.compare_digest(bearer(request).encode(), token.encode()):
            raise HTTPException("The token is not this server's.", status_code=401)
        try:
            arguments = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise HTTPException("Arguments are a JSON object.", status_code=400) from None
        return Stream(_lines(desk, name, arguments), media_type="application/x-ndjson")

    return command


async def _lines(desk: WorkspaceApi, name: str, arguments: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """What the command says, line by line, while it runs in a thread of its own."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def say(line: dict[str, Any] | None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        except RuntimeError:
            # The server has stopped; nobody listens any more.
            log.info("The command %s ended after the server did.", name)

    # Long imports must not take the places of requests in the thread pool.
    Thread(target=_run, args=(desk, name, arguments, say), name=f"command {name}", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield msgspec.json.encode(line) + b"\n"


def _run(desk: WorkspaceApi, name: str, arguments: dict[str, Any], say: Any) -> None:
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if monotonic() - last >= _PROGRESS_EVERY_S:
            last = monotonic()
            say({"progress": [done, total]})

    try:
        say({"result": desk.run(name, arguments, progress)})
    except KeepersError as error:
        say({"error": {"user": isinstance(error, UserError), "code": error.code, "message": error.message}})
    except Exception as error:
        log.error("The command %s failed: %s: %s", name, type(error).__name__, error, exc_info=error)
        said = f"Keepers made a mistake: {type(error).__name__}: {error}. Details are in data/errors.log."
        say({"error": {"user": False, "code": "internal", "message": said}})
    finally:
        say(None)
