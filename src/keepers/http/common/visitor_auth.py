from __future__ import annotations

import hmac
from hashlib import sha256

from litestar.exceptions import HTTPException

from keepers.app.public.desk import PublicWorkspace
from keepers.app.public.identify_visitor import check_identifier
from keepers.http.common.auth import Connection, _token
from keepers.store import keys
from keepers.store.keys import Key
from keepers.store.schema.core import EPOCH


def signature_of(server_key: str, user_id: str, expires: int | None = None) -> str:
    """The signature a business makes for one of its users."""
    return _signed(sha256(server_key.encode()).digest(), user_id, expires)


def check_visitor(
    desk: PublicWorkspace, connection: Connection, user_id: str, signature: str | None, expires: int | None
) -> None:
    """Lets the customer or the business's server pass. Raises HTTPException: 401 without proof, 403 for a wrong one."""
    check_identifier(user_id)
    if "\n" in user_id:
        # It would read like an id with an expiry behind it.
        raise HTTPException("A user id of one line is needed.", status_code=400)
    now = desk.clock()
    if signature:
        if expires is not None and expires < (now - EPOCH).total_seconds():
            raise HTTPException("This signature has expired. Sign the user id again.", status_code=401)
        if not _is_signed(_server_keys(desk), user_id, signature, expires):
            raise HTTPException(
                "The signature is not one of this user id by a server key of this workspace.", status_code=403
            )
        return
    key = key_of(desk, connection, "")
    if key is None:
        raise HTTPException("Send `signature` for this user id, or authenticate with a server key.", status_code=401)
    if key.kind != "server":
        raise HTTPException(f"This is a {key.kind} key; a server key is needed here.", status_code=403)


def key_of(desk: PublicWorkspace, connection: Connection, sent: str) -> Key | None:
    """The key a request brings (Basic user name, bearer token, or `sent` in its body); None without any.

    Blocks. Raises HTTPException: 401 for an unknown key, 403 for a revoked one.
    """
    token = _token(connection.headers.get("authorization", "")) or sent
    if not token:
        return None
    now = desk.clock()
    if desk.keys.is_stale(now):
        desk.keys.refresh(now)
    key = desk.keys.find(token)
    if key is None:
        raise HTTPException("This key is unknown.", status_code=401)
    if key.revoked_at is not None:
        raise HTTPException("This key was revoked. Use one that is not.", status_code=403)
    return key


def _server_keys(desk: PublicWorkspace) -> list[bytes]:
    with desk.store.read() as connection:
        return [key.hash for key in keys.read_all(connection) if key.kind == "server" and key.revoked_at is None]


def _is_signed(hashes: list[bytes], user_id: str, signature: str, expires: int | None) -> bool:
    sent = signature.lower().encode("utf-8", "replace")
    return any(hmac.compare_digest(sent, _signed(one, user_id, expires).encode()) for one in hashes)


def _signed(digest: bytes, user_id: str, expires: int | None) -> str:
    message = user_id if expires is None else f"{user_id}\n{expires}"
    return hmac.new(digest, message.encode("utf-8", "replace"), sha256).hexdigest()
