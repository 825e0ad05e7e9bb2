"""Long work as operations: started, watched, cancelled. They are kept in memory for as long as the process lives."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock, Thread
from time import monotonic
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases import wire_format
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import RequestedLocale
from keepers.app.use_cases.use_case import UseCase, use_case
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.i18n.problems import error_text
from keepers.model.errors import ConflictError, KeepersError, NotFoundError, UserError, problem

_KEPT = 200
MOST_WATCHERS = 64
log = logging.getLogger("keepers")
OperationStatus = Literal["running", "succeeded", "failed", "cancelled"]


class OperationError(Struct, frozen=True):
    code: str
    message: str
    is_yours: Annotated[bool, Meta(description="Whether the caller can correct it.")]


class Operation(Struct, frozen=True):
    """Long work that was started: how far it is, and what came of it."""

    id: str
    use_case: Annotated[str, Meta(description="What is done, such as `import_file`.")]
    status: OperationStatus
    started_at: datetime
    ended_at: datetime | None = None
    waits_for: Annotated[
        int, Meta(ge=0, description="How much other work on the events it waits for; 0 once it has begun.")
    ] = 0
    done: Annotated[int, Meta(ge=0, description="How much is done.")] = 0
    total: Annotated[int, Meta(ge=0, description="Of how much; 0 while that is not known.")] = 0
    result: Annotated[Any, Meta(description="The answer, once it succeeded.")] = None
    error: OperationError | None = None


class OperationId(Struct, frozen=True):
    id: Annotated[str, Meta(max_length=64)]


class ReadOperation(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(max_length=64)]
    locale: RequestedLocale = "en"


class CancelledError(UserError):
    """The work was cancelled by an authorised caller."""

    code = "cancelled"


class TooManyWatchersError(UserError):
    """As many watch operations already as may at once."""

    code = "busy"


class _Running:
    """One operation with what changes while it runs."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.thread: Thread | None = None
        self.failure: KeepersError | None = None
        self._ends_with: CancelledError | None = None
        self._lock = Lock()
        self._watchers: dict[object, Callable[[], None]] = {}

    def set(self, **values: Any) -> None:
        with self._lock:
            self.operation = msgspec.structs.replace(self.operation, **values)
            for notify in self._watchers.values():
                notify()

    def fail(self, status: Literal["cancelled", "failed"], error: KeepersError) -> None:
        self.failure = error
        wrong = OperationError(error.code, error.message, isinstance(error, UserError))
        self.set(status=status, ended_at=clock(), waits_for=0, error=wrong)

    def cancel(self, error: CancelledError) -> None:
        """Has it end with this error at its next step, or at once while it waits and is woken."""
        self._ends_with = error

    def progress(self, done: int, total: int) -> None:
        self._end_if_cancelled()
        self.set(done=done, total=max(done, total))

    def wait(self, ahead: int) -> None:
        self._end_if_cancelled()
        if ahead != self.operation.waits_for:
            self.set(waits_for=ahead)

    def _end_if_cancelled(self) -> None:
        if self._ends_with is not None:
            raise self._ends_with

    @contextmanager
    def watched(self, notify: Callable[[], None]) -> Iterator[None]:
        mark = object()
        with self._lock:
            self._watchers[mark] = notify
        try:
            yield
        finally:
            with self._lock:
                del self._watchers[mark]


