"""Long work as operations: started, watched, cancelled. They are kept in memory for as long as the process lives."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from threading import Condition, Lock, Thread
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases import wire_format
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import UseCase, use_case
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import ConflictError, KeepersError, NotFoundError, UserError

_KEPT = 200
log = logging.getLogger("keepers")
OperationStatus = Literal["running", "succeeded", "failed", "cancelled"]


class OperationError(Struct, frozen=True):
    code: str
    message: str
    is_yours: Annotated[bool, Meta(description="Whether it is for the caller to put right.")]


class Operation(Struct, frozen=True):
    """Long work that was started: how far it is, and what came of it."""

    id: str
    use_case: Annotated[str, Meta(description="What is done, such as `import_file`.")]
    status: OperationStatus
    started_at: datetime
    ended_at: datetime | None = None
    done: Annotated[int, Meta(ge=0, description="How much is done.")] = 0
    total: Annotated[int, Meta(ge=0, description="Of how much; 0 while that is not known.")] = 0
    result: Annotated[Any, Meta(description="The answer, once it succeeded.")] = None
    error: OperationError | None = None


class OperationId(Struct, frozen=True):
    id: Annotated[str, Meta(max_length=64)]


class CancelledError(UserError):
    """The work was cancelled by somebody who may."""

    code = "cancelled"


class _Running:
    """One operation with what changes while it runs."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.is_cancelled = False
        self.changed = Condition()

    def set(self, **values: Any) -> None:
        with self.changed:
            self.operation = msgspec.structs.replace(self.operation, **values)
            self.changed.notify_all()

    def progress(self, done: int, total: int) -> None:
        if self.is_cancelled:
            raise CancelledError("It was cancelled. What was committed is kept; run it again to go on.")
        self.set(done=done, total=max(done, total))


class Operations:
    """The operations of one open workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._known: OrderedDict[str, _Running] = OrderedDict()

    def start(self, what: UseCase[Any, Any], actor: Actor, request: Struct) -> Operation:
        """Starts a use case in a thread of its own. Raises NotAllowedError at once for an actor who may not."""
        actor.require(what.permission)
        running = _Running(Operation(secrets.token_urlsafe(12), what.name, "running", clock()))
        with self._lock:
            self._known[running.operation.id] = running
            ended = [i for i, one in self._known.items() if one.operation.status != "running"]
            for old in ended[: max(0, len(self._known) - _KEPT)]:
                del self._known[old]
        Thread(target=self._run, args=(running, what, actor, request), name=what.name, daemon=True).start()
        return running.operation

    def get(self, operation_id: str) -> Operation:
        """Raises NotFoundError."""
        return self._find(operation_id).operation

    def cancel(self, operation_id: str) -> Operation:
        """Ends it at its next step. Raises NotFoundError, and ConflictError for one that has ended."""
        running = self._find(operation_id)
        if running.operation.status != "running":
            raise ConflictError(f"The operation has ended: {running.operation.status}.")
        running.is_cancelled = True
        return running.operation

    def watch(self, operation_id: str, heartbeat_s: float = 15.0) -> Iterator[Operation]:
        """Each change of it, the last being its end; the same again when nothing changed for `heartbeat_s`."""
        running = self._find(operation_id)
        shown = running.operation
        yield shown
        while shown.status == "running":
            with running.changed:
                if running.operation is shown:
                    running.changed.wait(heartbeat_s)
                shown = running.operation
            yield shown

    def _find(self, operation_id: str) -> _Running:
        with self._lock:
            found = self._known.get(operation_id)
        if found is None:
            raise NotFoundError(f"There is no operation “{operation_id}”. They are kept until the server stops.")
        return found

    def _run(self, running: _Running, what: UseCase[Any, Any], actor: Actor, request: Struct) -> None:
        try:
            answer = what(self._workspace, actor, request, running.progress)
        except CancelledError as error:
            running.set(status="cancelled", ended_at=clock(), error=OperationError(error.code, error.message, True))
        except KeepersError as error:
            is_yours = isinstance(error, UserError)
            wrong = OperationError(error.code, error.message, is_yours)
            running.set(status="failed", ended_at=clock(), error=wrong)
        except Exception as error:
            log.error("%s failed: %s: %s", what.name, type(error).__name__, error, exc_info=error)
            said = "Keepers made a mistake. It is written down in data/errors.log."
            running.set(status="failed", ended_at=clock(), error=OperationError("internal", said, False))
        else:
            running.set(status="succeeded", ended_at=clock(), result=wire_format.plain(answer))


@use_case("GET /operations/{id}", permission="read", tag="operations", problems=(404,))
def read_operation(workspace: Workspace, actor: Actor, request: OperationId) -> Operation:
    """How far long work is, and what came of it."""
    return operations_of(workspace).get(request.id)


@use_case("POST /operations/{id}/cancel", permission="manage", tag="operations", problems=(404, 409))
def cancel_operation(workspace: Workspace, actor: Actor, request: OperationId) -> Operation:
    """Cancel long work

    It ends at its next step; what was committed is kept, and the same request again goes on from there.
    """
    return operations_of(workspace).cancel(request.id)


def operations_of(workspace: Workspace) -> Operations:
    """The operations of an open workspace; made when first asked for."""
    found = workspace.__dict__.get("operations")
    if not isinstance(found, Operations):
        found = workspace.__dict__.setdefault("operations", Operations(workspace))
    return found
