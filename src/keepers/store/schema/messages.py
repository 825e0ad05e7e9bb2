"""The tables of sending: messages and their history, consent, suppression, coupons, inboxes, switches, reports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, false

from keepers.store.schema.core import Instant, RowNumber, metadata, must_be_written

messages = Table(
    "messages",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("run_id", BigInteger),
    Column("broadcast", String),
    Column("journey", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("step", String, nullable=False),
    Column("visit", Integer, nullable=False),
    Column("profile_id", BigInteger, nullable=False),
    Column("message", String, nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("channel", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("is_transactional", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("recipient", String, nullable=False),
    Column("address_hash", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("send_after", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("claimed_by", String),
    Column("claimed_at", Instant),
    Column("handed_over_at", Instant),
    Column("sent_at", Instant),
    Column("attempts", Integer, nullable=False),
    Column("message_id", String),
    Column("provider_id", String),
    Column("locale", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("counted_at", Instant),
    Column("hops", Integer, nullable=False),
    sqlite_autoincrement=True,
)
# Time comes last: the claim looks at one channel and priority after the other and never sorts what waits.
Index("ix_messages_due", messages.c.status, messages.c.channel, messages.c.priority, messages.c.send_after)
Index("ix_messages_address", messages.c.address_hash, messages.c.counted_at)
Index("ix_messages_profile", messages.c.profile_id, messages.c.id)
Index("ix_messages_step", messages.c.journey, messages.c.step, messages.c.status)
Index("ix_messages_run", messages.c.run_id, sqlite_where=messages.c.run_id.is_not(None),
      postgresql_where=messages.c.run_id.is_not(None))  # fmt: skip
Index("ix_messages_provider", messages.c.provider_id, sqlite_where=messages.c.provider_id.is_not(None),
      postgresql_where=messages.c.provider_id.is_not(None))  # fmt: skip
Index("ix_messages_message_id", messages.c.message_id, sqlite_where=messages.c.message_id.is_not(None),
      postgresql_where=messages.c.message_id.is_not(None))  # fmt: skip
Index("ix_messages_broadcast", messages.c.broadcast, messages.c.status,
      sqlite_where=messages.c.broadcast.is_not(None), postgresql_where=messages.c.broadcast.is_not(None))  # fmt: skip

message_copies = Table(
    "message_copies",
    metadata,
    Column("message_id", RowNumber, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("html", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("kept_until", Instant, nullable=False, index=True),
)

message_history = Table(
    "message_history",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("message_id", BigInteger, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

consents = Table(
    "consents",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("profile_id", BigInteger, nullable=False, index=True),
    Column("channel", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("state", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("source", String, nullable=False),
    Column("wording", Text, nullable=False),
    Column("basis", String, nullable=False),
    Column("address_hash", String, nullable=False, server_default=""),
    Column("holds_for", String, nullable=False, server_default="person", default=must_be_written),
    sqlite_autoincrement=True,
)
Index("ix_consents_address", consents.c.address_hash, sqlite_where=consents.c.address_hash != "",
      postgresql_where=consents.c.address_hash != "")  # fmt: skip

confirmation_requests = Table(
    "confirmation_requests",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("person_hash", String, nullable=False, index=True),
    Column("at", Instant, nullable=False, index=True),
    Column("is_proven", Boolean, nullable=False),
    Column("network_hash", String, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("channel", String, primary_key=True),
    Column("hash", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("source", String, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_with_rowid=False,
)

coupons = Table(
    "coupons",
    metadata,
    Column("pool", String, primary_key=True),
    Column("code", String, primary_key=True),
    Column("profile_id", BigInteger, index=True),
    Column("run_id", BigInteger),
    Column("message_key", String),
    Column("taken_at", Instant),
    Column("imported_at", Instant, nullable=False),
    Column("expires_at", Instant),
)
Index("ix_coupons_taken", coupons.c.pool, coupons.c.taken_at)
Index("ix_coupons_run", coupons.c.run_id, coupons.c.pool)

in_app = Table(
    "in_app",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("profile_id", BigInteger, nullable=False, index=True),
    Column("message_id", BigInteger, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("read_at", Instant),
    Column("expires_at", Instant),
    sqlite_autoincrement=True,
)

push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("profile_id", BigInteger, nullable=False, index=True),
    Column("keys", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("is_unproven", Boolean, nullable=False, server_default=false(), default=must_be_written),
)

broadcast_sends = Table(
    "broadcast_sends",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("broadcast", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("position", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    sqlite_autoincrement=True,
)

switches = Table(
    "switches",
    metadata,
    Column("name", String, primary_key=True),
    Column("on", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("at", Instant, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("beat_at", Instant, nullable=False),
)

engagement_requests = Table(
    "engagement_requests",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("message_id", BigInteger, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("url", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("ip_hash", String, nullable=False),
    Column("method", String, nullable=False),
    Column("is_machine", Boolean),
    Column("rule", String, nullable=False),
    Column("network", String, nullable=False, server_default=""),
    Column("is_reported_machine", Boolean, nullable=False, server_default=false()),
    sqlite_autoincrement=True,
)

Index(
    "ix_engagement_requests_unclassified",
    engagement_requests.c.at,
    engagement_requests.c.id,
    sqlite_where=engagement_requests.c.is_machine.is_(None),
    postgresql_where=engagement_requests.c.is_machine.is_(None),
)

provider_calls = Table(
    "provider_calls",
    metadata,
    Column("provider", String, primary_key=True),
    Column("id", LargeBinary, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("forget_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

reports = Table(
    "reports",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
