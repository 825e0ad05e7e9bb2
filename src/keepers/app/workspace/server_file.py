"""Which server has the workspace open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from keepers.app.workspace.folder import DATA, SERVER_FILE
from keepers.app.workspace.workspace import Workspace


@contextmanager
def _server_file(workspace: Workspace, address: str, token: str) -> Iterator[None]:
    """Tells commands on this machine where the server is, readable by the same user alone."""
    path = workspace.folder / DATA / SERVER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"address": address, "pid": os.getpid(), "token": token})
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    fresh.replace(path)
    try:
        yield
    finally:
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            path.unlink()
