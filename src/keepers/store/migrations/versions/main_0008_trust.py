"""Rows of the log carry the trust of the key they came by; identifiers say whether they were linked without proof."""

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
    op.add_column("identities", sa.Column("is_unproven", sa.Boolean, nullable=False, server_default=sa.false()))
