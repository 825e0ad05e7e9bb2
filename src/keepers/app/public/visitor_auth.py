"""Access to a customer's inbox from a site or app: by a signature made by the business, or by its server's key.

A signature (see `model/identity.py`) is made where the business knows who is logged in, from a server key it
already has. It is sent as `signature`, with `expires` where one was signed. A server may send the server key itself.
"""

from __future__ import annotations

from hashlib import sha256

from keepers.app.operations.keys import require_origin, why_ended
from keepers.app.public.identify_visitor import check_identifier
from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import UserError, problem
from keepers.model.identity import UserSignature, sign
from keepers.store import keys
from keepers.store.keys import Key
from keepers.store.schema.core import EPOCH

SIGNED = Actor("visitor", "a signed user id", COLLECT, is_proven=True)


class UnprovenError(UserError):
    """The caller sent no proof of identity, or an expired one."""

    code = "unauthorized"


class WrongProofError(UserError):
    """The proof is of another user, or the key of another kind."""

    code = "wrong_key"


def signature_of(server_key: str, user_id: str, expires: int | None = None) -> str:
    """The signature a business makes for one of its users."""
    return sign(sha256(server_key.encode()).digest(), user_id, expires)


def check_visitor(workspace: Workspace, token: str, user_id: str, signature: str | None, expires: int | None) -> Actor:
    """The customer, or the business's server; `token` is the key that was sent, if any.

    Raises UnprovenError without proof, WrongProofError for a wrong one, UserError for an impossible user id.
    """
    check_identifier(user_id)
    if "\n" in user_id:
        # With a line break the signed text would equal that of an id with an expiry.
        raise UserError(problem("A user id of one line is needed."), code="body")
    if signature:
        now_s = (workspace.clock() - EPOCH).total_seconds()
        if expires is not None and expires < now_s:
            raise UnprovenError(problem("This signature has expired. Sign the user id again."))
        with workspace.store.read() as connection:
            digests = keys.server_digests(connection, workspace.clock())
        if not UserSignature(signature, expires).proves(digests, user_id, now_s):
            raise WrongProofError(
                problem("The signature is not one of this user id by a server key of this workspace.")
            )
        return SIGNED
    key = key_of(workspace, token)
    if key is None:
        raise UnprovenError(problem("Send `signature` for this user id, or authenticate with a server key."))
    if key.kind != "server":
        raise WrongProofError(problem("This is a {kind} key; a server key is needed here.", kind=key.kind))
    return actor_of(key)


def actor_of(key: Key) -> Actor:
    """Who calls with a write or server key: a visitor, or the business's server."""
    is_server = key.kind == "server"
    return Actor("key" if is_server else "visitor", key.name, COLLECT, is_proven=is_server)


def require_collect_key(workspace: Workspace, token: str) -> Actor:
    """Whose key a site or app sent. Blocks.

    Raises UnprovenError without one, WrongProofError for a management key.
    """
    key = key_of(workspace, token)
    if key is None:
        raise UnprovenError(problem("Send a write key, as `writeKey` or by Basic authentication."))
    if key.kind == "secret":
        raise WrongProofError(problem("A management key may not be used in browsers. Use a write key."))
    return actor_of(key)


def check_origin(workspace: Workspace, token: str, origin: str) -> tuple[str, ...]:
    """The origins that the key of a token is for: none for any, and for no or an unknown key.

    `origin` is that of the page that sent it, empty where no page did. Raises OriginRefusedError. Blocks.
    """
    if not token:
        return ()
    now = workspace.clock()
    if workspace.key_ring.is_stale(now):
        workspace.key_ring.refresh(now)
    key = workspace.key_ring.find(token)
    if key is None:
        return ()
    require_origin(key, origin)
    return key.origins


def key_of(workspace: Workspace, token: str) -> Key | None:
    """The key of a token; None without any. Blocks.

    Raises UnprovenError for an unknown key, WrongProofError for a revoked one.
    """
    if not token:
        return None
    now = workspace.clock()
    if workspace.key_ring.is_stale(now):
        workspace.key_ring.refresh(now)
    key = workspace.key_ring.find(token)
    if key is None:
        raise UnprovenError(problem("This key is unknown."))
    if key.has_ended(now):
        raise WrongProofError(why_ended(key))
    workspace.key_ring.note_use(key, now)
    return key
