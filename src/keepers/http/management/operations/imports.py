"""Uploads of events and traits over HTTP: a file with its mapping, kept until the use case has imported it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio
from litestar import Request, Response, post
from litestar.datastructures import State, UploadFile
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import QueryParameter

from keepers.app.operations.imports import (
    MAPPING_EXAMPLE,
    ImportUpload,
    import_upload,
    make_upload_folder,
    parse_mapping,
    remove_upload,
)
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import actor_of
from keepers.http.common.parameters import TEXT
from keepers.http.common.problems import RequestError
from keepers.http.management.endpoints import answer_of, responses_of
from keepers.model.errors import UserError, problem

RAW = {
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/x-ndjson": ".ndjson",
    "application/vnd.apache.parquet": ".parquet",
}
FORM = "multipart/form-data"


@dataclass
class UploadOperation(Operation):
    """Describes the body, which a handler's signature cannot express."""

    def __post_init__(self) -> None:
        self.request_body = _request_body()


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


@post(
    import_upload.route.path,
    summary=import_upload.summary,
    description=import_upload.description,
    tags=[import_upload.tag],
    responses=responses_of(import_upload),
    status_code=200,
    operation_class=UploadOperation,
    operation_id=import_upload.name,
    request_max_body_size=None,
)
async def receive_upload(
    request: Request[Any, Any, Any],
    state: State,
    mapping: Annotated[
        str | None,
        QueryParameter(
            name="mapping",
            description="The mapping as JSON, where the body is the file itself.",
            examples=[Example(value=json.dumps(MAPPING_EXAMPLE))],
            max_length=20_000,
            schema_extra=TEXT,
        ),
    ] = None,
) -> Response[bytes]:
    workspace: Workspace = state.workspace
    import_upload.require(workspace, actor_of(request))  # before anything is stored
    folder = await anyio.to_thread.run_sync(make_upload_folder, workspace)
    try:
        path, text = await _stored(request, folder, workspace.settings.server.max_upload_bytes)
        upload = ImportUpload(file=str(path), mapping=parse_mapping(text if text is not None else mapping))
        return await answer_of(import_upload, request, workspace, upload)
    except BaseException:
        await anyio.to_thread.run_sync(remove_upload, folder)
        raise


async def _stored(request: Request[Any, Any, Any], folder: Path, most: int) -> tuple[Path, str | None]:
    """The file that was sent, and the mapping where it came in the same form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await _from_form(request, folder, most)
    if kind in RAW:
        path = folder / f"upload{RAW[kind]}"
        await _write(request.stream(), path, most)
        return path, None
    if not kind:
        raise UserError(problem("Say what the file is: its Content-Type is missing."), code="mapping")
    raise RequestError(problem("Send {types}.", types=", ".join([FORM, *RAW])), 415)


async def _from_form(request: Request[Any, Any, Any], place: Path, most: int) -> tuple[Path, str | None]:
    declared = request.headers.get("content-length", "")
    if not declared.isdigit():  # the form is stored as it comes, before its file's size is known
        raise RequestError(problem("Say how long the form is: its Content-Length is missing."), 413)
    if int(declared) > most:
        raise _too_large(most)
    form = await request.form()
    file, mapping = form.get("file"), form.get("mapping")
    if not isinstance(file, UploadFile):
        raise RequestError(problem("The form needs a part “file” with a file name."), 400)
    path = place / _safe(file.filename)
    await _write(_chunks(file), path, most)
    text = (await mapping.read()).decode(errors="replace") if isinstance(mapping, UploadFile) else mapping
    return path, str(text) if text is not None else None


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(1 << 20):
        yield chunk


async def _write(chunks: AsyncIterator[bytes], path: Path, most: int) -> None:
    size = 0
    async with await anyio.open_file(path, "wb") as stream:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            await stream.write(chunk)


def _safe(name: str) -> str:
    """A safe file name without folders; its suffix is kept."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2].rpartition("\\")[2])[-100:].lstrip(".") or "upload"


def _too_large(most: int) -> RequestError:
    return RequestError(problem("The file is over {most} bytes, which is the limit. Split it.", most=f"{most:,}"), 413)
