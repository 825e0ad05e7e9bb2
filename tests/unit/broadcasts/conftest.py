"""Makes shops that close themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Postgres
from unit.broadcasts.mailing import Shop, playbook

Make = Callable[..., Shop]


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """`shop(*broadcasts, **sections)`; of a test marked by `engine` on that store."""
    made: list[Shop] = []
    addresses: list[tuple[Postgres, str]] = []

    def make(*broadcasts: dict[str, Any], engine: str = "sqlite", **sections: Any) -> Shop:
        address = None
        if engine == "postgres":
            postgres: Postgres = request.getfixturevalue("postgres")
            address = postgres.migrated()
            addresses.append((postgres, address))
        made.append(Shop(tmp_path / "shop", migrated_folder, playbook(*broadcasts, **sections), address))
        return made[-1]

    yield make
    for one in made:
        one.close()
    for postgres, address in addresses:
        postgres.drop(address)
