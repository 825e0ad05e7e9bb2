"""Who may see the status page and the metrics: links that sign in once, sessions, and keys."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.access.key_ring import KeyRefusedError, actor_of_key, require_usable
from keepers.app.public.rate_limit import Allowance, NetworkAllowance, TooManyError
from keepers.app.use_cases.actor import Actor, NotAllowedError
from keepers.app.use_cases.auditing import audit_event
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import ConflictError, problem
from keepers.store import keys, page_sessions
from keepers.store.audit_log import DONE, REFUSED
from keepers.store.key_kinds import SECRET_KINDS
from keepers.store.keys import Key
from keepers.store.page_sessions import PageSession

LINK_LASTS = timedelta(hours=1)
SESSION_LASTS = timedelta(hours=12)
_MOST_LINKS = 100
_LONGEST_COOKIE = 100
REFUSALS_OF_NETWORK = 20
"""refused sign-ins of one network a minute; past it they are answered 429"""
_MOST_REFUSALS = 1000
"""refused sign-ins that are audited, an hour: anybody may try"""
SESSION = Actor("visitor", "a session of the status page", frozenset({"read"}), is_proven=False)
BY_LINK = Actor("visitor", "a link that signs in", frozenset({"read"}), is_proven=False)
BY_UNKNOWN_KEY = Actor("visitor", "a key that does not sign in", frozenset(), is_proven=False)


class MakePageLink(Struct, frozen=True, kw_only=True):
    """No parameters."""


class StatusPageLink(Struct, frozen=True):
    url: Annotated[str, Meta(description="Signs in to the status page, once.")]
    expires_at: datetime


class PageAccess:
    """Links that sign in, each once, known to this process alone; sessions, which outlive a restart.

    Threads may share it. What signs in, is refused or signs out is audited; see `_MOST_REFUSALS` for the bound.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._links: dict[bytes, datetime] = {}
        self._refusals = NetworkAllowance(REFUSALS_OF_NETWORK, timedelta(minutes=1))
        self._audited_refusals = Allowance(_MOST_REFUSALS, timedelta(hours=1))

    def make_link(self, now: datetime) -> str:
        """The token of a new link. Of more than a hundred unused ones the oldest ends."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links = {link: end for link, end in self._links.items() if end > now}
            while len(self._links) >= _MOST_LINKS:
                del self._links[next(iter(self._links))]
            self._links[_digest(token)] = now + LINK_LASTS
        return token

    def sign_in_by_link(self, token: str, address: str, now: datetime) -> str | None:
        """The cookie of a new session; None for a link that is used, late or unknown. Blocks.

        Raises TooManyError for a network with too many refused ones; so does `sign_in_by_key`.
        """
        with self._lock:
            end = self._links.pop(_digest(token), None)
        if end is None or end <= now:
            self._refuse(BY_LINK, address, now)
            return None
        return self._begin(BY_LINK, now)

    def sign_in_by_key(self, token: str, address: str, now: datetime) -> str | None:
        """The cookie of a new session; None for a key that may not read. Blocks."""
        try:
            reader = self._actor_of(token, now)
        except KeyRefusedError:
            self._refuse(BY_UNKNOWN_KEY, address, now)
            return None
        if "read" not in reader.permissions:
            self._refuse(reader, address, now)
            return None
        return self._begin(reader, now)

    def reader(self, token: str, what: str, now: datetime) -> Actor:
        """Whoever brings a key that may read; `what` names to the audit log what is read. Blocks.

        Raises KeyRefusedError, and NotAllowedError, which is audited.
        """
        reader = self._actor_of(token, now)
        try:
            reader.require("read")
        except NotAllowedError:
            audit_event(self._workspace, reader, what, REFUSED)
            raise
        return reader

    def is_session(self, cookie: str, now: datetime) -> bool:
        """Whether a cookie is of a session that lasts: one begun with a key ends with the key. Blocks."""
        if not cookie or len(cookie) > _LONGEST_COOKIE:
            return False
        with self._workspace.store.read() as connection:
            session = page_sessions.find(connection, _digest(cookie))
            if session is None or session.expires_at <= now:
                return False
            return session.key_id is None or _may_read(keys.read_one(connection, session.key_id), now)

    def sign_out(self, cookie: str, now: datetime) -> None:
        """Ends a session at once, wherever its cookie has got to. Blocks."""
        if not self.is_session(cookie, now):
            return
        with self._workspace.store.read() as connection:
            session = page_sessions.find(connection, _digest(cookie))
            key = None if session is None or session.key_id is None else keys.read_one(connection, session.key_id)
        audit_event(self._workspace, SESSION if key is None else actor_of_key(key), "sign_out", DONE)
        with self._workspace.store.begin() as connection:
            page_sessions.end(connection, _digest(cookie))

    def _actor_of(self, token: str, now: datetime) -> Actor:
        ring = self._workspace.key_ring
        ring.refresh(now)
        return actor_of_key(ring.admit_secret(token, now))

    def _begin(self, who: Actor, now: datetime) -> str:
        token = secrets.token_urlsafe(32)
        audit_event(self._workspace, who, "sign_in", DONE)
        with self._workspace.store.begin() as connection:
            session = PageSession(_digest(token), who.id or None, now + SESSION_LASTS)
            page_sessions.begin(connection, session, now)
        return token

    def _refuse(self, who: Actor, address: str, now: datetime) -> None:
        wait = self._refusals.spend(address, now)
        if wait is not None:
            raise TooManyError(problem("Too many refused sign-ins from this network. Try again in a moment."), wait)
        if self._audited_refusals.spend("", now) is None:
            audit_event(self._workspace, who, "sign_in", REFUSED)


def _may_read(key: Key | None, now: datetime) -> bool:
    try:
        return "read" in require_usable(key, now, SECRET_KINDS).scopes
    except KeyRefusedError:
        return False


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def page_link(workspace: Workspace) -> StatusPageLink:
    """A link to the status page that signs in once, for whoever may read this process's terminal."""
    now = workspace.clock()
    token = workspace.part(PageAccess).make_link(now)
    return StatusPageLink(f"{workspace.listening_at}/login?token={token}", now + LINK_LASTS)


@use_case("POST /status-links", permission="manage", tag="health", problems=(409,), is_local=True)
def make_page_link(workspace: Workspace, actor: Actor, request: MakePageLink) -> StatusPageLink:
    """A link that signs in to the status page

    It works once, within an hour, in the server that made it.
    """
    if not workspace.listening_at:
        raise ConflictError(problem("No server has this workspace open. Start one with `keepers serve`."))
    return page_link(workspace)
