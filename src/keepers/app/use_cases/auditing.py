"""Writes the audit log around the calls of use cases: a row before anything is changed, its outcome afterwards.

So a process that is killed in between leaves a row that says `begun`, and where no row can be written nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from keepers.app.use_cases.actor import Actor, NotAllowedError
from keepers.app.use_cases.audit_fields import AuditedRequest, audited
from keepers.model.errors import KeepersError, NotFoundError
from keepers.model.write_scope import apart
from keepers.store import audit_log
from keepers.store.audit_log import BEGUN, DONE, REFUSED, AuditRow
from keepers.store.journeys import runs

if TYPE_CHECKING:
    from keepers.app.use_cases.use_case import UseCase
    from keepers.app.workspace.workspace import Workspace


@contextmanager
def auditing(workspace: Workspace, actor: Actor, use_case: UseCase[Any, Any], request: Struct) -> Iterator[None]:
    """Audits the block. Raises what the block raises."""
    number = _add(workspace, actor, use_case, request, BEGUN)
    try:
        yield
    except BaseException as error:
        _end(workspace, number, _outcome(error))
        raise
    _end(workspace, number, DONE)


def audit_refusal(workspace: Workspace, actor: Actor, use_case: UseCase[Any, Any], request: Struct) -> None:
    """Audits a call of somebody who may not."""
    _add(workspace, actor, use_case, request, REFUSED)


def _outcome(error: BaseException) -> str:
    if isinstance(error, NotAllowedError):
        return REFUSED
    return f"failed: {error.code if isinstance(error, KeepersError) else 'internal'}"


def audit_event(workspace: Workspace, actor: Actor, name: str, outcome: str, target: str = "") -> None:
    """Audits what is no call of a use case, such as signing in."""
    _write(workspace, actor, name, outcome, AuditedRequest(target, "", None, {}))


def _add(workspace: Workspace, actor: Actor, use_case: UseCase[Any, Any], request: Struct, outcome: str) -> int:
    return _write(workspace, actor, use_case.name, outcome, audited(request, use_case.audit))


def _write(workspace: Workspace, actor: Actor, name: str, outcome: str, kept: AuditedRequest) -> int:
    values = msgspec.json.encode(kept.values).decode()
    profile_id = _profile_id(workspace, kept)
    row = AuditRow(workspace.clock(), actor.kind, actor.name, actor.id, name, kept.target, profile_id, outcome, values)
    with apart(), workspace.store.begin() as connection:
        return audit_log.add(connection, row)


def _end(workspace: Workspace, number: int, outcome: str) -> None:
    with apart(), workspace.store.begin() as connection:
        audit_log.end(connection, number, outcome)


def _profile_id(workspace: Workspace, kept: AuditedRequest) -> int | None:
    """The customer's number; None for nobody, or for somebody who is not known: then nothing is kept of the name."""
    try:
        if kept.run is not None:
            with workspace.store.read() as connection:
                return runs.get(connection, kept.run).profile_id
        with workspace.warehouse_gate.inside():
            return workspace.find_profile(kept.profile) if kept.profile else None
    except NotFoundError:
        return None
