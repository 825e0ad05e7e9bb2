"""The operational tables, once, for SQLite and PostgreSQL alike. Two sets: the inbox, and all else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    types,
)

EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def to_microseconds(instant: datetime) -> int:
    """An instant (naive, UTC) as whole microseconds since 1970, the form SQLite keeps."""
    return (instant - EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """A naive UTC datetime: TIMESTAMP on PostgreSQL, microseconds since 1970 on SQLite (sorts, and is small)."""

    impl = types.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else types.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return to_microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value  # type: ignore[no-any-return]
        return _from_microseconds(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Without the layers in between, which take longer than the conversion: a run read has five instants."""
        return _from_microseconds if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _from_microseconds(value: int | None) -> datetime | None:
    return None if value is None else EPOCH + timedelta(0, 0, value)


# SQLite numbers rows by itself only for a column declared exactly INTEGER PRIMARY KEY.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(naming_convention=NAMING)


def must_be_written() -> NoReturn:
    """The default of a column that says what a row may do: an insert that does not name it fails. What the database
    would fill in is for the rows that were there before the column."""
    raise ValueError("a new row must say this itself; what is filled in holds for older rows alone")


inbox_metadata = MetaData(naming_convention=NAMING)

inbox = Table(
    "inbox",
    inbox_metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("received_at", Instant, nullable=False),
    Column("source", String, nullable=False),
    Column("path", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("trust", String, nullable=False, server_default="public", default=must_be_written),
    sqlite_autoincrement=True,
)

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("profile_id", BigInteger, nullable=False),
    Column("other_id", BigInteger),
    Column("event", String, nullable=False),
    Column("time", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("source", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("trust", String, nullable=False, server_default="server", default=must_be_written),
)

message_ids = Table(
    "message_ids",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("received_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("bucket_key", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("merged_into", BigInteger),
    Column("linking_stopped_at", Instant),
)

identities = Table(
    "identities",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("profile_id", BigInteger, nullable=False, index=True),
    Column("is_unproven", Boolean, nullable=False, server_default=false(), default=must_be_written),
    Column("linked_seq", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

merges = Table(
    "merges",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("from_id", BigInteger, nullable=False, index=True),
    Column("to_id", BigInteger, nullable=False, index=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("cause", String, nullable=False),
    Column("identities", Text, nullable=False),
    Column("undone_at", Instant),
    sqlite_autoincrement=True,
)

definitions = Table(
    "definitions",
    metadata,
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("applied_at", Instant, nullable=False),
    Column("active", Boolean, nullable=False),
)
Index("ix_definitions_active", definitions.c.active, definitions.c.kind)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("scopes", String, nullable=False, server_default=""),
    Column("origins", Text, nullable=False, server_default=""),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False, index=True),
    Column("actor_kind", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("use_case", String, nullable=False),
    Column("target", String, nullable=False),
    Column("profile_id", BigInteger, index=True),
    Column("outcome", String, nullable=False),
    Column("request", Text, nullable=False),
    sqlite_autoincrement=True,
)

page_sessions = Table(
    "page_sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("key_id", String),
    Column("expires_at", Instant, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
