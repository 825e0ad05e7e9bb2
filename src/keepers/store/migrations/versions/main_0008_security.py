"""Keys expire, remember their last use, and have scopes and origins; an audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

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
    op.create_table(
        "audit_log",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor_kind", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("actor_id", sa.String, nullable=False),
        sa.Column("use_case", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_index("ix_audit_log_profile_id", "audit_log", ["profile_id"])
