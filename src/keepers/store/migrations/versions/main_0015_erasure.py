"""Erasures under way and done, keyed hashes of what was erased, and counts of what was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

revision = "main_0015"
down_revision = "main_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("requested_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("compacted_at", Instant),
        sa.Column("removed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "erased_profiles",
        sa.Column("profile_id", RowNumber, autoincrement=False, nullable=False),
        sa.Column("erasure_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("profile_id", name="pk_erased_profiles"),
    )
    op.create_index("ix_erased_profiles_erasure_id", "erased_profiles", ["erasure_id"])
    op.create_table(
        "erased_identifiers",
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("erased_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_erased_identifiers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_erased_identifiers_erased_at", "erased_identifiers", ["erased_at"])
    op.create_table(
        "removed_counts",
        sa.Column("what", sa.String, nullable=False),
        sa.Column("journey", sa.String, nullable=False),
        sa.Column("broadcast", sa.String, nullable=False),
        sa.Column("send_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "what", "journey", "broadcast", "send_id", "version", "step", "message", "channel", "status", "reason",
            name="pk_removed_counts",
        ),
    )  # fmt: skip
