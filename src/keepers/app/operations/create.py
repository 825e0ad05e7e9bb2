"""Creates a workspace: its files, its first keys, and its playbook applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from keepers.app.operations.playbook import AppliedChange, ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.create import create
from keepers.app.workspace.workspace import Workspace
from keepers.scores.rhythm import Fit


class CreatedWorkspace(Struct, frozen=True):
    workspace: str
    files: list[str]
    keys: dict[str, str | None]
    """kind → token, which is shown this once; None where there was a key of the kind already"""
    applied: list[AppliedChange]
    fit: Fit | None
    runs: dict[str, int]


def create_workspace(
    directory: Path, lifecycles: list[str], journeys: Sequence[str] = (), name: str | None = None, zone: str = "UTC"
) -> CreatedWorkspace:
    """Makes a workspace. There is none yet to ask a server of, so this is no use case.

    Raises ConflictError when there is one already, UserError for an unknown template, starter journey or zone.
    """
    folder = directory.expanduser().absolute()
    written = create(folder, lifecycles, name, zone, journeys)
    workspace = Workspace.open(folder)
    try:
        tokens = {kind: workspace.ensure_key(kind, f"first {kind} key") for kind in ("write", "server", "secret")}
        done = apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
    finally:
        workspace.close()
    files = [str(path.relative_to(folder)) for path in written]
    return CreatedWorkspace(str(directory), files, dict(tokens), done.applied, done.fit, done.runs)
