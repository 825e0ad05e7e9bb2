"""Suppressed addresses: never to be written to again, kept as hashes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, cast, get_args

from msgspec import Meta, Struct
from sqlalchemy import select, tuple_

from keepers.app.csv_files import CHUNK, CsvImported, CsvReport, CsvWritten, chunks_of, new_file, rows_of
from keepers.app.customers.addresses import hashed_address, require_channel
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Cursor, Next
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import SuppressionReason
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.moments import format_instant, parse_instant
from keepers.store.profiles import suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import suppressions as suppression_table

SUPPRESSION_COLUMNS = ("channel", "address", "hash", "reason", "at", "source", "detail")
REASONS: tuple[str, ...] = get_args(SuppressionReason)
Address = Annotated[str, Meta(max_length=320)]
"""an empty one is refused with a sentence: by `hashed_address`"""
Channel = Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]


class ListSuppressions(Struct, frozen=True, kw_only=True):
    channel: Annotated[str, Meta(description="Only on this channel.")] | None = None
    limit: Annotated[int, Meta(description="Most addresses of one answer.", ge=1, le=1000, examples=[50])] = 50
    cursor: Cursor = None


class FindSuppression(Struct, frozen=True, kw_only=True):
    """An address."""

    channel: Channel
    address: Annotated[Address, Meta(description="The address, or its hash as listed.")]


class AddSuppressions(Struct, frozen=True, kw_only=True):
    """Addresses."""

    channel: Channel
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=1000, description="Addresses on that channel.")]
    detail: Annotated[str, Meta(max_length=500, description="The reason, kept with the change.")] = ""


class LiftSuppression(Struct, frozen=True, kw_only=True):
    """An address."""

    channel: Channel
    address: Annotated[Address, Meta(description="The address, or its hash as listed.")]


class ImportSuppressions(Struct, frozen=True, kw_only=True):
    """A file of addresses, or of hashes of this workspace's own export."""

    path: Annotated[str, Meta(description="A CSV file with `address` or `hash`, by its absolute path.")]
    channel: Annotated[str, Meta(max_length=40, description="The channel of rows without one.")] = "email"
    source: Annotated[str, Meta(description="Where the list is from.")] = ""


class ExportSuppressions(Struct, frozen=True, kw_only=True):
    """The file to write."""

    path: Annotated[str, Meta(description="Its absolute path.")]


class Suppressed(Struct, frozen=True):
    """A suppressed address: a keyed hash, for the address itself is not kept."""

    channel: str
    hash: str
    reason: SuppressionReason
    at: datetime
    source: str
    detail: str


class SuppressionPage(Struct, frozen=True):
    items: list[Suppressed]
    next: Next


class Added(Struct, frozen=True):
    channel: str
    suppressed: Annotated[int, Meta(description="How many addresses.")]


class Lifted(Struct, frozen=True):
    channel: str
    lifted: bool


@use_case("GET /suppressions", permission="read", tag="consent", problems=(404,))
def list_suppressions(workspace: Workspace, actor: Actor, request: ListSuppressions) -> SuppressionPage:
    """List suppressed addresses

    By channel and hash, with the reason and since when.
    """
    columns = suppression_table.c
    query = select(suppression_table).order_by(columns.channel, columns.hash).limit(request.limit + 1)
    if request.channel is not None:
        require_channel(request.channel)
        query = query.where(columns.channel == request.channel)
    listing = ("suppressions", request.channel)
    if request.cursor is not None:
        after = unseal(workspace.cursor_secret, listing, request.cursor)
        query = query.where(tuple_(columns.channel, columns.hash) > tuple_(*after))
    with workspace.store.read() as connection:
        found = [Suppressed(*row) for row in connection.execute(query)]
    items = found[: request.limit]
    is_more = len(found) > request.limit
    position = [items[-1].channel, items[-1].hash] if items else []
    return SuppressionPage(items, seal(workspace.cursor_secret, listing, position) if is_more else None)


@use_case("POST /suppressions/find", permission="read", tag="consent", problems=(404, 422))
def find_suppression(workspace: Workspace, actor: Actor, request: FindSuppression) -> SuppressionPage:
    """Look up a suppressed address

    The address is in the body, so that it gets into no log.
    """
    require_channel(request.channel)
    columns = suppression_table.c
    hashed = hashed_address(workspace, request.channel, request.address)
    query = select(suppression_table).where(columns.channel == request.channel, columns.hash == hashed)
    with workspace.store.read() as connection:
        return SuppressionPage([Suppressed(*row) for row in connection.execute(query)], None)


