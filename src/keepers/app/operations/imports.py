"""Imports of events and traits: run, preview, and the ledger."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.ingest.imports import run
from keepers.ingest.imports.mapping import ImportPreview, ImportReport, Mapping
from keepers.model.errors import Problem, UserError, problem
from keepers.model.moments import parse_instant

MAPPING_EXAMPLE = {
    "profile": "customer_id",
    "event": "Order Completed",
    "time": "ordered_at",
    "properties": {"total": "amount"},
}
_UPLOADS = "uploads"
FilePath = Annotated[str, Meta(description="The file's absolute path on the server's machine.", min_length=1)]
ReceivedAt = Annotated[str, Meta(description="When the rows were received; the present when left out.", max_length=64)]


class ImportFile(Struct, frozen=True, kw_only=True):
    path: FilePath
    mapping: Mapping
    now: ReceivedAt | None = None


class PreviewImport(Struct, frozen=True, kw_only=True):
    path: FilePath
    mapping: Mapping
    now: ReceivedAt | None = None


class ImportUpload(Struct, frozen=True, kw_only=True):
    file: Annotated[str, Meta(description="Where the upload is kept until it is imported.")]
    mapping: Mapping


class ListImports(Struct, frozen=True, kw_only=True):
    """No parameters."""


class ImportedFile(Struct, frozen=True):
    """One file and mapping in the ledger."""

    file_sha256: str
    mapping_sha256: str
    chunks: int
    lines: Annotated[int, Meta(description="Lines imported so far.")]
    rows: int
    rejected: int
    first_at: datetime
    last_at: datetime


class ImportLedger(Struct, frozen=True):
    items: list[ImportedFile]


@use_case("GET /imports", permission="read")
def list_imports(workspace: Workspace, actor: Actor, request: ListImports) -> ImportLedger:
    """List imports

    The ledger: each file and mapping once, latest first. A file is known by its content.
    """
    rows = (
        workspace.warehouse.cursor()
        .execute(
            """
            SELECT file_sha, mapping_hash, count(*), max(last_line), sum(rows), sum(rejected),
                   min(loaded_at), max(loaded_at)
            FROM import_chunks
            GROUP BY ALL
            ORDER BY 8 DESC, 1, 2
            LIMIT 1000
            """
        )
        .fetchall()
    )
    return ImportLedger(
        [
            ImportedFile(sha, mapping, chunks, lines, int(good), int(bad), first, last)
            for sha, mapping, chunks, lines, good, bad, first, last in rows
        ]
    )


@use_case(
    "POST /imports/local",
    permission="manage",
    lock="sequenced",
    problems=(409, 422),
    is_long=True,
    is_local=True,
    audit={"path": "plain", "mapping": "hidden", "now": "plain"},
)
def import_file(workspace: Workspace, actor: Actor, request: ImportFile, progress: Progress) -> ImportReport:
    """Import a file on the server's machine

    The same file with the same mapping again adds nothing; an interrupted import continues.
    """
    workspace.ticker.load()
    at = _received(workspace, request.now)
    return run.run_import(workspace.store, workspace.warehouse, Path(request.path), request.mapping, at, progress)


@use_case("POST /imports/local/preview", permission="read", problems=(422,), is_local=True)
def preview_import(workspace: Workspace, actor: Actor, request: PreviewImport) -> ImportPreview:
    """Preview the import of a file on the server's machine

    Types, sample rows and problems, from the beginning of the file. Changes nothing.
    """
    zone = workspace.settings.workspace.zone
    return run.dry_run(Path(request.path), request.mapping, zone, _received(workspace, request.now))


@use_case(
    "POST /imports",
    permission="manage",
    lock="sequenced",
    problems=(409, 413, 415, 422),
    is_long=True,
    is_upload=True,
    audit={"file": "hidden", "mapping": "hidden"},
)
def import_upload(workspace: Workspace, actor: Actor, request: ImportUpload, progress: Progress) -> ImportReport:
    """Import a file of events or traits

    The mapping says which column is the profile, the time, and each property and trait, as `keepers import` does:
    `profile`, `event`, `time`, `time_format`, `zone`, `properties`, `traits`, `columns`, `delimiter`. The same
    file with the same mapping again adds nothing; an interrupted import continues.
    """
    path = Path(request.file)
    try:
        workspace.ticker.load()
        done = run.run_import(workspace.store, workspace.warehouse, path, request.mapping, workspace.clock(), progress)
    except UserError as error:
        # The sender knows the file by its name; the server's folder is not shown.
        message = _without_folder(error.problem, path)
        raise type(error)(message, code=error.code, field=error.data.get("field", "")) from None
    finally:
        remove_upload(path.parent)
    return msgspec.structs.replace(done, rejects_path=None)


def read_mapping(fields: dict[str, Any]) -> Mapping:
    """A mapping from plain data. Raises UserError."""
    try:
        return msgspec.convert(fields, Mapping)
    except msgspec.ValidationError as error:
        raise UserError(
            problem("The mapping cannot be used: {error}.", error=error), code="mapping", field="mapping"
        ) from None


def parse_mapping(text: str | None) -> Mapping:
    """A mapping from JSON. Raises UserError, also where there is none."""
    if not text:
        raise UserError(
            problem("A mapping is needed, as JSON, such as {example}.", example=json.dumps(MAPPING_EXAMPLE)),
            code="mapping",
            field="mapping",
        )
    try:
        return read_mapping(msgspec.json.decode(text, type=dict[str, Any]))
    except msgspec.ValidationError as error:
        raise UserError(
            problem("The mapping cannot be used: {error}.", error=error), code="mapping", field="mapping"
        ) from None
    except msgspec.DecodeError:
        raise UserError(problem("The mapping is not valid JSON."), code="mapping", field="mapping") from None


def make_upload_folder(workspace: Workspace) -> Path:
    """A folder for one upload. `import_upload` removes it."""
    folder = workspace.data_folder / _UPLOADS
    folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="upload-", dir=folder))


def remove_upload(folder: Path) -> None:
    """Removes an upload's folder, if it is still there."""
    if folder.is_dir():
        shutil.rmtree(folder)


def remove_uploads(workspace: Workspace) -> None:
    """Removes what a server that was killed left behind. Only for the server that owns the workspace."""
    folder = workspace.data_folder / _UPLOADS
    if folder.is_dir():
        for left in folder.glob("upload-*"):
            remove_upload(left)


def _without_folder(message: object, path: Path) -> object:
    """What is wrong with an upload, with the file's name where its path stood."""
    if not isinstance(message, Problem):
        return str(message).replace(str(path), path.name)
    hidden = {
        name: str(v).replace(str(path), path.name) if _names(v, path) else v for name, v in message.values.items()
    }
    return message._replace(values=hidden)


def _names(value: object, path: Path) -> bool:
    return isinstance(value, str | Path | Exception) and str(path) in str(value)


def _received(workspace: Workspace, now: str | None) -> datetime:
    return workspace.clock() if now is None else parse_instant(now, workspace.zone)
