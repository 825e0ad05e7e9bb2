"""The operational tables, as they began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

revision = "main_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _counting()
    _history()
    _subjects()
    _administration()


def _counting() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "seq", "value": 0}, {"name": "profile_id", "value": 0}])
    op.create_table(
        "cursors",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cursors"),
    )


def _history() -> None:
    op.create_table(
        "log",
        sa.Column("seq", RowNumber, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("other_id", sa.BigInteger),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("known_at", Instant, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("hops", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("seq", name="pk_log"),
    )
    op.create_table(
        "message_ids",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_message_ids"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_ids_received_at", "message_ids", ["received_at"])


def _subjects() -> None:
    op.create_table(
        "profiles",
        sa.Column("id", RowNumber, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("bucket_key", sa.String, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("merged_into", sa.BigInteger),
        sa.Column("linking_stopped_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_profiles"),
    )
    op.create_table(
        "identities",
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name="pk_identities"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_identities_profile_id", "identities", ["profile_id"])
    op.create_table(
        "merges",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("from_id", sa.BigInteger, nullable=False),
        sa.Column("to_id", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("identities", sa.Text, nullable=False),
        sa.Column("undone_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_merges"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_merges_from_id", "merges", ["from_id"])
    op.create_index("ix_merges_to_id", "merges", ["to_id"])


def _administration() -> None:
    op.create_table(
        "definitions",
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("applied_at", Instant, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "version", name="pk_definitions"),
    )
    op.create_index("ix_definitions_active", "definitions", ["active", "kind"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("revoked_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
