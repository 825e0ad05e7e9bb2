"""Single runs are not paused and none is a test: the two columns that nothing sets are gone."""

from __future__ import annotations

from alembic import op

revision = "main_0006"
down_revision = "main_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("is_paused", "is_test"):
        op.execute(f"ALTER TABLE journey_runs DROP COLUMN {name}")
