"""Everything held on one person as one JSON document, written page by page as it is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from keepers.app.customers.export import ExportPage, ExportProfile, export_profile
from keepers.app.use_cases import wire_format
from keepers.app.workspace.workspace import Workspace
from keepers.cli.common import call_open
from keepers.model.errors import UserError

_PAGE = 1000


class ExportWritten(Struct, frozen=True):
    """What was written where: section → rows."""

    id: str
    file: str
    rows: dict[str, int]


def exported(workspace: Workspace, name: str, stream: TextIO) -> ExportWritten:
    """Writes `{"id": …, "as_of": …, "sections": {"profile": [row, …], …}}`; how many rows of each section."""
    page = call_open(workspace, export_profile, ExportProfile(id=name, limit=_PAGE), "Exporting")
    head = wire_format.encode({"id": page.id, "as_of": page.as_of}).decode().removesuffix("}")
    stream.write(f'{head},"sections":{{')
    rows: dict[str, int] = {}
    _write_rows(page, rows, stream)
    while page.next is not None:
        page = call_open(workspace, export_profile, ExportProfile(id=name, limit=_PAGE, cursor=page.next), "Exporting")
        _write_rows(page, rows, stream)
    stream.write("\n]}}\n" if rows else "}}\n")
    return ExportWritten(page.id, "", rows)


def _write_rows(page: ExportPage, rows: dict[str, int], stream: TextIO) -> None:
    for row in page.items:
        if row.section in rows:
            stream.write(",\n")
        else:
            stream.write("\n]," if rows else "")
            stream.write(f"\n{msgspec.json.encode(row.section).decode()}:[\n")
        rows[row.section] = rows.get(row.section, 0) + 1
        stream.write(wire_format.encode(row.data).decode())


def written(workspace: Workspace, name: str, file: Path) -> ExportWritten:
    """The same into a file that only its owner may read, which is there when all of it is.

    Raises UserError where it cannot be written.
    """
    path = file.absolute()
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            try:
                found = exported(workspace, name, stream)
            except BaseException:
                unfinished.unlink()
                raise
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.", code="file") from None
    return msgspec.structs.replace(found, file=str(path))
