"""Everything that is held on one person, for whoever asks for their data (GDPR articles 15 and 20)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import select

from keepers.app.customers.addresses import named_addresses, owner_of
from keepers.app.customers.profiles import profile_of
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Cursor, Next, ProfileName
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.identity import is_trusted
from keepers.store.privacy import personal_data
from keepers.store.privacy.personal_data import Owner
from keepers.store.schema.core import log
from keepers.warehouse.fixed_tables import LOADED
from keepers.warehouse.load import KINDS
from keepers.warehouse.privacy import personal_data as warehouse_data

SUMMARY = "profile"
UNPROVEN = "unproven_addresses"
_MOST_BYTES = 2_000_000
_MOST_ROWS = 500
_Rows = list[tuple[list[Any], dict[str, Any]]]
"""rows with the keys that order them"""


class ExportProfile(Struct, frozen=True, kw_only=True):
    """Whose data. An export is read page by page; a page ends early when it grows past two million bytes."""

    id: ProfileName
    limit: Annotated[int, Meta(description="Most rows of one page.", ge=1, le=1000, examples=[200])] = 200
    cursor: Cursor = None


class HeldRow(Struct, frozen=True):
    """One row about the person."""

    section: Annotated[
        str,
        Meta(
            description="Where it is kept: `profile` is what is known now and why, `events`, `traits`, `memberships`, "
            "`membership_changes`, and the tables of the operational store. `unproven_addresses` are those that "
            "anybody may have named for them: what is held of their readers is left out.",
            examples=["consents"],
        ),
    ]
    data: Annotated[dict[str, Any], Meta(description="Its fields.")]


class ExportPage(Struct, frozen=True):
    """Some of what is held on a person. Sections follow each other; one with many rows goes on in the next page."""

    id: Annotated[str, Meta(description="`#` and Keepers' number.")]
    as_of: Annotated[datetime, Meta(description="When the export was begun.")]
    items: list[HeldRow]
    next: Next


class _Section(Struct, frozen=True):
    name: str
    read: Callable[[list[Any] | None, int], _Rows]
    batch: int = _MOST_ROWS


@use_case(
    "GET /profiles/{id}/export", permission="manage", problems=(404,), audit={"id": "profile", "cursor": "hidden"}
)
def export_profile(workspace: Workspace, actor: Actor, request: ExportProfile) -> ExportPage:
    """Everything that is held on one person

    Who they are, their segments and stages with the reasons, every event, trait and change, consents and suppressions,
    runs of journeys, messages with their copies, opens and clicks, codes, inbox and browsers: what is erased, and what
    is not. An address that anybody may have named for them is listed as unproven, and nothing of its reader is told:
    whether it is suppressed, or what became of messages to it. Events that arrived are included after the next tick.
    """
    profile_id = workspace.find_profile(request.id)
    listing = ("export", profile_id)
    number, after, as_of = 0, None, workspace.clock()
    if request.cursor is not None:
        began, number, after = unseal(workspace.cursor_secret, listing, request.cursor)
        as_of = datetime.fromisoformat(began)
    sections = _sections(workspace, profile_id)
    items: list[HeldRow] = []
    size = 0
    while number < len(sections):
        section = sections[number]
        wanted = min(section.batch, request.limit - len(items))
        if not wanted or size >= _MOST_BYTES:
            position = [as_of.isoformat(), number, after]
            return ExportPage(f"#{profile_id}", as_of, items, seal(workspace.cursor_secret, listing, position))
        rows = section.read(after, wanted)
        found = [HeldRow(section.name, data) for _, data in rows]
        items += found
        size += len(wire_format.encode(found))
        if len(rows) < wanted:
            number, after = number + 1, None
        else:
            after = rows[-1][0]
    return ExportPage(f"#{profile_id}", as_of, items, None)


def _sections(workspace: Workspace, profile_id: int) -> list[_Section]:
    owner = owner_of(workspace, profile_id)
    made = [_Section(SUMMARY, lambda after, limit: [] if after else _summary(workspace, profile_id))]
    for held in warehouse_data.HELD.values():
        read = _events if held.section == warehouse_data.EVENTS else _loaded
        made.append(_Section(held.section, _bound(read, workspace, held, owner)))
    stored = [table for table in personal_data.HELD if table.table is not log]
    made.append(_Section(UNPROVEN, _bound(_unproven, workspace, None, owner)))
    return [*made, *(_Section(one.section, _bound(_stored, workspace, one, owner), one.batch) for one in stored)]


def _bound(
    read: Callable[..., _Rows], workspace: Workspace, held: Any, owner: Owner
) -> Callable[[list[Any] | None, int], _Rows]:
    return lambda after, limit: read(workspace, held, owner, after, limit)


def _summary(workspace: Workspace, profile_id: int) -> _Rows:
    found = profile_of(workspace, profile_id, workspace.now(), "en")
    if found is None:
        return []
    data: dict[str, Any] = wire_format.plain(found)
    del data["last_events"]
    return [([profile_id], data)]


def _unproven(workspace: Workspace, _: None, owner: Owner, after: list[Any] | None, limit: int) -> _Rows:
    named = sorted({(one.channel, one.written) for one in named_addresses(workspace, owner) if not one.is_theirs})
    past = [one for one in named if after is None or one > tuple(after)]
    return [([channel, address], {"channel": channel, "address": address}) for channel, address in past[:limit]]


def _stored(
    workspace: Workspace, held: personal_data.HeldTable, owner: Owner, after: list[Any] | None, limit: int
) -> _Rows:
    with workspace.store.read() as connection:
        return personal_data.read_held(connection, held, owner, after, limit)


def _loaded(
    workspace: Workspace, held: warehouse_data.HeldRows, owner: Owner, after: list[Any] | None, limit: int
) -> _Rows:
    return warehouse_data.read_held(workspace.warehouse.cursor(), held, owner.profile_ids, after, limit)


def _events(
    workspace: Workspace, held: warehouse_data.HeldRows, owner: Owner, after: list[Any] | None, limit: int
) -> _Rows:
    """The record of events: what the warehouse has loaded of it, and then what it has not."""
    # First: what is loaded between both reads is then in one of them.
    loaded = workspace.warehouse.watermark(LOADED)
    rows = [row for row in _loaded(workspace, held, owner, after, limit) if row[0][0] <= loaded]
    missing = limit - len(rows)
    if not missing:
        return rows
    position = max(loaded, rows[-1][0][0] if rows else 0, after[0] if after else 0)
    (in_log,) = (one for one in personal_data.HELD if one.table is log)
    query = (
        select(log)
        .where(log.c.seq > position, personal_data.owned(in_log, owner), log.c.kind.in_(KINDS))
        .order_by(log.c.seq)
        .limit(missing)
    )
    with workspace.store.read() as connection:
        for row in connection.execute(query):
            data = dict(row._mapping) | {"body": msgspec.json.decode(row.body)}
            del data["hops"]
            data["trusted"] = is_trusted(data.pop("trust"))
            rows.append(([row.seq], data))
    return rows
