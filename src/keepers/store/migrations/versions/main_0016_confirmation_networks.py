"""Confirmation e-mails are counted by the network that asked for them too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "main_0016"
down_revision = "main_0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("confirmation_requests", sa.Column("network_hash", sa.String, nullable=False, server_default=""))
