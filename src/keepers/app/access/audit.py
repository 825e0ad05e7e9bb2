"""The audit log, to read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Cursor, Limit, Next
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.moments import parse_instant
from keepers.store import audit_log


class ReadAudit(Struct, frozen=True, kw_only=True):
    actor: Annotated[str, Meta(description="Only what this key did, by its id or name.", max_length=200)] | None = None
    use_case: Annotated[str, Meta(description="Only this, such as `create_key`.", max_length=100)] | None = None
    since: Annotated[str, Meta(description="Not before this moment, ISO 8601.", max_length=64)] | None = None
    until: Annotated[str, Meta(description="Before this moment, ISO 8601.", max_length=64)] | None = None
    limit: Limit = 50
    cursor: Cursor = None


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One call that changed something, or handed data or secrets out."""

    number: int
    at: datetime
    actor_kind: Annotated[
        str,
        Meta(
            description="`command`: on the server's own machine. `key`: by a secret key. `visitor`: by a link or a "
            "session of the status page, or by a key that does not sign in."
        ),
    ]
    actor: Annotated[str, Meta(description="The key's name.")]
    actor_id: Annotated[str, Meta(description="The key's id.")]
    use_case: Annotated[
        str, Meta(description="Such as `create_key`; or `sign_in` and `sign_out`, to and from the status page.")
    ]
    target: Annotated[str, Meta(description="Ids of what it was about.")]
    profile: Annotated[str | None, Meta(description="The customer it was about: `#` and their number, until erased.")]
    outcome: Annotated[
        str, Meta(description="`done`, `refused`, `failed: …` with the error's code, or `begun` where it never ended.")
    ]
    request: Annotated[dict[str, Any], Meta(description="Its parameters; `…` for secrets and personal content.")]


class AuditPage(Struct, frozen=True):
    items: list[AuditEntry]
    next: Next


@use_case("GET /audit", permission="manage", problems=(422,), reads_audit=True)
def read_audit(workspace: Workspace, actor: Actor, request: ReadAudit) -> AuditPage:
    """Who changed what

    Every call that changed something or handed data or secrets out, by keys and by commands, what keys were refused for
    lack of a scope, and who signed in to the status page, latest first. What visitors do is not in it. It is kept for
    `audit.keep_days` of the settings.
    """
    since, until = (None if t is None else parse_instant(t, workspace.zone) for t in (request.since, request.until))
    listing = ("audit", request.actor, request.use_case, request.since, request.until)
    before = None if request.cursor is None else unseal(workspace.cursor_secret, listing, request.cursor)[0]
    query = audit_log.rows(
        actor=request.actor, use_case=request.use_case, since=since, until=until, before=before
    ).limit(request.limit + 1)
    with workspace.store.read() as connection:
        found = [_entry(row) for row in connection.execute(query)]
    items = found[: request.limit]
    is_more = len(found) > request.limit
    return AuditPage(items, seal(workspace.cursor_secret, listing, [items[-1].number]) if is_more else None)


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        number=row.id,
        at=row.at,
        actor_kind=row.actor_kind,
        actor=row.actor,
        actor_id=row.actor_id,
        use_case=row.use_case,
        target=row.target,
        profile=None if row.profile_id is None else f"#{row.profile_id}",
        outcome=row.outcome,
        request=msgspec.json.decode(row.request),
    )
