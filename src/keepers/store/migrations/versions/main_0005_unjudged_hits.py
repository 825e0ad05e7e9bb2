"""Hits that wait to be judged are found as such, and no longer past an id: an index of them alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "main_0005"
down_revision = "main_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    waiting = sa.text("is_machine IS NULL")
    op.create_index("ix_link_hits_unjudged", "link_hits", ["at", "id"], sqlite_where=waiting, postgresql_where=waiting)
    op.execute("DELETE FROM cursors WHERE name = 'feedback.hits'")
