"""What every use case is: a function of (workspace, actor, request) with a permission, a lock and an address.

The command line and HTTP call use cases through this module; only here locks and permissions are enforced. What a lock
lets a use case write is said in `model/write_scope.py`, and the stores refuse the rest.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Struct

from keepers.app.use_cases.actor import Actor, NotAllowedError, Permission
from keepers.app.use_cases.audit_fields import Kept
from keepers.app.use_cases.auditing import audit_refusal, auditing
from keepers.app.use_cases.progress import Progress, no_progress
from keepers.app.workspace.fair_lock import OnWait, no_wait
from keepers.model.errors import UserError, problem
from keepers.model.write_scope import Lock, write_scope

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=Struct)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class NoRequest(Struct, frozen=True):
    """Stands for a request that was refused before it was read."""


@dataclass(frozen=True)
class Route:
    """Where HTTP has a use case: in the management API, such as `GET /profiles/{id}`, or for those of `app/public`
    behind the public address, such as `POST /v1/subscribe`.

    Fields of the request that the path names are taken from there; the others are query parameters of GET and DELETE,
    and the JSON body of POST and PUT. Where `body` names a field, its value is the whole body, and the others are
    query parameters.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    is_local: bool = False
    """only for commands on the same machine: the request names files of that machine"""
    body: str = ""

    is_upload: bool = False
    """the body is a file: a handler of its own takes it in, and gives the use case where it lies"""

    @property
    def in_path(self) -> tuple[str, ...]:
        return tuple(_PLACEHOLDER.findall(self.path))

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT")


@dataclass(frozen=True)
class UseCase(Generic[Q, A]):
    """Call it as `use_case(workspace, actor, request)`. `problems` are the HTTP statuses of errors it may raise."""

    function: Callable[..., A]
    permission: Permission
    lock: Lock
    route: Route
    tag: str
    problems: tuple[int, ...]
    is_long: bool
    audit: Mapping[str, Kept]
    """what the audit log keeps of the request's fields"""
    reads_audit: bool
    """reads the audit log itself, which is recorded nowhere"""

    def __call__(
        self,
        workspace: Workspace,
        actor: Actor,
        request: Q,
        progress: Progress = no_progress,
        on_wait: OnWait = no_wait,
    ) -> A:
        """`on_wait` is called with how much other work has to end before this, where it is declared sequenced.

        Raises KeepersError: of the use case, of an actor who may not, and of a NUL character.
        Raises WriteScopeError when it writes what its lock does not cover.
        """
        self.require(workspace, actor, request)
        request = _checked(request)
        arguments = (workspace, actor, request, progress) if self.is_long else (workspace, actor, request)
        with workspace.outages_named():
            audit = auditing(workspace, actor, self, request) if self.is_audited else nullcontext()
            with audit, workspace.interruptible(), self._holding_lock(workspace, on_wait):
                answer = self.function(*arguments)
        if self.changes:
            workspace.wake()
        return answer

    def require(self, workspace: Workspace, actor: Actor, request: Struct | None = None) -> None:
        """Raises NotAllowedError for an actor who may not, and audits that: of keys whatever they tried."""
        try:
            actor.require(self.permission)
        except NotAllowedError:
            if self.is_audited or actor.kind == "key":
                audit_refusal(workspace, actor, self, request or NoRequest())
            raise

    def _holding_lock(self, workspace: Workspace, on_wait: OnWait) -> AbstractContextManager[object]:
        if self.lock == "sequenced":
            return workspace.sequencing(f"keepers {self.name}", on_wait)
        stack = ExitStack()
        stack.enter_context(write_scope(self.lock, self.name))
        stack.enter_context(workspace.warehouse_gate.inside())
        return stack

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def changes(self) -> bool:
        """Whether it may change data, as its lock says. Other calls do not wake the ticker: anyone may open a public
        page as often as they like."""
        return self.lock != "free"

    @property
    def is_audited(self) -> bool:
        """Whether its calls are recorded in the audit log: what changes something or hands data or secrets out, but not
        what visitors do."""
        return self.permission in ("send", "manage") and not self.reads_audit

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function)

    @property
    def request(self) -> type[Q]:
        found: type[Q] = self._hints[list(inspect.signature(self.function).parameters)[2]]
        return found

    @property
    def response(self) -> type[A]:
        found: type[A] = self._hints["return"]
        return found

    @property
    def summary(self) -> str:
        return _paragraphs(self.function)[0].rstrip(".")

    @property
    def description(self) -> str:
        return "\n\n".join(_paragraphs(self.function)[1:])


def use_case(
    route: str,
    *,
    permission: Permission,
    lock: Lock = "free",
    tag: str = "",
    problems: tuple[int, ...] = (),
    is_long: bool = False,
    is_local: bool = False,
    is_upload: bool = False,
    body: str = "",
    audit: Mapping[str, Kept] | None = None,
    reads_audit: bool = False,
) -> Callable[[Callable[..., A]], UseCase[Any, A]]:
    """Declares a use case. A long one takes a progress callback as its fourth argument.

    `route` is its address in the management API, `tag` the group it is listed in, by default the path's first part,
    `body` the field of the request that is the whole body. `audit` says what the audit log keeps of the fields that may
    hold a text (`audit_fields.py`).
    """
    method, _, path = route.partition(" ")
    assert method in ("GET", "POST", "PUT", "DELETE"), route
    place = Route(method, path, is_local, body, is_upload)  # type: ignore[arg-type]

    def declared(function: Callable[..., A]) -> UseCase[Any, A]:
        group = tag or path.strip("/").partition("/")[0]
        return UseCase(function, permission, lock, place, group, problems, is_long, audit or {}, reads_audit)

    return declared


def _paragraphs(function: Callable[..., Any]) -> list[str]:
    text = inspect.cleandoc(function.__doc__ or function.__name__)
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _checked(request: Q) -> Q:
    """Validates the request against its type, also where it was made in code.

    Raises UserError naming the field. PostgreSQL takes no NUL character in a text, and no name or text has one.
    """
    try:
        plain = msgspec.to_builtins(request, builtin_types=(bytes,))
        found = msgspec.convert(plain, type(request), builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise UserError(problem("This cannot be used: {error}.", error=error), code="invalid") from None
    for field in found.__struct_fields__:
        if _holds_nul(getattr(found, field)):
            raise UserError(
                problem("“{field}” holds a NUL character, which no name or text has.", field=field),
                code="body",
                field=field,
            )
    return found


def _holds_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case list() | tuple():
            return any(map(_holds_nul, value))
        case dict():
            return any(_holds_nul(k) or _holds_nul(v) for k, v in value.items())
        case Struct():
            return any(_holds_nul(getattr(value, name)) for name in value.__struct_fields__)
        case _:
            return False
