"""Makes a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keepers.app.workspace.files.folder import DATA, PLAYBOOK
from keepers.app.workspace.settings import FILE, initial_toml
from keepers.model.errors import ConflictError, UserError, problem
from keepers.model.moments import parse_zone
from keepers.playbook.shipped.install import install
from keepers.playbook.shipped.journeys import install_journeys, require_starters

GITIGNORE = "data/\n"


def create(
    folder: Path, lifecycles: list[str], name: str | None = None, zone: str = "UTC", journeys: Sequence[str] = ()
) -> list[Path]:
    """Makes a workspace: settings, a playbook with the chosen templates and starter journeys.

    Returns the files written.
    Raises ConflictError when there is one already, UserError for an unknown template, starter journey or zone.
    """
    parse_zone(zone)
    require_starters(journeys)
    if (folder / FILE).exists():
        raise ConflictError(
            problem("There is a workspace at {folder} already. Choose another folder.", folder=folder), code="exists"
        )
    if folder.exists() and not folder.is_dir():
        raise ConflictError(
            problem("{folder} is a file. Choose another name for the workspace.", folder=folder), code="exists"
        )
    try:
        (folder / PLAYBOOK).mkdir(parents=True, exist_ok=True)
        (folder / DATA).mkdir(exist_ok=True)
        written = install(folder / PLAYBOOK, lifecycles)
        (folder / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
        (folder / FILE).write_text(initial_toml(name or folder.name, zone), encoding="utf-8")
    except OSError as error:
        raise UserError(
            problem("{folder} cannot be written: {error}.", folder=folder, error=error.strerror or error),
            code="workspace",
        ) from None
    return [folder / FILE, folder / ".gitignore", *written, *install_journeys(folder / PLAYBOOK, journeys)]
