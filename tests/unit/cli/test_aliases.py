"""Commands that were renamed are found by their old names too, which are in one table and listed nowhere."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from keepers.cli.common import ALIASES, app, load_commands


@pytest.fixture(scope="module")
def root() -> Any:
    load_commands()
    return typer.main.get_command(app)


@pytest.mark.parametrize(("old", "name"), ALIASES.items())
def test_an_old_name_is_the_command_of_the_new_one(root: Any, old: str, name: str) -> None:
    assert name in root.commands
    assert old not in root.commands
    context = typer.Context(root)
    assert root.get_command(context, old) is root.get_command(context, name)
    shown = CliRunner().invoke(app, [old, "--help"])
    assert (shown.exit_code, "release" in shown.output) == (0, True)


def test_what_is_neither_a_name_nor_an_old_one_is_refused() -> None:
    assert CliRunner().invoke(app, ["brake"]).exit_code == 2
