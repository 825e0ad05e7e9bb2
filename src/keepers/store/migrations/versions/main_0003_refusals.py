"""Entries that were refused, with the reason."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant

revision = "main_0003"
down_revision = "main_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entry_refusals",
        sa.Column("journey", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("journey", "profile_id", name="pk_entry_refusals"),
    )
    op.create_index("ix_entry_refusals_profile_id", "entry_refusals", ["profile_id"])
