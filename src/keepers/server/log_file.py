"""Logging of a server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keepers.app.workspace.files.folder import DATA, ERRORS_FILE
from keepers.app.workspace.workspace import Workspace

log = logging.getLogger("keepers")


@contextmanager
def log_to_file(workspace: Workspace) -> Iterator[None]:
    """Short lines on standard error; internal errors with their traceback in data/errors.log."""
    lines = logging.StreamHandler()
    lines.setFormatter(_Line("%(asctime)s %(message)s", "%H:%M:%S"))
    full = logging.FileHandler(_errors_file(workspace), delay=True, encoding="utf-8")
    full.setLevel(logging.ERROR)
    full.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    full.addFilter(lambda record: bool(record.exc_info))
    for handler in (lines, full):
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in (lines, full):
            log.removeHandler(handler)
            handler.close()


def _errors_file(workspace: Workspace) -> Path:
    folder = workspace.folder / DATA
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ERRORS_FILE


class _Line(logging.Formatter):
    """One line, without the traceback, which is kept in the file."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name logging calls
        return ""

    def format(self, record: logging.LogRecord) -> str:
        kept, record.exc_text = record.exc_text, None
        text = super().format(record).rstrip()
        record.exc_text = kept
        return text
