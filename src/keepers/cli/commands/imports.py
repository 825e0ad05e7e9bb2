"""`keepers import`: a file of events and traits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keepers.cli.common import Folder, Json, app, call, show
from keepers.model.errors import UserError

DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """`NAME=COL …` as a mapping. Raises UserError for anything else."""
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, column = text.partition("=")
        if not equals or not name or not column:
            raise UserError(f"{option} {text}: expected NAME=COL, such as {option} total=Amount.", code="mapping")
        if name in found:
            raise UserError(f"{option} {name} is given twice.", code="mapping")
        found[name] = column
    return found


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet, NDJSON or whitespace-separated text; .gz too.")],
    profile: Annotated[str, typer.Option(metavar="COL", help="Column with the customer's id.")],
    event: Annotated[
        str | None, typer.Option(metavar="NAME", help="The event each row is; without it, traits.")
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with the time.")] = None,
    time_format: Annotated[str | None, typer.Option(metavar="F", help="strptime form, such as %Y%m%d.")] = None,
    zone: Annotated[str | None, typer.Option(help="Zone of times without one; else the workspace's.")] = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=COL", help="An event property.")
    ] = None,
    trait: Annotated[list[str] | None, typer.Option(metavar="NAME=COL", help="A profile trait.")] = None,
    columns: Annotated[str | None, typer.Option(metavar="a,b,c", help="Names, for a file without a header.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="One of , ; | tab whitespace.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show types, sample rows and problems; import nothing.")
    ] = False,
    now: Annotated[str | None, typer.Option("--now", metavar="ISO", help="When the rows were received.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Import a file; the same file again adds nothing, an interrupted import resumes."""
    mapping: dict[str, Any] = {
        "profile": profile,
        "event": event,
        "time": time,
        "time_format": time_format,
        "zone": zone,
        "properties": pairs(properties, "--property"),
        "traits": pairs(trait, "--trait"),
        "columns": [c.strip() for c in columns.split(",")] if columns else [],
        "delimiter": DELIMITERS.get(delimiter, delimiter) if delimiter else None,
    }
    from keepers.app.operations.imports import ImportFile, PreviewImport, import_file, preview_import, read_mapping
    from keepers.cli.present.operations import imported, previewed

    parsed, path = read_mapping(mapping), str(file.absolute())
    if dry_run:
        show(call(workspace, preview_import, PreviewImport(path=path, mapping=parsed, now=now)), as_json, previewed)
        return
    request = ImportFile(path=path, mapping=parsed, now=now)
    show(call(workspace, import_file, request, f"Importing {file.name}"), as_json, imported)
