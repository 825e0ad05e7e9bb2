"""How far long work is, as server-sent events: the state now, each change, and at last what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, get
from litestar.datastructures import State
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Schema
from litestar.openapi.spec import Operation as DocumentedOperation
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from keepers.app.operations.operations import Operation, Operations, operations_of
from keepers.app.use_cases import wire_format
from keepers.http.common.auth import actor_of
from keepers.http.common.problems import answers
from keepers.http.management.endpoints import example_of

PROGRESS, ENDED = "progress", "ended"
_PAUSE_S = 0.1
"""the least time between two events: of work with a thousand steps a second most are left out"""
_HEARTBEAT_S = 15.0
"""a comment after so long without a change, so that nobody on the way takes the connection for dead"""
_RETRY_MS = 1000
_DESCRIPTION = """\
Server-sent events (`text/event-stream`): `progress` with the operation as it is now, again with each change, and one
`ended` with its result or error, after which the stream ends. After a broken connection, connect again: the present
state comes first. Closing the connection does not cancel the work."""


@dataclass
class EventStreamOperation(DocumentedOperation):
    """Says what the stream holds, which a handler's signature cannot."""

    def __post_init__(self) -> None:
        example = wire_format.encode(example_of("read_operation", "response")).decode()
        content = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING),
            examples={"ended": Example(summary="The end", value=f"event: {ENDED}\ndata: {example}\n\n")},
        )
        assert self.responses is not None
        self.responses["200"] = OpenAPIResponse(description="The events.", content={"text/event-stream": content})


@get(
    "/operations/{id:str}/events",
    summary="Follow the progress of long work",
    description=_DESCRIPTION,
    tags=["operations"],
    responses={status: spec for status, spec in answers(Operation, {}, 400, 404, 429).items() if status != 200},
    operation_class=EventStreamOperation,
    operation_id="watch_operation",
    opt={"known_parameters": frozenset()},
)
async def watch_operation(
    request: Request[Any, Any, Any], state: State, id: Annotated[str, PathParameter(max_length=64)]
) -> ServerSentEvent:
    actor_of(request).require("read")
    operations = operations_of(state.workspace)
    events = operation_events(operations, id)
    # What is refused is refused as a problem, before the stream begins.
    first = await anext(events)
    return ServerSentEvent(_resumed(first, events))


async def _resumed(
    first: ServerSentEventMessage, rest: AsyncGenerator[ServerSentEventMessage, None]
) -> AsyncGenerator[ServerSentEventMessage, None]:
    try:
        yield first
        async for event in rest:
            yield event
    finally:
        await rest.aclose()


async def operation_events(operations: Operations, operation_id: str) -> AsyncGenerator[ServerSentEventMessage, None]:
    """The events of one watcher. Raises NotFoundError, and TooManyWatchersError."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def notify() -> None:
        with suppress(RuntimeError):  # the server's loop has ended, and nobody watches any more
            loop.call_soon_threadsafe(changed.set)

    with operations.watched(operation_id, notify):
        shown: Operation | None = None
        while True:
            changed.clear()
            operation = operations.get(operation_id)
            is_over = operation.status != "running"
            if operation is shown:
                yield ServerSentEventMessage(data=None, comment="still running")
            else:
                name = ENDED if is_over else PROGRESS
                yield ServerSentEventMessage(wire_format.encode(operation), event=name, retry=_RETRY_MS)
            if is_over:
                return
            shown = operation
            await asyncio.sleep(_PAUSE_S)
            try:
                await asyncio.wait_for(changed.wait(), _HEARTBEAT_S)
            except TimeoutError:
                continue