@use_case(
    "POST /suppressions/add",
    permission="manage",
    lock="locked",
    tag="consent",
    problems=(404, 422),
    audit={"channel": "plain", "addresses": "hidden", "detail": "hidden"},
)
def add_suppressions(workspace: Workspace, actor: Actor, request: AddSuppressions) -> Added:
    """Suppress addresses

    By hand, which stops transactional messages too. One that is suppressed for a stronger reason keeps it.
    """
    require_channel(request.channel)
    now = workspace.clock()
    hashes = [hashed_address(workspace, request.channel, one) for one in request.addresses]
    rows = [Suppression(request.channel, one, "manual", now, "by hand", request.detail) for one in hashes]
    with workspace.store.begin() as connection:
        suppressions.add(connection, rows)
    return Added(request.channel, len(set(hashes)))


@use_case(
    "POST /suppressions/lift",
    permission="manage",
    lock="locked",
    tag="consent",
    problems=(404, 422),
    audit={"channel": "plain", "address": "hidden"},
)
def lift_suppression(workspace: Workspace, actor: Actor, request: LiftSuppression) -> Lifted:
    """Lift the suppression of an address"""
    require_channel(request.channel)
    hashed = hashed_address(workspace, request.channel, request.address)
    with workspace.store.begin() as connection:
        if not suppressions.lift(connection, request.channel, hashed):
            raise NotFoundError(problem("This address is not suppressed on {channel}.", channel=request.channel))
    return Lifted(request.channel, lifted=True)


@use_case(
    "POST /suppressions/import",
    permission="manage",
    lock="locked",
    tag="consent",
    problems=(404, 422),
    is_long=True,
    is_local=True,
    audit={"path": "plain", "channel": "plain", "source": "plain"},
)
def import_suppressions(
    workspace: Workspace, actor: Actor, request: ImportSuppressions, progress: Progress
) -> CsvImported:
    """Suppress the addresses of a CSV file on the server's machine

    Addresses are hashed at once.
    """
    file = Path(request.path)
    report = CsvReport(request.source or f"import {file.name}")
    now = workspace.clock()
    with rows_of(file, ()) as rows:
        for chunk in chunks_of(rows):
            taken = []
            for line, row in chunk:
                try:
                    taken.append(_suppression(workspace, row, request.channel, report.source, now))
                except UserError as error:
                    report.refuse(line, error.message)
            with workspace.store.begin() as connection:
                suppressions.add(connection, taken)
            report.taken += len(taken)
            progress(report.taken + report.rejected, 0)
    return report.imported()


@use_case("POST /suppressions/export", permission="read", tag="consent", problems=(422,), is_long=True, is_local=True)
def export_suppressions(
    workspace: Workspace, actor: Actor, request: ExportSuppressions, progress: Progress
) -> CsvWritten:
    """Write the list into a CSV file on the server's machine

    Hashes, for addresses are not kept.
    """
    number = 0
    names = tuple(name for name in SUPPRESSION_COLUMNS if name != "address")
    with new_file(request.path) as write, workspace.store.read() as connection:
        write(names)
        for one in suppressions.everything(connection):
            write((one.channel, one.hash, one.reason, format_instant(one.at), one.source, one.detail))
            number += 1
            if number % CHUNK == 0:
                progress(number, 0)
    return CsvWritten(number, request.path)


def _suppression(workspace: Workspace, row: dict[str, str], channel: str, source: str, now: datetime) -> Suppression:
    channel = row.get("channel") or channel
    require_channel(channel)
    address = row.get("hash") or row.get("address") or row.get("email") or row.get("phone") or ""
    if not address:
        raise UserError(problem("neither address nor hash is there"))
    reason = row.get("reason") or "import"
    _require_reason(reason)
    at = parse_instant(row["at"], workspace.zone) if row.get("at") else now
    return Suppression(
        channel, hashed_address(workspace, channel, address), cast(SuppressionReason, reason), at,
        row.get("source") or source, row.get("detail") or "",
    )  # fmt: skip


def _require_reason(reason: str) -> None:
    if reason not in REASONS:
        raise UserError(
            problem("“{reason}” is no reason to suppress an address.", near=nearest(reason, REASONS), reason=reason),
            field="reason",
        )
