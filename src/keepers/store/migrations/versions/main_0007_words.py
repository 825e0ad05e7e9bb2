"""Tables and a column are named by what they hold, in the words of the code."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant

revision = "main_0007"
down_revision = "main_0006"
branch_labels = None
depends_on = None

RENAMED = {
    "link_hits": ("engagement_requests", "message_id"),
    "run_trail": ("run_history", "run_id"),
    "entry_refusals": ("entry_rejections", "profile_id"),
}
"""old table: its name now, and its indexed column"""


def upgrade() -> None:
    op.drop_index("ix_link_hits_unjudged", "link_hits")
    for old, (new, indexed) in RENAMED.items():
        op.drop_index(f"ix_{old}_{indexed}", old)
        _rename(old, new)
        op.create_index(f"ix_{new}_{indexed}", new, [indexed])
    op.alter_column("engagement_requests", "is_said", new_column_name="is_reported_machine")
    waiting = sa.text("is_machine IS NULL")
    op.create_index(
        "ix_engagement_requests_unclassified",
        "engagement_requests",
        ["at", "id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _rename(old: str, new: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.rename_table(old, new)
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT pk_{old} TO pk_{new}")
        op.execute(f"ALTER SEQUENCE IF EXISTS {old}_id_seq RENAME TO {new}_id_seq")
    elif old != "entry_refusals":
        op.rename_table(old, new)
    else:  # SQLite cannot rename the constraint that is the key of a table; this table is a small one
        op.create_table(
            new,
            sa.Column("journey", sa.String, nullable=False),
            sa.Column("profile_id", sa.BigInteger, nullable=False),
            sa.Column("at", Instant, nullable=False),
            sa.Column("reason", sa.String, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
            sa.Column("times", sa.Integer, nullable=False),
            sa.PrimaryKeyConstraint("journey", "profile_id", name=f"pk_{new}"),
        )
        op.execute(f"INSERT INTO {new} SELECT journey, profile_id, at, reason, seq, times FROM {old}")
        op.drop_table(old)
