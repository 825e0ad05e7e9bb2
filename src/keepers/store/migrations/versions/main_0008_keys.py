"""Keys expire, remember their last use, and have scopes and origins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant

revision = "main_0008"
down_revision = "main_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("expires_at", Instant),
        sa.Column("last_used_at", Instant),
        sa.Column("scopes", sa.String, nullable=False, server_default=""),
        sa.Column("origins", sa.Text, nullable=False, server_default=""),
    ):
        op.add_column("keys", column)
    op.execute("UPDATE keys SET scopes = CASE WHEN kind = 'secret' THEN 'read send manage' ELSE 'collect' END")
