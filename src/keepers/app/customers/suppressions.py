"""List, add, lift, import, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast, get_args

from msgspec import Meta, Struct
from sqlalchemy import select, tuple_

from keepers.app.csv_files import CsvReport, chunks_of, new_file, rows_of
from keepers.app.customers.addresses import _hashed, _require_channel
from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, Next, shown
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import SuppressionReason
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.model.moments import format_instant, parse_instant
from keepers.store.profiles import suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import suppressions as suppression_table

Address = Annotated[str, Meta(min_length=1, max_length=320)]


class Suppressed(Struct, frozen=True):
    """A suppressed address: a keyed hash, for the address itself is not kept."""

    channel: str
    hash: str
    reason: SuppressionReason
    at: Instant
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


class SuppressBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=1000, description="Addresses on that channel.")]
    detail: Annotated[str, Meta(max_length=500, description="Why, for the record.")] = ""


class AddressBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    address: Annotated[Address, Meta(description="The address, or its hash as listed.")]


SUPPRESSION_COLUMNS = ("channel", "address", "hash", "reason", "at", "source", "detail")


REASONS: tuple[str, ...] = get_args(SuppressionReason)


def suppress(
    workspace: Workspace,
    progress: Progress,
    channel: str,
    addresses: list[str],
    reason: str = "manual",
    detail: str = "",
) -> Any:
    """Addresses never to be written to again. Only their hashes are kept."""
    _require_channel(channel)
    _require_reason(reason)
    now = clock()
    rows = [
        Suppression(channel, _hashed(workspace, channel, one), cast(SuppressionReason, reason), now, "by hand", detail)
        for one in addresses
    ]
    with workspace.store.begin() as connection:
        suppressions.add(connection, rows)
    return {"channel": channel, "suppressed": len({row.hash for row in rows})}


def lift_suppression(workspace: Workspace, progress: Progress, channel: str, address: str) -> Any:
    """Takes an address, or a hash as the list shows it, off the list."""
    _require_channel(channel)
    with workspace.store.begin() as connection:
        if not suppressions.lift(connection, channel, _hashed(workspace, channel, address)):
            raise NotFoundError(f"This address is not suppressed on {channel}.")
    return {"channel": channel, "lifted": True}


def list_suppressions(
    workspace: Workspace,
    progress: Progress,
    channel: str | None = None,
    address: str | None = None,
    after: list[str] | None = None,
    limit: int = 50,
) -> Any:
    """Suppressed addresses by channel and hash; `after` is the (channel, hash) to go on from. One address if asked."""
    if channel is not None:
        _require_channel(channel)
    columns = suppression_table.c
    query = select(suppression_table).order_by(columns.channel, columns.hash).limit(limit)
    if channel is not None:
        query = query.where(columns.channel == channel)
    if address is not None:
        if channel is None:
            raise UserError("Say on which channel the address is.", field="channel")
        query = query.where(columns.hash == _hashed(workspace, channel, address))
    if after is not None:
        query = query.where(tuple_(columns.channel, columns.hash) > tuple_(*after))
    with workspace.store.read() as connection:
        return [shown(Suppression(*row)._asdict()) for row in connection.execute(query)]


def import_suppressions(
    workspace: Workspace, progress: Progress, path: str, channel: str = "email", source: str = ""
) -> Any:
    """Takes addresses, or hashes of this workspace's own export, from a CSV file."""
    file = Path(path)
    report = CsvReport(source or f"import {file.name}")
    now = clock()
    with rows_of(file, ()) as rows:
        for chunk in chunks_of(rows):
            taken = []
            for line, row in chunk:
                try:
                    taken.append(_suppression(workspace, row, channel, report.source, now))
                except UserError as error:
                    report.refuse(line, error.message)
            with workspace.store.begin() as connection:
                suppressions.add(connection, taken)
            report.taken += len(taken)
            progress(report.taken + report.rejected, 0)
    return report.told()


def export_suppressions(workspace: Workspace, progress: Progress, path: str) -> Any:
    """Writes the whole list into a CSV file: hashes, for addresses are not kept."""
    number = 0
    names = tuple(name for name in SUPPRESSION_COLUMNS if name != "address")
    with new_file(path) as write, workspace.store.read() as connection:
        write(names)
        for one in suppressions.everything(connection):
            write((one.channel, one.hash, one.reason, format_instant(one.at), one.source, one.detail))
            number += 1
    return {"written": number, "file": path}


def _suppression(workspace: Workspace, row: dict[str, str], channel: str, source: str, now: Any) -> Suppression:
    channel = row.get("channel") or channel
    _require_channel(channel)
    address = row.get("hash") or row.get("address") or row.get("email") or row.get("phone") or ""
    if not address:
        raise UserError("neither address nor hash is there")
    reason = row.get("reason") or "import"
    _require_reason(reason)
    at = parse_instant(row["at"], workspace.zone) if row.get("at") else now
    return Suppression(
        channel, _hashed(workspace, channel, address), cast(SuppressionReason, reason), at,
        row.get("source") or source, row.get("detail") or "",
    )  # fmt: skip


def _require_reason(reason: str) -> None:
    if reason not in REASONS:
        raise UserError(f"“{reason}” is no reason to suppress an address.{nearest(reason, REASONS)}", field="reason")
