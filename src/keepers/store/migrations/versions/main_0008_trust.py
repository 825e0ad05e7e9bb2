"""Rows of the log carry the trust of their key; identifiers and browsers whether they came without proof of identity;
statements of consent the address they were said for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "main_0008"
down_revision = "main_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log", sa.Column("trust", sa.String, nullable=False, server_default="server"))
    op.execute("UPDATE log SET trust = 'own' WHERE source = 'keepers'")
    op.execute("UPDATE log SET trust = 'public' WHERE source IN (SELECT id FROM keys WHERE kind = 'write')")
    # What a form said was written down by Keepers itself: an address that anybody may have typed.
    text = "convert_from(body, 'UTF8')" if op.get_bind().dialect.name == "postgresql" else "CAST(body AS TEXT)"
    op.execute(
        f"UPDATE log SET trust = 'public' WHERE trust = 'own' AND kind = 'identify' AND {text} LIKE '%\"email\"%'"
    )
    op.add_column("consents", sa.Column("address_hash", sa.String, nullable=False, server_default=""))
    op.add_column("consents", sa.Column("holds_for", sa.String, nullable=False, server_default="person"))
    has_address = sa.text("address_hash <> ''")
    op.create_index(
        "ix_consents_address", "consents", ["address_hash"], sqlite_where=has_address, postgresql_where=has_address
    )
    unproven = sa.Column("is_unproven", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("push_subscriptions", unproven)
    op.add_column("identities", sa.Column("is_unproven", sa.Boolean, nullable=False, server_default=sa.false()))
