"""Runs a command here, or asks the server that has the workspace open; progress is shown either way."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

from keepers.app.commands import COMMANDS
from keepers.app.workspace.folder import find_folder
from keepers.app.workspace.progress import Progress as Report
from keepers.app.workspace.workspace import Workspace
from keepers.cli.progress import reporting
from keepers.model.errors import KeepersError, UserError


def ask(folder: Path | None, command: str, *, doing: str = "", **arguments: Any) -> Any:
    """The command's answer. Raises KeepersError, whether it was raised here or in the server."""
    workspace = Workspace.open(find_folder(folder))
    try:
        with reporting(doing or command) as report:
            server = workspace.server()
            if server is not None:
                with suppress(httpx.ConnectError):
                    return _ask_server(server, command, arguments, report)
                # Nobody listens there: a server was killed, and its number belongs to another process now.
            return COMMANDS[command](workspace, report, **arguments)
    finally:
        workspace.close()


def _ask_server(server: dict[str, str], command: str, arguments: dict[str, Any], report: Report) -> Any:
    """The server streams lines of JSON: progress, then a result or an error."""
    try:
        with (
            httpx.Client(timeout=httpx.Timeout(10, read=None), trust_env=False) as client,
            client.stream(
                "POST",
                f"{server['address']}/internal/commands/{command}",
                json=arguments,
                headers={"Authorization": f"Bearer {server['token']}"},
            ) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise KeepersError(
                    f"The running server refused the command ({answer.status_code}): {answer.text[:300]}"
                )
            for line in answer.iter_lines():
                message = msgspec.json.decode(line)
                if "progress" in message:
                    report(*message["progress"])
                elif "error" in message:
                    wrong = message["error"]
                    kind = UserError if wrong["user"] else KeepersError
                    raise kind(wrong["message"], code=wrong["code"])
                else:
                    return message["result"]
    except httpx.ConnectError:
        raise
    except httpx.HTTPError as error:
        raise UserError(
            f"The server at {server['address']} has this workspace open but does not answer ({error}). "
            "Wait for it, or stop it and try again.",
            code="server",
        ) from None
    raise KeepersError("The running server ended before it answered.")
