"""Which files are believed to name a running server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keepers.app.workspace.files.folder import SERVER_FILE
from keepers.app.workspace.files.server_file import read_server_file

WRITTEN: dict[str, Any] = {"address": "http://127.0.0.1:8000", "pid": os.getpid(), "token": "t", "settings": {}}


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://[::1]:65535", "http://127.9.8.7:1"])
def test_an_address_of_this_machine_is_believed(tmp_path: Path, address: str) -> None:
    (tmp_path / SERVER_FILE).write_text(json.dumps(WRITTEN | {"address": address}))
    found = read_server_file(tmp_path)
    assert found is not None
    assert found.address == address


@pytest.mark.parametrize("other", [
    {"pid": 0}, {"pid": -1}, {"pid": 1 << 70}, {"address": "http://evil.example:80"}, {"address": "http://10.0.0.1:80"},
    {"address": "http://127.0.0.1:80@evil.example:80"}, {"address": "http://localhost:80"}, {"address": "http://:80"},
    {"address": "https://127.0.0.1:80"}, {"address": "http://127.0.0.1:99999"}, {"address": "http://127.0.0.1"},
    {"address": "http://127.0.0.999:80"}, {"address": ""}, {"address": "http://[::1"},
])  # fmt: skip
def test_another_server_than_one_of_this_machine_is_not(tmp_path: Path, other: dict[str, Any]) -> None:
    (tmp_path / SERVER_FILE).write_text(json.dumps(WRITTEN | other))
    assert read_server_file(tmp_path) is None
