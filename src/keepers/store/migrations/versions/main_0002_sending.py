"""Journeys, messages, consent and what comes back: the tables of sending."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keepers.store.schema.core import Instant, RowNumber

revision = "main_0002"
down_revision = "main_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _journeys()
    _messages()
    _permission()
    _offers()
    _inboxes()
    _delivery_reports()


def _journeys() -> None:
    op.create_table(
        "journey_runs",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("journey", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("entry_key", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("step", sa.String),
        sa.Column("visits", sa.Text, nullable=False),
        sa.Column("vars", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("zone", sa.String, nullable=False),
        sa.Column("entered_at", Instant, nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("wake_at", Instant),
        sa.Column("seen_seq", sa.BigInteger, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journey_runs"),
        sa.UniqueConstraint("journey", "profile_id", "entry_key", name="uq_journey_runs_journey"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journey_runs_profile", "journey_runs", ["profile_id", "status"])
    op.create_index("ix_journey_runs_wake", "journey_runs", ["status", "wake_at"])
    op.create_table(
        "run_trail",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("visit", sa.Integer, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run_trail"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_trail_run_id", "run_trail", ["run_id"])
    op.create_table(
        "journey_states",
        sa.Column("journey", sa.String, nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("journey", name="pk_journey_states"),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("run_id", sa.BigInteger),
        sa.Column("broadcast", sa.String),
        sa.Column("journey", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("visit", sa.Integer, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("is_transactional", sa.Boolean, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("recipient", sa.String, nullable=False),
        sa.Column("address_hash", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("decided_at", Instant, nullable=False),
        sa.Column("send_after", Instant, nullable=False),
        sa.Column("expires_at", Instant),
        sa.Column("claimed_by", sa.String),
        sa.Column("claimed_at", Instant),
        sa.Column("handed_over_at", Instant),
        sa.Column("sent_at", Instant),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("message_id", sa.String),
        sa.Column("provider_id", sa.String),
        sa.Column("locale", sa.String, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("counted_at", Instant),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("key", name="uq_messages_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_address", "messages", ["address_hash", "counted_at"])
    op.create_index(
        "ix_messages_broadcast",
        "messages",
        ["broadcast", "status"],
        sqlite_where=sa.text("broadcast IS NOT NULL"),
        postgresql_where=sa.text("broadcast IS NOT NULL"),
    )
    op.create_index("ix_messages_due", "messages", ["status", "channel", "priority", "send_after"])
    op.create_index(
        "ix_messages_message_id",
        "messages",
        ["message_id"],
        sqlite_where=sa.text("message_id IS NOT NULL"),
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )
    op.create_index("ix_messages_profile", "messages", ["profile_id", "id"])
    op.create_index(
        "ix_messages_provider",
        "messages",
        ["provider_id"],
        sqlite_where=sa.text("provider_id IS NOT NULL"),
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_run",
        "messages",
        ["run_id"],
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_index("ix_messages_step", "messages", ["journey", "step", "status"])
    op.create_table(
        "message_copies",
        sa.Column("message_id", RowNumber, autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("html", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("kept_until", Instant, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_copies"),
    )
    op.create_index("ix_message_copies_kept_until", "message_copies", ["kept_until"])
    op.create_table(
        "message_history",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_history_message_id", "message_history", ["message_id"])
    op.create_table(
        "broadcast_sends",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("broadcast", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_broadcast_sends"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_broadcast_sends_broadcast", "broadcast_sends", ["broadcast"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("beat_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("on", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )


def _permission() -> None:
    op.create_table(
        "consents",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("wording", sa.Text, nullable=False),
        sa.Column("basis", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consents_profile_id", "consents", ["profile_id"])
    op.create_table(
        "suppressions",
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("channel", "hash", name="pk_suppressions"),
        sqlite_with_rowid=False,
    )


def _offers() -> None:
    op.create_table(
        "coupons",
        sa.Column("pool", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger),
        sa.Column("run_id", sa.BigInteger),
        sa.Column("message_key", sa.String),
        sa.Column("taken_at", Instant),
        sa.Column("imported_at", Instant, nullable=False),
        sa.Column("expires_at", Instant),
        sa.PrimaryKeyConstraint("pool", "code", name="pk_coupons"),
    )
    op.create_index("ix_coupons_profile_id", "coupons", ["profile_id"])
    op.create_index("ix_coupons_run", "coupons", ["run_id", "pool"])
    op.create_index("ix_coupons_taken", "coupons", ["pool", "taken_at"])


def _inboxes() -> None:
    op.create_table(
        "in_app",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("read_at", Instant),
        sa.Column("expires_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_in_app"),
        sa.UniqueConstraint("message_id", name="uq_in_app_message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_in_app_profile_id", "in_app", ["profile_id"])
    op.create_table(
        "push_subscriptions",
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name="pk_push_subscriptions"),
    )
    op.create_index("ix_push_subscriptions_profile_id", "push_subscriptions", ["profile_id"])


def _delivery_reports() -> None:
    op.create_table(
        "link_hits",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("ip_hash", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("is_machine", sa.Boolean),
        sa.Column("rule", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_link_hits"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_link_hits_message_id", "link_hits", ["message_id"])
    op.create_table(
        "reports",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sqlite_autoincrement=True,
    )
