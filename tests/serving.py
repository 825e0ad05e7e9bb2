"""A small shop as a workspace, and `keepers serve` on it as a real process, for tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

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
    """Runs the command on a workspace with --json; its answer."""
    done = subprocess.run(
        [sys.executable, "-m", "keepers", "-w", str(folder), *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def make_shop(folder: Path, customers: int = 60) -> Path:
    """Orders of some customers over five months, imported, ticked and worked out into the past."""
    keepers(
        folder, "init", str(folder), "--lifecycle", "value", "--lifecycle", "finders-keepers", "--name", "Test shop"
    )
    (folder / "playbook" / "regulars.yaml").write_text(SEGMENT, encoding="utf-8")
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

    def __init__(self, address: str, folder: Path, process: subprocess.Popen[str]) -> None:
        self.address = address
        self.folder = folder
        self.process = process

    def api(self) -> httpx.Client:
        """Asks the management API with the secret key."""
        return httpx.Client(
            base_url=f"{self.address}/api/v1",
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=30,
            trust_env=False,
        )

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)


@contextmanager
def serving(folder: Path, *arguments: str, command: str = "serve") -> Iterator[Serving]:
    """`keepers serve` (or `collect`) on a free port until the block ends."""
    log = folder / "data" / "server.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "keepers", "-w", str(folder), command, "--port", "0", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"NO_COLOR": "1"},
        )
    try:
        yield Serving(_address(process, log), folder, process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = log.read_text(encoding="utf-8")
        if "http://" in said:
            return "http://" + said.partition("http://")[2].split(". ")[0].strip()
        assert process.poll() is None, said
        time.sleep(0.05)
    raise AssertionError(f"The server did not start: {log.read_text(encoding='utf-8')}")


def copied(shop: Path, to: Path) -> Path:
    """A workspace of its own for a test that changes it."""
    return shutil.copytree(shop, to)
