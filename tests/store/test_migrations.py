"""A migrated schema is the one the code declares, on both engines."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from keepers.model.consent import Consent
from keepers.model.errors import UserError
from keepers.store.database import Store
from keepers.store.migrate import PARTS, engine_of, head, is_current, upgrade
from keepers.store.profiles.consents import load
from keepers.store.profiles.push_subscriptions import PushSubscription, of_profiles
from keepers.store.revisions import config
from keepers.store.schema.core import inbox_metadata, metadata
from keepers.store.schema.messages import consents, push_subscriptions

NOW = datetime(2026, 1, 1)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_migrated_schema_equals_the_declared_one(store: Store, part) -> None:
    own = set(part.metadata.tables)

    def is_ours(name, kind, parents) -> bool:
        return kind != "table" or name in own

    with engine_of(store, part).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": part.version_table, "include_name": is_ours, "compare_type": True}
        )
        assert compare_metadata(context, part.metadata) == []


def _layout(engine, tables) -> dict[str, object]:
    inspector = inspect(engine)
    return {
        name: {
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
            "key": inspector.get_pk_constraint(name),
            "indexes": sorted((i["name"], tuple(i["column_names"])) for i in inspector.get_indexes(name)),
            "unique": sorted(str(u) for u in inspector.get_unique_constraints(name)),
        }
        for name in tables
    }


def test_a_migrated_schema_has_the_same_columns_keys_and_indexes_as_a_fresh_one(
    store: Store, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if store.is_sqlite:
        fresh = create_engine(f"sqlite:///{tmp_path}/fresh.db")
    else:
        address = request.getfixturevalue("postgres").empty()
        fresh = Store.open(address).engine
    metadata.create_all(fresh)
    inbox_metadata.create_all(fresh)
    assert _layout(store.engine, metadata.tables) == _layout(fresh, metadata.tables)
    assert _layout(store.inbox_engine, inbox_metadata.tables) == _layout(fresh, inbox_metadata.tables)
    fresh.dispose()


def _spaced(sql: str) -> str:
    """With the same spaces, whoever wrote it: SQLite adds columns to the text of a table in its own way, and quotes
    the name of one that was renamed."""
    return " ".join(re.sub(r"([(),])", r" \1 ", sql.replace('"', "")).split())


def test_sqlite_tables_are_declared_word_for_word_alike(sqlite_store: Store, tmp_path: Path) -> None:
    """Inspection does not see WITHOUT ROWID or AUTOINCREMENT; the text of the declaration does."""
    fresh = create_engine(f"sqlite:///{tmp_path}/fresh.db")
    metadata.create_all(fresh)
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'alembic%' ORDER BY name")
    with fresh.connect() as one, sqlite_store.engine.connect() as other:
        written = {name: _spaced(sql) for name, sql in one.execute(query)}
        migrated = {name: _spaced(sql) for name, sql in other.execute(query)}
    assert written == migrated
    fresh.dispose()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_newest_file_is_the_revision_that_no_other_follows(part) -> None:
    assert head(part) == ScriptDirectory.from_config(config(part)).get_current_head()


def test_upgrading_twice_changes_nothing(store: Store) -> None:
    assert is_current(store)
    upgrade(store)
    assert is_current(store)


def test_an_empty_store_is_not_current(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "new")
    assert not is_current(store)
    upgrade(store)
    assert is_current(store)
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'main_9999'"))
    with pytest.raises(UserError, match="newer Keepers"):
        upgrade(store)


def test_an_address_that_is_no_database_is_refused(new_store: Callable[[str], Store]) -> None:
    for address in ("mysql://a@b/c", "http://example.com", "://"):
        with pytest.raises(UserError, match="postgresql://"):
            Store.open(address)


@pytest.mark.parametrize("engine_name", ["sqlite", "postgres"])
def test_browsers_that_may_have_been_taken_unsigned_count_no_longer_for_customers(
    engine_name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = Store.open(tmp_path / "old" if engine_name == "sqlite" else request.getfixturevalue("postgres").empty())
    part = PARTS[0]
    settings = config(part)
    with store.engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "main_0010")
        for who, kind in ((1, "user_id"), (2, "user_id"), (2, "anonymous_id")):
            values = {"kind": kind, "value": f"{kind}{who}", "who": who}
            connection.execute(text("INSERT INTO identities VALUES (:kind, :value, :who, FALSE)"), values)
        for who in (1, 2):
            browser = PushSubscription(f"https://push.example/{who}", who, {}, NOW, is_unproven=False)._asdict() | {
                "keys": "{}"
            }
            connection.execute(push_subscriptions.insert().values(**browser))
            agreed = Consent(who, "push", "*", "subscribed", NOW, "browser permission", holds_for="person")
            connection.execute(consents.insert().values(**msgspec.structs.asdict(agreed)))
    upgrade(store)
    with store.read() as connection:
        browsers = of_profiles(connection, [1, 2])
        agreements = load(connection, [1, 2])
    assert list(browsers) == [1]
    assert agreements.effective(1, "push", "news") is not None
    assert agreements.effective(2, "push", "news") is None
    store.close()
