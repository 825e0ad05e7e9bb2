"""A request carries the trust of its key by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "inbox_0002"
down_revision = "inbox_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("trust", sa.String, nullable=False, server_default="public"))
    op.execute("UPDATE inbox SET trust = 'server' WHERE trusted")
    op.drop_column("inbox", "trusted")
