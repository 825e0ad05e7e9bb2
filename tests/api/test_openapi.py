"""The server keeps its OpenAPI document's word: schemathesis asks it everything the document allows, and forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import SECRET, Serving

# 422 is the answer to what is well-formed and yet unknown here: an event, a segment, a time before 1900. A schema
# cannot say which names have arrived. A cursor is signed, so no schema can say which are good: none is sent.
CONFIG = """
seed = 20260301
[parameters]
"query.cursor" = []
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
[phases.stateful]
enabled = false
"""


@pytest.mark.slow
def test_schemathesis_finds_nothing(running: Serving, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file",
            str(config),
            "run",
            f"{running.address}/api/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {SECRET}",
            "--max-examples",
            "4",
            "--continue-on-failure",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