class Operations:
    """The operations of one open workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._known: OrderedDict[str, _Running] = OrderedDict()
        self.watching = 0
        """how many follow an operation at present"""
        self.is_stopping = False

    def start(self, what: UseCase[Any, Any], actor: Actor, request: Struct) -> Operation:
        """Starts a use case in a thread of its own.

        Raises NotAllowedError at once for an actor who may not, and KeepersError (`stopped`) while the server stops.
        """
        actor.require(what.permission)
        running = _Running(Operation(secrets.token_urlsafe(12), what.name, "running", clock()))
        thread = Thread(target=self._run, args=(running, what, actor, request), name=what.name, daemon=True)
        with self._lock:
            if self.is_stopping:
                raise KeepersError(problem("The server is stopping. Try again when it is back."), code="stopped")
            running.thread = thread
            self._known[running.operation.id] = running
            ended = [i for i, one in self._known.items() if one.operation.status != "running"]
            for old in ended[: max(0, len(self._known) - _KEPT)]:
                del self._known[old]
            thread.start()
        return running.operation

    def ids(self) -> list[str]:
        """Of all operations that are remembered, the oldest first."""
        with self._lock:
            return list(self._known)

    def get(self, operation_id: str, locale: str = "en") -> Operation:
        """The operation, its error in a language. Raises NotFoundError."""
        running = self._find(operation_id)
        found, failure = running.operation, running.failure
        if found.error is None or failure is None:
            return found
        error = msgspec.structs.replace(found.error, message=error_text(failure, locale))
        return msgspec.structs.replace(found, error=error)

    def cancel(self, operation_id: str) -> Operation:
        """Ends it at its next step. Raises NotFoundError, and ConflictError for one that has ended."""
        running = self._find(operation_id)
        if running.operation.status != "running":
            raise ConflictError(problem("The operation has ended: {status}.", status=running.operation.status))
        running.cancel(CancelledError(problem("It was cancelled. What was committed is kept; run it again to go on.")))
        self._workspace.wake_waiting()
        return running.operation

    @contextmanager
    def watched(self, operation_id: str, notify: Callable[[], None]) -> Iterator[None]:
        """Calls `notify`, which must return at once, after each change of an operation for as long as the block lasts.

        Raises NotFoundError, and TooManyWatchersError when `MOST_WATCHERS` watch already.
        """
        running = self._find(operation_id)
        with self._lock:
            if self.watching >= MOST_WATCHERS:
                raise TooManyWatchersError(
                    problem(
                        "{number} clients watch operations already. Poll the operation itself instead.",
                        number=MOST_WATCHERS,
                    )
                )
            self.watching += 1
        try:
            with running.watched(notify):
                yield
        finally:
            with self._lock:
                self.watching -= 1

    def stop(self) -> None:
        """Has all that run end at their next step, and starts no more."""
        with self._lock:
            self.is_stopping = True
            running = list(self._known.values())
        for one in running:
            one.cancel(
                CancelledError(problem("The server stopped. What was committed is kept; run it again to go on."))
            )
        self._workspace.wake_waiting()

    def wait_ended(self, patience_s: float) -> bool:
        """Waits until all have ended, interrupting their queries; whether they have. Call `stop` before."""
        deadline = monotonic() + patience_s
        threads = [one.thread for one in list(self._known.values()) if one.thread is not None]
        for thread in threads:
            while thread.is_alive() and monotonic() < deadline:
                self._workspace.interrupt()
                thread.join(0.05)
        return not any(thread.is_alive() for thread in threads)

    def _find(self, operation_id: str) -> _Running:
        with self._lock:
            found = self._known.get(operation_id)
        if found is None:
            raise NotFoundError(
                problem(
                    "There is no operation “{id}”. They are kept until the server stops.",
                    id=operation_id,
                )
            )
        return found

    def _run(self, running: _Running, what: UseCase[Any, Any], actor: Actor, request: Struct) -> None:
        try:
            answer = what(self._workspace, actor, request, running.progress, running.wait)
        except CancelledError as error:
            running.fail("cancelled", error)
        except KeepersError as error:
            running.fail("failed", error)
        except Exception as error:
            log.error("%s failed: %s: %s", what.name, type(error).__name__, error, exc_info=error)
            message = problem("An unexpected error happened in Keepers. Details are in data/errors.log.")
            running.fail("failed", KeepersError(message))
        else:
            running.set(status="succeeded", ended_at=clock(), result=wire_format.plain(answer))


@use_case("GET /operations/{id}", permission="read", tag="operations", problems=(404,))
def read_operation(workspace: Workspace, actor: Actor, request: ReadOperation) -> Operation:
    """The progress of an operation, and its result."""
    return operations_of(workspace).get(request.id, request.locale)


@use_case(
    "POST /operations/{id}/cancel", permission="manage", tag="operations", problems=(404, 409), audit={"id": "target"}
)
def cancel_operation(workspace: Workspace, actor: Actor, request: OperationId) -> Operation:
    """Cancel long work

    It ends at its next step; what was committed is kept, and the same request again continues from there.
    """
    return operations_of(workspace).cancel(request.id)


def operations_of(workspace: Workspace) -> Operations:
    """The operations of an open workspace; made when first asked for."""
    return workspace.part(Operations)
