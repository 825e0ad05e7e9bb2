"""Confirmation e-mails are counted by person, whatever spelling of the address a form was given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

revision = "main_0012"
down_revision = "main_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "confirmation_requests",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("person_hash", sa.String, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("is_proven", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_confirmation_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_confirmation_requests_person_hash", "confirmation_requests", ["person_hash"])
    op.create_index("ix_confirmation_requests_at", "confirmation_requests", ["at"])
