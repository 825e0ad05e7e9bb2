"""Who may see the status page and the metrics: links that sign in once, and signed sessions."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import ConflictError, problem
from keepers.store.keys import Key
from keepers.store.schema.core import EPOCH

LINK_LASTS = timedelta(hours=1)
SESSION_LASTS = timedelta(hours=12)
_MOST_LINKS = 100
_LONGEST_COOKIE = 500
_PURPOSE = b"session of the status page"


class MakePageLink(Struct, frozen=True, kw_only=True):
    """No parameters."""


class StatusPageLink(Struct, frozen=True):
    url: Annotated[str, Meta(description="Signs in to the status page, once.")]
    expires_at: datetime


class _Session(Struct, frozen=True, array_like=True):
    expires: int
    """Unix seconds"""
    key_id: str
    """the key it was begun with; empty for a link"""


class PageAccess:
    """Links that sign in, each once, known to this process alone; sessions, which outlive a restart.

    Threads may share it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._secret = hmac.digest(workspace.secret, _PURPOSE, sha256)
        self._lock = Lock()
        self._links: dict[bytes, datetime] = {}

    def make_link(self, now: datetime) -> str:
        """The token of a new link. Of more than a hundred unused ones the oldest ends."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links = {link: end for link, end in self._links.items() if end > now}
            while len(self._links) >= _MOST_LINKS:
                del self._links[next(iter(self._links))]
            self._links[_digest(token)] = now + LINK_LASTS
        return token

    def redeem(self, token: str, now: datetime) -> bool:
        """Whether a link may sign in; it never may again."""
        with self._lock:
            end = self._links.pop(_digest(token), None)
        return end is not None and end > now

    def begin_session(self, now: datetime, key: Key | None = None) -> str:
        """The cookie of a new session, of whoever has a key or came by a link."""
        expires = int((now + SESSION_LASTS - EPOCH).total_seconds())
        content = msgspec.json.encode(_Session(expires, key.id if key is not None else ""))
        return urlsafe_b64encode(hmac.digest(self._secret, content, sha256) + content).decode().rstrip("=")

    def is_session(self, cookie: str, now: datetime) -> bool:
        """Whether a cookie is of a session that lasts: one begun with a key ends with the key. Blocks."""
        if not cookie or len(cookie) > _LONGEST_COOKIE or not cookie.isascii():
            return False
        try:
            raw = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            tag, content = raw[:32], raw[32:]
            if not hmac.compare_digest(tag, hmac.digest(self._secret, content, sha256)):
                return False
            session = msgspec.json.decode(content, type=_Session)
        except (ValueError, msgspec.DecodeError):
            return False
        if session.expires <= (now - EPOCH).total_seconds():
            return False
        return not session.key_id or self._may_read(session.key_id, now)

    def key_of(self, token: str, now: datetime) -> Key | None:
        """The key of a token where it may read; else None. Blocks."""
        ring = self._workspace.key_ring
        ring.refresh(now)
        key = ring.find(token) if token else None
        if key is None or key.has_ended(now) or "read" not in key.scopes:
            return None
        ring.note_use(key, now)
        return key

    def _may_read(self, key_id: str, now: datetime) -> bool:
        ring = self._workspace.key_ring
        ring.refresh(now)
        key = ring.find_by_id(key_id)
        return key is not None and not key.has_ended(now) and "read" in key.scopes


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


def page_link(workspace: Workspace) -> StatusPageLink:
    """A link to the status page that signs in once, for whoever may read this process's terminal."""
    now = workspace.clock()
    token = workspace.part(PageAccess).make_link(now)
    return StatusPageLink(f"{workspace.listening_at}/login?token={token}", now + LINK_LASTS)


@use_case("POST /status-links", permission="read", tag="health", problems=(409,), is_local=True)
def make_page_link(workspace: Workspace, actor: Actor, request: MakePageLink) -> StatusPageLink:
    """A link that signs in to the status page

    It works once, within an hour, in the server that made it.
    """
    if not workspace.listening_at:
        raise ConflictError(problem("No server has this workspace open. Start one with `keepers serve`."))
    return page_link(workspace)
