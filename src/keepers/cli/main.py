"""The `keepers` command."""

from __future__ import annotations

import json
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import typer

from keepers.cli import interrupts
from keepers.cli.common import app, chosen_folder
from keepers.cli.progress import errors
from keepers.model.errors import KeepersError, UserError


def main() -> None:
    """Runs the command: 0 done, 2 for the person's mistake, 1 for ours; never a traceback."""
    from keepers.app.workspace.clock import clock_notice
    from keepers.app.workspace.files.folder import make_private

    make_private()
    interrupts.begin()
    try:
        if notice := clock_notice():
            errors.print(str(notice), style="yellow", markup=False, soft_wrap=True)
        _command()(standalone_mode=True)
    except UserError as error:
        _failed(error.code, error.message, 2)
    except KeepersError as error:
        _failed(error.code, error.message, 1)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as ended:
        if ended.code == 130 and interrupts.is_noted():  # Typer's answer to Ctrl-C, which is silent
            _interrupted()
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last place where a mistake of ours can be told decently
        if interrupts.is_noted():
            _interrupted()
        path = _keep_traceback()
        kept = f" Details are in {path}." if path else ""
        _failed("internal", f"Keepers made a mistake: {type(error).__name__}: {error}.{kept}", 1)


@cache
def _command() -> Any:
    """The command with all that is loaded of it: made once, however often a process runs it."""
    return typer.main.get_command(app)


def _interrupted() -> NoReturn:
    _failed("interrupted", "Interrupted. What was committed is kept; run the command again to go on.", 130)


def _failed(code: str, message: str, status: int) -> NoReturn:
    if "--json" in sys.argv:
        print(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False, separators=(",", ":")))
    else:
        errors.print(message, style="red", markup=False, soft_wrap=True)
    sys.exit(status)


def _keep_traceback() -> Path | None:
    """The traceback in the workspace's data folder, where there is one."""
    from keepers.app.workspace.files.folder import DATA, ERRORS_FILE

    folder = chosen_folder() / DATA
    if not folder.is_dir():
        return None
    path = folder / ERRORS_FILE
    with path.open("a", encoding="utf-8") as stream:
        traceback.print_exc(file=stream)
    return path
