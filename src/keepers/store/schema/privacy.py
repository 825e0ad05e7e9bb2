"""The tables of forgetting: erasures, keyed hashes of what was erased, counts of what was removed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from keepers.store.schema.core import Instant, RowNumber, metadata

erasures = Table(
    "erasures",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("requested_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("compacted_at", Instant),
    Column("removed", Text, nullable=False),
    sqlite_autoincrement=True,
)

erased_profiles = Table(
    "erased_profiles",
    metadata,
    Column("profile_id", RowNumber, primary_key=True, autoincrement=False),
    Column("erasure_id", BigInteger, nullable=False, index=True),
)

erased_identifiers = Table(
    "erased_identifiers",
    metadata,
    Column("hash", String, primary_key=True),
    Column("erased_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

removed_counts = Table(
    "removed_counts",
    metadata,
    Column("what", String, primary_key=True),
    Column("journey", String, primary_key=True),
    Column("broadcast", String, primary_key=True),
    Column("send_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("step", String, primary_key=True),
    Column("message", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("status", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
