"""The table of forgetting: keyed hashes of what was erased."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from keepers.store.schema.core import Instant, metadata

erased_identifiers = Table(
    "erased_identifiers",
    metadata,
    Column("hash", String, primary_key=True),
    Column("erased_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)
