"""What the command loads before it knows what to do: nothing that takes longer than the command itself."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = frozenset(
    {"alembic", "apprise", "duckdb", "httpx", "ibis", "litestar", "pyarrow", "rich", "sqlalchemy", "sqlglot", "uvicorn"}
)
SHOW = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def heavy(code: str) -> set[str]:
    """Which heavy packages a program has loaded at its end."""
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{SHOW}"], capture_output=True, text=True, check=True)
    return HEAVY & set(json.loads(ran.stdout.splitlines()[-1]))


def test_the_command_line_and_an_open_workspace_load_nothing_heavy() -> None:
    modules = ("cli.main", "cli.common", "cli.progress", "cli.interrupts")
    modules += ("app.workspace.workspace", "app.use_cases.use_case", "app.workspace.folder")
    assert heavy("\n".join(f"import keepers.{name}" for name in modules)) == set()


def test_asking_a_server_loads_the_http_client_and_no_store() -> None:
    assert heavy("import keepers.cli.remote") - {"httpx", "rich"} == set(), "httpx loads Rich where there is one"


def test_what_is_told_on_standard_error_loads_rich_with_the_first_line() -> None:
    assert heavy("from keepers.cli.progress import errors\nerrors.print('one', markup=False)") == {"rich"}
