"""Access to a customer's inbox from a site or app: by a signature made by the business, or by its server's key.

A signature (see `model/identity.py`) is made where the business knows who is logged in, from a server key it
already has. It is sent as `signature`, with `expires` where one was signed. A server may send the server key itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TypeAlias

from keepers.app.access.key_ring import actor_of_key, require_usable
from keepers.app.public.identify_visitor import check_identifier
from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import UserError, problem
from keepers.model.identity import UserSignature, is_signable, sign
from keepers.store import keys
from keepers.store.key_kinds import SENDER_KINDS, SERVER_KINDS
from keepers.store.keys import Key
from keepers.store.schema.core import EPOCH

SentKey: TypeAlias = Key | None
"""the key that a call of a site or app brought; None for none"""
SIGNED = Actor("visitor", "a signed user id", COLLECT, is_proven=True)


class UnprovenError(UserError):
    """The caller sent no proof of identity, or an expired one."""

    code = "unauthorized"


class WrongProofError(UserError):
    """The proof is of another user."""

    code = "wrong_key"


def signature_of(server_key: str, user_id: str, expires: int | None = None) -> str:
    """The signature a business makes for one of its users."""
    return sign(sha256(server_key.encode()).digest(), user_id, expires)


def check_visitor(
    workspace: Workspace, key: SentKey, user_id: str, signature: str | None, expires: int | None
) -> Actor:
    """The customer, or the business's server; `key` is the one that was sent, if any.

    Raises UnprovenError without proof, WrongProofError for a wrong one, UserError for an impossible user id.
    """
    check_identifier(user_id)
    if not is_signable(user_id):
        raise UserError(problem("A user id of one line is needed."), code="body")
    if signature:
        now_s = (workspace.clock() - EPOCH).total_seconds()
        sent = UserSignature(signature, expires)
        if sent.has_expired(now_s):
            raise UnprovenError(problem("This signature has expired. Sign the user id again."))
        with workspace.store.read() as connection:
            digests = keys.server_digests(connection, workspace.clock())
        if not sent.proves(digests, user_id, now_s):
            raise WrongProofError(
                problem("The signature is not one of this user id by a server key of this workspace.")
            )
        return SIGNED
    if key is None:
        raise UnprovenError(problem("Send `signature` for this user id, or authenticate with a server key."))
    return actor_of_key(require_usable(key, workspace.clock(), SERVER_KINDS))


def require_collect_key(key: SentKey) -> Actor:
    """Whose key a site or app sent. Raises UnprovenError without one."""
    if key is None:
        raise UnprovenError(problem("Send a write key, as `writeKey` or by Basic authentication."))
    return actor_of_key(key)


def sent_key(workspace: Workspace, token: str, origin: str) -> SentKey:
    """The key that a site or app sent; None without any. Blocks.

    `origin` is that of the page that sent it, empty where no page did. Raises KeyRefusedError.
    """
    if not token:
        return None
    now = workspace.clock()
    workspace.key_ring.refresh(now)
    return workspace.key_ring.admit(token, now, SENDER_KINDS, origin)
