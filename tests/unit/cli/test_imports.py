"""What a command loads: nothing heavy before it is needed. Counted, never timed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from keepers.app.workspace.settings import TEST_CLOCK
from keepers.cli.commands import NAMES
from keepers.cli.common import app, load_commands
from serving import copied

HEAVY = frozenset(
    {
        "alembic", "apprise", "babel", "cryptography", "duckdb", "httpx", "ibis", "liquid", "litestar",
        "numpy", "pandas", "phonenumbers", "psycopg", "pyarrow", "rich", "scipy", "sqlalchemy", "sqlglot", "uvicorn",
        "yaml",
    }
)  # fmt: skip
COMMANDS = """
import json, sys
from keepers.cli.main import main

stdout = sys.stdout
for words in json.loads(sys.argv.pop()):
    sys.argv[1:] = words
    sys.stdout = sys.stderr
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
    sys.stdout = stdout
    print(json.dumps(sorted(sys.modules)))
"""


def loaded(code: str, *arguments: str) -> list[set[str]]:
    """What is loaded at each point where a program prints its modules."""
    # A test clock is told on standard error, by Rich.
    environment = {name: value for name, value in os.environ.items() if name != TEST_CLOCK}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr
    return [set(json.loads(line)) for line in ran.stdout.splitlines()]


def after_commands(*commands: tuple[str, ...]) -> list[set[str]]:
    """What one process has loaded after each of some commands."""
    return loaded(COMMANDS, json.dumps(commands))


def heavy(modules: set[str]) -> set[str]:
    return HEAVY & modules


def ours(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if name.startswith("keepers."))


def test_help_loads_the_commands_and_nothing_heavy() -> None:
    (modules,) = after_commands(("--help",))
    assert heavy(modules) == set()
    assert {f"keepers.cli.commands.{module}" for module in NAMES} <= modules
    others = [name for name in ours(modules) if not name.startswith("keepers.cli.commands.")]
    assert len(others) <= 25, others


def test_a_command_loads_no_other_module_of_commands() -> None:
    (modules,) = after_commands(("message", "--help"))
    assert [name for name in ours(modules) if name.startswith("keepers.cli.commands.")] == [
        "keepers.cli.commands.messages"
    ]


def test_every_command_is_found_by_its_name() -> None:
    load_commands()
    root: Any = typer.main.get_command(app)
    found: dict[str, set[str]] = {}
    for name, command in root.commands.items():
        one = next(iter(command.commands.values())) if hasattr(command, "commands") else command
        found.setdefault(one.callback.__module__.removeprefix("keepers.cli.commands."), set()).add(name)
    assert found == {module: set(names) for module, names in NAMES.items()}


def test_reading_commands_load_only_what_they_read(shop: Path, tmp_path: Path) -> None:
    place = ("-w", str(copied(shop, tmp_path / "shop")))
    shutil.rmtree(tmp_path / "shop" / "data" / "compiled", ignore_errors=True)
    keys, messages, stages, profile = after_commands(
        (*place, "keys", "list", "--json"),
        (*place, "messages", "--json"),
        (*place, "stages", "value", "--json"),
        (*place, "profile", "c004", "--json"),
    )
    assert heavy(keys) == heavy(messages) == {"rich", "sqlalchemy"}, "the operational store alone"
    assert heavy(stages) == {"duckdb", "rich", "sqlalchemy", "yaml"}, "kept answers: nothing is compiled"
    assert heavy(profile) - heavy(stages) == {"ibis", "sqlglot"}, "an explanation is compiled"
    (again,) = after_commands((*place, "profile", "c004", "--json"))
    assert heavy(again) == heavy(stages), "it was compiled before"


def test_what_is_told_on_standard_error_loads_rich_with_the_first_line() -> None:
    (modules,) = loaded(
        "from keepers.cli.progress import errors\nerrors.print('one', markup=False)\n"
        "import json, sys\nprint(json.dumps(sorted(sys.modules)))"
    )
    assert heavy(modules) == {"rich"}
