"""Keyed hashes of the identifiers that were erased, for whoever restores a backup of before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant

revision = "main_0015"
down_revision = "main_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased_identifiers",
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("erased_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_erased_identifiers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_erased_identifiers_erased_at", "erased_identifiers", ["erased_at"])
