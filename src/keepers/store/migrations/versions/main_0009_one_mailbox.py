"""Hashes of e-mail addresses are of one form of them: those of other spellings are made again."""

from __future__ import annotations

import hashlib
import hmac

import sqlalchemy as sa
from alembic import op

from keepers.contact.addresses import one_mailbox

revision = "main_0009"
down_revision = "main_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    secret = connection.execute(sa.text("SELECT value FROM meta WHERE name = 'secret'")).scalar_one_or_none()
    if secret is None:
        return
    key = bytes.fromhex(secret)
    size = "octet_length(recipient)" if connection.dialect.name == "postgresql" else "length(CAST(recipient AS BLOB))"
    # Plain addresses in ASCII have kept their form.
    unusual = sa.text(
        "SELECT DISTINCT recipient FROM messages"
        f" WHERE channel = 'email' AND ({size} <> length(recipient) OR recipient LIKE '%.')"
    )
    for (recipient,) in connection.execute(unusual).all():
        changed = {
            "old": _hash(key, recipient.strip().casefold()), "new": _hash(key, one_mailbox(recipient)),
            "recipient": recipient,
        }  # fmt: skip
        if changed["old"] == changed["new"]:
            continue
        for statement in (
            "UPDATE messages SET address_hash = :new WHERE channel = 'email' AND recipient = :recipient",
            # The old one stays: it may be of somebody else, whose address it was taken for.
            "INSERT INTO suppressions SELECT channel, CAST(:new AS TEXT), reason, at, source, detail FROM suppressions"
            " WHERE channel = 'email' AND hash = :old AND NOT EXISTS"
            " (SELECT 1 FROM suppressions AS other WHERE other.channel = 'email' AND other.hash = :new)",
        ):
            connection.execute(sa.text(statement), changed)


def _hash(key: bytes, form: str) -> str:
    return hmac.new(key, f"email:{form}".encode(), hashlib.sha256).hexdigest()
