"""What is known of a hit besides: whose network it came from, and whether a provider calls it a machine's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "main_0004"
down_revision = "main_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("link_hits", sa.Column("network", sa.String, nullable=False, server_default=""))
    op.add_column("link_hits", sa.Column("is_said", sa.Boolean, nullable=False, server_default=sa.false()))
