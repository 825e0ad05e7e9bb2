"""Identifiers say by which row of the log they were linked, so that the oldest can make room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "main_0013"
down_revision = "main_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("linked_seq", sa.BigInteger, nullable=False, server_default="0"))
