"""The clock: who may read it, and how tests move it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from keepers.app.operations import doctor
from keepers.app.workspace.clock import clock, clock_notice
from keepers.app.workspace.settings import TEST_CLOCK, TEST_CLOCK_EXAMPLE, parse_test_clock
from keepers.model.errors import UserError
from workspaces import keepers

ROOT = Path(__file__).parents[3]
READER = "src/keepers/app/workspace/clock.py"
"""the one file that reads the clock"""
BY_MODULE = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime"},
    "email.utils": {"formatdate", "localtime"},
}
"""functions of modules that tell the time of day; `monotonic`, `perf_counter` and `process_time` only measure"""
BY_CLASS = {"now", "utcnow", "today"}
"""the same of the classes `datetime` and `date`"""


def readings(source: str) -> list[int]:
    """The lines of a Python file that read the time of day."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    """name in this file → module it stands for"""
    classes: set[str] = set()
    found: list[int] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.module == "datetime":
                classes |= {one.asname or one.name for one in node.names if one.name in ("datetime", "date")}
            elif node.module == "email" and any(one.name == "utils" for one in node.names):
                modules["utils"] = "email.utils"
            elif any(one.name in BY_MODULE.get(node.module or "", ()) for one in node.names):
                found.append(node.lineno)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            is_class = owner in classes or (
                owner.rpartition(".")[2] in ("datetime", "date") and modules.get(owner.rpartition(".")[0]) == "datetime"
            )
            if node.attr in BY_MODULE.get(modules.get(owner, ""), ()) or (is_class and node.attr in BY_CLASS):
                found.append(node.lineno)
    return sorted(found)


def python_files() -> Iterator[Path]:
    for folder in ("src", "tests", "benchmarks", "docs"):
        yield from (ROOT / folder).rglob("*.py")


def test_one_file_alone_reads_the_clock() -> None:
    """What a test, a benchmark or the product reads by itself makes it depend on when it runs."""
    found = {str(path.relative_to(ROOT)): readings(path.read_text(encoding="utf-8")) for path in python_files()}
    assert {name: lines for name, lines in found.items() if lines and name != READER} == {}
    assert len(found[READER]) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime as dt, UTC\nx = dt.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import datetime as d\nd.date.today()",
        "from datetime import date\nf(default=date.today)",
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import time\n",
        "from email.utils import formatdate\n",
        "from email import utils\nutils.formatdate()",
    ],
)
def test_every_way_to_read_the_time_of_day_is_seen(source: str) -> None:
    assert readings(source)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic(); time.sleep(1); time.perf_counter()",
        "from datetime import datetime\ndatetime(2026, 3, 1); datetime.fromisoformat('2026-03-01')",
        "site.now(); self.now; workspace.now()",
        "from email.utils import format_datetime\n",
    ],
)
def test_measuring_and_written_dates_are_no_reading(source: str) -> None:
    assert readings(source) == []


def test_the_test_clock_shows_its_time_and_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TEST_CLOCK)
    real = clock()
    monkeypatch.setenv(TEST_CLOCK, f"2028-02-29T23:59:00+01:00@{real.isoformat()}Z")
    shown = clock()
    assert timedelta(0) <= shown - datetime(2028, 2, 29, 22, 59) < timedelta(minutes=1)
    assert shown <= clock()


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("2026-03-02T10:00:00Z", "no “@”"),
        ("@", "is not a time"),
        ("noon@2026-11-26T01:00:00Z", "noon"),
        ("2026-03-02T10:00:00Z@1773000000", "1773000000"),
        ("3026-03-02T10:00:00Z@2026-11-26T01:00:00Z", "outside the years"),
    ],
)
def test_a_test_clock_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, text: str, about: str) -> None:
    monkeypatch.setenv(TEST_CLOCK, text)
    with pytest.raises(UserError, match=about):
        clock()
    ran = keepers("templates", "--json")
    assert ran.code == 2
    assert TEST_CLOCK_EXAMPLE in ran.json["error"]["message"]


def test_the_example_of_a_test_clock_is_read() -> None:
    assert parse_test_clock(TEST_CLOCK_EXAMPLE) < timedelta(0)


def test_no_command_runs_by_a_test_clock_without_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TEST_CLOCK, TEST_CLOCK_EXAMPLE)
    assert f"because {TEST_CLOCK} is set" in keepers("templates", "--json").err
    assert doctor.upkeep_findings(None, free_bytes=1 << 40, waiting=0, lag_s=0, events=0) == [clock_notice()]
    monkeypatch.delenv(TEST_CLOCK)
    assert "clock" not in keepers("templates", "--json").err
    assert clock_notice() is None
