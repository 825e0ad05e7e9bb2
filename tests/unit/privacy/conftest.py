"""Shops that close themselves, on either store; and one with a customer of whom everything is held that can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Postgres
from unit.broadcasts.mailing import Shop
from unit.privacy import somebody


class Shops:
    """Opens shops in a folder, each in one of its own, and closes them."""

    def __init__(self, folder: Path, migrated: Path, request: pytest.FixtureRequest) -> None:
        self._folder, self._migrated, self._request = folder, migrated, request
        self._opened: list[Shop] = []
        self._addresses: list[tuple[Postgres, str]] = []

    def make(self, written: dict[str, Any], engine: str = "sqlite") -> Shop:
        """An empty one with this playbook."""
        return self._keep(Shop(self._fresh(), self._migrated, written, self._address(engine)))

    def with_somebody(self, engine: str = "sqlite") -> Shop:
        """One with the customer of `somebody`: on SQLite a copy, since making it takes longer than most tests."""
        if engine == "sqlite":
            return self.copy(self._request.getfixturevalue("with_somebody"))
        return self._keep(somebody.make(self._fresh(), self._migrated, self._address(engine)))

    def copy(self, folder: Path) -> Shop:
        """A copy of a workspace on SQLite."""
        return self._keep(somebody.copied(folder, self._fresh()))

    def close(self) -> None:
        for one in self._opened:
            one.close()
        for postgres, address in self._addresses:
            postgres.drop(address)

    def _fresh(self) -> Path:
        return self._folder / f"shop{len(self._opened)}" / "shop"

    def _address(self, engine: str) -> str | None:
        if engine == "sqlite":
            return None
        postgres: Postgres = self._request.getfixturevalue("postgres")
        address = postgres.migrated()
        self._addresses.append((postgres, address))
        return address

    def _keep(self, shop: Shop) -> Shop:
        self._opened.append(shop)
        return shop


@pytest.fixture
def shops(tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest) -> Iterator[Shops]:
    made = Shops(tmp_path, migrated_folder, request)
    yield made
    made.close()


@pytest.fixture(scope="session")
def with_somebody(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Path:
    """The workspace to copy, closed."""
    shop = somebody.make(tmp_path_factory.mktemp("somebody") / "shop", migrated_folder)
    shop.close()
    return shop.folder
