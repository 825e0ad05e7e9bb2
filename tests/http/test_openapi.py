"""The server keeps its OpenAPI document's word: schemathesis asks it everything the document allows, and forbids.

In every run it sends the document's examples and each value at and past each bound of each field: some 3,000 requests,
the same each time. Random ones, which took as long again for a tenth as many, are sent at night, and many more of them.
"""

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
# By day these get their examples alone: an answer takes long, and what bounds their bodies is that of check and apply,
# and of other requests that name a journey and a time.
SLOW = ("POST {PATH}/definitions/plan", "POST {PATH}/journeys/{{id}}/replay")
EXAMPLES_ALONE = "".join(
    f'[[operations]]\ninclude-name = "{name.format(PATH=PATH)}"\nphases.coverage.enabled = false\n' for name in SLOW
)
# It would revoke the key that it asks with.
REVOKE = f'[[operations]]\ninclude-name = "POST {PATH}/keys/{{id}}/revoke"\nenabled = false\n'


QUICK = ["--phases", "examples,coverage"]


@pytest.fixture
def served(shop: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server of this test's own, which ticks to whatever moments and applies whatever it is asked to."""
    with serving(copied(shop, tmp_path / "shop"), "--no-tick") as server:
        yield server


LOCAL = [f"{PATH}{what.route.path}" for what in USE_CASES if what.route.is_local]
"""for commands of the server's own machine: a secret key is refused, which another test holds"""


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_schemathesis_finds_nothing(served: Serving, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    is_night = pytestconfig.getoption("--hypothesis-profile") == "nightly"
    phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", "200"] if is_night else QUICK
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG + REVOKE + ("" if is_night else EXAMPLES_ALONE), encoding="utf-8")
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
            *phases,
            "--continue-on-failure",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        timeout=None if is_night else 600,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
