"""The tables of journeys: runs, what happened in them, and which journeys are paused."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from keepers.store.schema.core import Instant, RowNumber, metadata

journey_runs = Table(
    "journey_runs",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("journey", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("profile_id", BigInteger, nullable=False),
    Column("entry_key", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("step", String),
    Column("visits", Text, nullable=False),
    Column("vars", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("zone", String, nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("wake_at", Instant),
    Column("seen_seq", BigInteger, nullable=False),
    Column("ended_at", Instant),
    Column("hops", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("journey", "profile_id", "entry_key", name="uq_journey_runs_journey"),
    sqlite_autoincrement=True,
)
Index("ix_journey_runs_wake", journey_runs.c.status, journey_runs.c.wake_at)
Index("ix_journey_runs_profile", journey_runs.c.profile_id, journey_runs.c.status)

run_history = Table(
    "run_history",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("step", String, nullable=False),
    Column("visit", Integer, nullable=False),
    Column("what", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("data", Text, nullable=False),
    sqlite_autoincrement=True,
)

journey_states = Table(
    "journey_states",
    metadata,
    Column("journey", String, primary_key=True),
    Column("is_paused", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", String, nullable=False),
)

entry_rejections = Table(
    "entry_rejections",
    metadata,
    Column("journey", String, primary_key=True),
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False, index=True),
    Column("at", Instant, nullable=False),
    Column("reason", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
)
