"""Files of events and traits over HTTP: a file with its mapping → report; and the ledger of what was imported."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import anyio
from litestar import Controller, Request, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import QueryParameter

from keepers.app.operations.imports import _MAPPING, Imported, ImportReport, Ledger, _import
from keepers.app.workspace.common_fields import shown_instant
from keepers.http.common.parameters import TEXT, AtDesk
from keepers.http.common.problems import answers
from keepers.http.management import examples_customers as examples
from keepers.model.errors import UserError

RAW = {
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/x-ndjson": ".ndjson",
    "application/vnd.apache.parquet": ".parquet",
}
FORM = "multipart/form-data"


@dataclass
class UploadOperation(Operation):
    """Says what the body may be, which a handler's signature cannot."""

    request_body: Any = field(default_factory=lambda: _request_body())


def _request_body() -> RequestBody:
    content = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
    raw = {media: OpenAPIMediaType(schema=content) for media in RAW}
    form = Schema(
        type=OpenAPIType.OBJECT,
        required=["file", "mapping"],
        properties={
            "file": Schema(
                type=OpenAPIType.STRING,
                format=OpenAPIFormat.BINARY,
                description="CSV, NDJSON, Parquet, or gzip of these.",
            ),
            "mapping": Schema(type=OpenAPIType.STRING, description="The mapping, as JSON."),
        },
    )
    return RequestBody(
        content={FORM: OpenAPIMediaType(schema=form), **raw},
        description="The file itself with `mapping` in the address, or a form with both.",
        required=True,
    )


class Imports(Controller):
    path = "/imports"
    tags = ["imports"]

    @post(
        summary="Import a file of events or traits",
        description=(
            "The mapping says which column is the profile, the time, and each property and trait, as `keepers import` "
            "does: `profile`, `event`, `time`, `time_format`, `zone`, `properties`, `traits`, `columns`, `delimiter`."
        ),
        responses=answers(ImportReport, examples.IMPORT_REPORT, 400, 409, 413, 415, 422),
        status_code=200,
        operation_class=UploadOperation,
        request_max_body_size=None,
    )
    async def import_file(
        self,
        request: Request[Any, Any, Any],
        desk: AtDesk,
        mapping: Annotated[
            str | None,
            QueryParameter(
                name="mapping",
                description="The mapping as JSON, where the body is the file itself.",
                examples=[Example(value=json.dumps(_MAPPING))],
                max_length=20_000,
                schema_extra=TEXT,
            ),
        ] = None,
    ) -> ImportReport:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        await anyio.to_thread.run_sync(lambda: desk.uploads_folder.mkdir(parents=True, exist_ok=True))
        with tempfile.TemporaryDirectory(prefix="upload-", dir=desk.uploads_folder) as place:
            if kind == FORM:
                path, text = await _from_form(request, Path(place), desk.max_upload_bytes)
                mapping = text if text is not None else mapping
            elif kind in RAW:
                path = Path(place) / f"upload{RAW[kind]}"
                await _keep(request.stream(), path, desk.max_upload_bytes)
            elif not kind:
                raise UserError("Say what the file is: its Content-Type is missing.", code="mapping")
            else:
                raise HTTPException(f"Send {FORM}, {', '.join(RAW)}.", status_code=415)
            return await anyio.to_thread.run_sync(_import, desk, path, mapping)

    @get(
        summary="What was imported",
        description="The ledger: each file and mapping once, latest first. A file is known by its content.",
        responses=answers(Ledger, examples.LEDGER, 400),
        sync_to_thread=True,
    )
    def ledger(self, desk: AtDesk) -> Ledger:
        rows = (
            desk.answerer.warehouse.cursor()
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
        return Ledger(
            [
                Imported(
                    sha,
                    mapping,
                    chunks,
                    lines,
                    int(good),
                    int(bad),
                    shown_instant(first) or "",
                    shown_instant(last) or "",
                )
                for sha, mapping, chunks, lines, good, bad, first, last in rows
            ]
        )


async def _from_form(request: Request[Any, Any, Any], place: Path, most: int) -> tuple[Path, str | None]:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    form = await request.form()
    file, mapping = form.get("file"), form.get("mapping")
    if not isinstance(file, UploadFile):
        raise HTTPException("The form needs a part “file” with a file name.", status_code=400)
    path = place / _safe(file.filename)
    await _keep(_chunks(file), path, most)
    text = (await mapping.read()).decode(errors="replace") if isinstance(mapping, UploadFile) else mapping
    return path, str(text) if text is not None else None


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(1 << 20):
        yield chunk


async def _keep(chunks: AsyncIterator[bytes], path: Path, most: int) -> None:
    size = 0
    async with await anyio.open_file(path, "wb") as stream:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            await stream.write(chunk)


def _safe(name: str) -> str:
    """A file name without folders and oddities; its ending says how to read it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2].rpartition("\\")[2])[-100:].lstrip(".") or "upload"


def _too_large(most: int) -> HTTPException:
    return HTTPException(f"The file is over {most:,} bytes, which is the limit. Split it.", status_code=413)
