"""The server keeps its OpenAPI document's word: schemathesis asks it everything the document allows, and forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepers.http.management.router import PATH, USE_CASES
from serving import SECRET, Serving, copied, serving

# 422 is the answer to what is well-formed and yet unknown here: an event, a segment, a time before 1900. A schema
# cannot say which names have arrived. A cursor is signed, so no schema can say which are good: none is sent. No text
# holds a NUL character, which every schema would have to repeat.
CONFIG = """
seed = 20260301
[generation]
allow-x00 = false
[parameters]
"query.cursor" = []
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
[phases.stateful]
enabled = false
"""
# It would revoke the key that it asks with.
REVOKE = f'[[operations]]\ninclude-name = "POST {PATH}/keys/{{id}}/revoke"\nenabled = false\n'


@pytest.fixture
def served(shop: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server of this test's own, which ticks to whatever moments and applies whatever it is asked to."""
    with serving(copied(shop, tmp_path / "shop"), "--no-tick") as server:
        yield server


LOCAL = [f"{PATH}{what.route.path}" for what in USE_CASES if what.route.is_local]
"""for commands of the server's own machine: a secret key is refused, which another test holds"""


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_schemathesis_finds_nothing(served: Serving, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG + REVOKE, encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file",
            str(config),
            "run",
            f"{served.address}/api/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {SECRET}",
            *(argument for path in LOCAL for argument in ("--exclude-path", path)),
            "--max-examples",
            "4",
            "--continue-on-failure",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
