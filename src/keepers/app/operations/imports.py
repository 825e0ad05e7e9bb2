"""Files in; the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, shown
from keepers.app.workspace.desk import WorkspaceApi
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.ingest.imports import run
from keepers.ingest.imports.mapping import Mapping
from keepers.model.errors import UserError
from keepers.model.moments import parse_instant

_MAPPING = {
    "profile": "customer_id",
    "event": "Order Completed",
    "time": "ordered_at",
    "properties": {"total": "amount"},
}


class Rejected(Struct, frozen=True):
    line: int
    reason: str
    raw: str


class ImportReport(Struct, frozen=True):
    """What an import did. The same file with the same mapping again adds nothing; an interrupted one goes on."""

    rows: Annotated[int, Meta(ge=0, description="Rows of the file.")]
    loaded: Annotated[int, Meta(ge=0, description="Rows added now.")]
    rejected: Annotated[int, Meta(ge=0, description="Rows that cannot be used.")]
    duplicates_skipped: Annotated[int, Meta(ge=0, description="Rows an earlier import of the same file had added.")]
    seconds: float
    problems: Annotated[list[Rejected], Meta(description="The first few rows that cannot be used.")]


class Imported(Struct, frozen=True):
    """One file and mapping in the ledger."""

    file_sha256: str
    mapping_sha256: str
    chunks: int
    lines: Annotated[int, Meta(description="Lines taken so far.")]
    rows: int
    rejected: int
    first_at: Instant
    last_at: Instant


class Ledger(Struct, frozen=True):
    items: list[Imported]


def _import(desk: WorkspaceApi, path: Path, mapping: str | None) -> ImportReport:
    if not mapping:
        raise UserError(
            f"A mapping is needed, as JSON, such as {json.dumps(_MAPPING)}.", code="mapping", field="mapping"
        )
    try:
        given = msgspec.json.decode(mapping, type=dict[str, Any])
        done = desk.run("import", {"path": str(path), "mapping": given})
    except msgspec.ValidationError as error:
        raise UserError(f"The mapping cannot be used: {error}.", code="mapping", field="mapping") from None
    except msgspec.DecodeError:
        raise UserError("The mapping is not valid JSON.", code="mapping", field="mapping") from None
    except UserError as error:
        # Where the upload lay for a moment is nobody's business.
        said = error.message.replace(str(path), path.name)
        raise type(error)(said, code=error.code, field=error.data.get("field", "")) from None
    return msgspec.convert({k: v for k, v in done.items() if k != "rejects_path"}, ImportReport)


def import_file(
    workspace: Workspace,
    progress: Progress,
    path: str,
    mapping: dict[str, Any],
    dry_run: bool = False,
    now: str | None = None,
) -> Any:
    """Imports a file of events and traits; with `dry_run` says what it would do."""
    given = msgspec.convert(mapping, Mapping)
    file = Path(path)
    at = clock() if now is None else parse_instant(now, workspace.zone)
    if dry_run:
        return shown(run.dry_run(file, given, workspace.settings.workspace.zone, at))
    with workspace.sequencing("keepers import") as ticker:
        ticker.load()
        return shown(run.run_import(workspace.store, workspace.warehouse, file, given, at, progress))
