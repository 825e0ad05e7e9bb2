"""A small shop as a workspace, and `keepers serve` on it as a real process, for tests."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

import processes
from processes import Working

SECRET = "km_of_these_tests_and_no_others"
WRITE = "kw_of_these_tests"
SERVER = "ks_of_these_tests_and_no_others"
BEGAN = datetime(2026, 1, 5)
UNTIL = "2026-06-01T00:00:00Z"
SEGMENT = (
    "segments:\n"
    "  - id: regulars\n"
    "    name: {en: Regulars, ru: Постоянные}\n"
    "    who: {did: Order Completed, count: {gte: 3}}\n"
)


def keepers(folder: Path, *arguments: str, code: int = 0) -> Any:
    """Runs the command on a workspace with --json, in this process; its answer."""
    import workspaces  # loads all commands, which tests that need no workspace do without

    ran = workspaces.keepers("-w", folder, *arguments, "--json")
    assert ran.code == code, f"{arguments}: {ran.out}\n{ran.err}"
    return ran.json


def make_shop(folder: Path, customers: int = 60) -> Path:
    """Orders of some customers over five months, imported, ticked and worked out into the past."""
    keepers(
        folder, "init", str(folder), "--lifecycle", "value", "--lifecycle", "finders-keepers", "--name", "Test shop"
    )
    (folder / "playbook" / "regulars.yaml").write_text(SEGMENT, encoding="utf-8")
    with (folder / "keepers.toml").open("a", encoding="utf-8") as settings:
        # Its history ends half a year before the clock of the tests: as after a long stop, which is told.
        settings.write("[server]\nlongest_jump_days = 400\n")
    for kind, token in (("secret", SECRET), ("write", WRITE), ("server", SERVER)):
        keepers(folder, "keys", "create", kind, "--token", token)
    lines = ["who,at,total,country"]
    for n in range(customers):
        for k in range(n % 5 + 1):
            at = BEGAN + timedelta(days=n + 9 * k, hours=n % 24)
            lines.append(f"c{n:03},{at.isoformat()},{10 + n + k},{'PL' if n % 2 else 'IT'}")
    orders = folder / "orders.csv"
    orders.write_text("\n".join(lines) + "\n", encoding="utf-8")
    mapping = ["--profile", "who", "--time", "at", "--property", "total=total", "--trait", "country=country"]
    keepers(folder, "import", str(orders), "--event", "Order Completed", *mapping)
    keepers(folder, "apply")
    keepers(folder, "tick", "--now", UNTIL)
    keepers(folder, "backfill")
    return folder


class Serving:
    """A running server: its address, the workspace and the process."""

    def __init__(self, address: str, folder: Path, process: Working) -> None:
        self.address = address
        self.folder = folder
        self.process = process

    def api(self, secret: str = SECRET) -> httpx.Client:
        """Asks the management API with a secret key."""
        return httpx.Client(
            base_url=f"{self.address}/api/v1",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=30,
            trust_env=False,
        )

    @property
    def key(self) -> dict[str, str]:
        """The header that the status page and the metrics take."""
        return {"Authorization": f"Bearer {SECRET}"}

    def page(self, query: str = "") -> str:
        """A link that signs in to the status page and goes on to it, once."""
        link: str = keepers(self.folder, "open")["url"]
        return f"{link}&{query}" if query else link

    def stop(self, with_signal: int = signal.SIGTERM) -> int | None:
        """Its exit code; None when it has not ended within 20 seconds."""
        self.process.send_signal(with_signal)
        return self.process.exit_code(20)


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    command: str = "serve",
    is_anew: bool = False,
    work: Callable[..., Any] = processes.command,
) -> Iterator[Serving]:
    """`keepers serve` (or `collect`) on a free port until the block ends.

    `is_anew` starts a Python of its own for it, which takes seconds more; else `work` runs the command.
    """
    log = folder / "data" / "server.log"
    log.write_text("", encoding="utf-8")
    words = ["-w", str(folder), command, "--port", "0", *arguments]
    process = Working(processes.command_anew if is_anew else work, words, log)
    try:
        yield Serving(_address(process, log), folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        if process.exit_code(20) is None:
            process.kill()


def _address(process: Working, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = log.read_text(encoding="utf-8")
        if "http://" in lines:
            return "http://" + lines.partition("http://")[2].split(". ")[0].strip()
        assert process.exit_code() is None, lines
        time.sleep(0.05)
    raise AssertionError(f"The server did not start: {log.read_text(encoding='utf-8')}")


def copied(shop: Path, to: Path) -> Path:
    """A workspace of its own for a test that changes it."""
    return shutil.copytree(shop, to, symlinks=True)
