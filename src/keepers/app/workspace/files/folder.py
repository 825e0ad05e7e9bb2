"""Paths of a workspace. Imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "KEEPERS_WORKSPACE"


PLAYBOOK = "playbook"


DATA = "data"


LOCALE = "locale"
"""languages of the workspace's own: <language>/LC_MESSAGES/keepers.po"""


SERVER_FILE = "server.json"


ERRORS_FILE = "errors.log"
"""details of unexpected errors"""


UMASK = 0o077
"""what others may not do with files: they may do nothing"""


def make_private() -> None:
    """From now on this process makes files 0600 and folders 0700. Called where a process begins."""
    os.umask(UMASK)


def find_folder(named: Path | None) -> Path:
    """The workspace's folder: named by -w, else by KEEPERS_WORKSPACE, else the current one."""
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else Path.cwd())
    return chosen.expanduser().absolute()
