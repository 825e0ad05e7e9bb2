"""API keys: create, list, revoke."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import UserError
from keepers.model.moments import parse_duration, parse_instant
from keepers.store import keys
from keepers.store.key_kinds import KeyKind, Scope


class ListKeys(Struct, frozen=True, kw_only=True):
    """No parameters."""


class CreateKey(Struct, frozen=True, kw_only=True):
    kind: Annotated[
        str,
        Meta(
            description="`write` (public, for browsers), `server` (trusted to write) or `secret` (management).",
            pattern="^(write|server|secret)$",
        ),
    ]
    name: Annotated[str, Meta(description="What it is for; its kind when left out.", max_length=200)] = ""
    token: Annotated[str, Meta(description="A token of your own instead of a random one.", max_length=500)] | None = (
        None
    )
    expires: (
        Annotated[
            str,
            Meta(
                description="When it ends: a duration such as 90d, or an ISO moment. Never when left out.",
                max_length=64,
            ),
        ]
        | None
    ) = None
    scopes: Annotated[
        list[Scope],
        Meta(
            description="What a secret key may do, of `read`, `send` and `manage`: all when left out. Write and server "
            "keys may `collect`. A key cannot make one that may more than itself."
        ),
    ] = field(default_factory=list)
    origins: Annotated[
        list[Annotated[str, Meta(max_length=300)]],
        Meta(
            description="Sites whose pages may use a write key, such as https://shop.example or "
            "https://*.shop.example: any when left out.",
            max_length=100,
        ),
    ] = field(default_factory=list)


class RevokeKey(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The key's id, as the list shows it.", max_length=64)]


class KeySummary(Struct, frozen=True):
    """A key without its token."""

    id: str
    name: str
    kind: KeyKind
    created_at: datetime
    revoked_at: datetime | None
    expires_at: Annotated[datetime | None, Meta(description="When it ends by itself; null for never.")]
    last_used_at: Annotated[
        datetime | None, Meta(description="When it was last used, to about a minute; null for never yet.")
    ]
    scopes: Annotated[list[Scope], Meta(description="What it may do.")]
    origins: Annotated[list[str], Meta(description="Sites whose pages may use a write key; none for any.")]


class KeyList(Struct, frozen=True):
    items: list[KeySummary]


class CreatedKey(Struct, frozen=True):
    id: str
    kind: KeyKind
    name: str
    token: Annotated[str, Meta(description="Shown this once: it cannot be read again.")]
    expires_at: Annotated[datetime | None, Meta(description="When it ends by itself; null for never.")]
    scopes: Annotated[list[Scope], Meta(description="What it may do.")]
    origins: Annotated[list[str], Meta(description="Sites whose pages may use a write key; none for any.")]


class RevokedKey(Struct, frozen=True):
    revoked: Annotated[str, Meta(description="The key's id.")]


@use_case("GET /keys", permission="read", lock="free")
def list_keys(workspace: Workspace, actor: Actor, request: ListKeys) -> KeyList:
    """Every key, without its token"""
    with workspace.store.read() as connection:
        found = keys.read_all(connection)
    return KeyList(
        [
            KeySummary(
                k.id, k.name, k.kind, k.created_at, k.revoked_at, k.expires_at, k.last_used_at,
                list(k.scopes), list(k.origins),
            )
            for k in found
        ]
    )  # fmt: skip


@use_case(
    "POST /keys",
    permission="manage",
    lock="locked",
    problems=(409, 422),
    audit={"kind": "plain", "name": "plain", "token": "hidden", "expires": "plain", "origins": "plain"},
)
def create_key(workspace: Workspace, actor: Actor, request: CreateKey) -> CreatedKey:
    """Make a key

    Its token is shown this once. Bring a token of your own to keep a write key that is already built into apps.
    """
    kind: KeyKind = request.kind  # type: ignore[assignment]
    now = workspace.clock()
    with workspace.store.begin() as connection:
        key, token = keys.create(
            connection, kind, request.name or kind, now, request.token,
            expires_at=_expiry(workspace, request.expires, now), scopes=request.scopes, origins=request.origins,
        )  # fmt: skip
        for scope in set(key.scopes) - COLLECT:
            actor.require(scope)
    workspace.key_ring.forget_copy()
    return CreatedKey(key.id, key.kind, key.name, token, key.expires_at, list(key.scopes), list(key.origins))


def _expiry(workspace: Workspace, text: str | None, now: datetime) -> datetime | None:
    """Raises UserError for what is neither a duration nor a moment."""
    if text is None:
        return None
    try:
        return now + parse_duration(text)
    except UserError:
        return parse_instant(text, workspace.zone)


@use_case("POST /keys/{id}/revoke", permission="manage", lock="locked", problems=(404,), audit={"id": "target"})
def revoke_key(workspace: Workspace, actor: Actor, request: RevokeKey) -> RevokedKey:
    """Revoke a key

    The server notices at once, others within seconds. It stays in the list.
    """
    with workspace.store.begin() as connection:
        keys.revoke(connection, request.id, workspace.clock())
    workspace.key_ring.forget_copy()
    return RevokedKey(request.id)
