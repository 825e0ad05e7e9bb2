"""Keys expire, remember their last use, and have scopes and origins; an audit log; providers' calls are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

revision = "main_0010"
down_revision = "main_0009"
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
    op.create_table(
        "provider_calls",
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("forget_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("provider", "id", name="pk_provider_calls"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_provider_calls_forget_at", "provider_calls", ["forget_at"])
