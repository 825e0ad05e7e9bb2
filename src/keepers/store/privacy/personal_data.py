"""What is held on a person in the operational store: one list, by which they are erased and their data are exported."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, LargeBinary, Table, Text, and_, or_, select, tuple_

from keepers.contact.eligibility import UNCONFIRMED
from keepers.store.schema.core import audit_log, identities, log, merges, profiles
from keepers.store.schema.journeys import entry_rejections, journey_runs, run_history
from keepers.store.schema.messages import (
    consents,
    coupons,
    engagement_requests,
    in_app,
    message_copies,
    message_history,
    messages,
    push_subscriptions,
    suppressions,
)


class HeldTable(NamedTuple):
    """A table with rows about a person.

    `columns` name whom a row is about, by what `owner` says: a profile, a run or a message of theirs, or an address as
    (channel, hash). At erasure its rows are removed, or freed or redacted (kept without the person), or added to.
    """

    table: Table
    owner: Literal["profile", "run", "message", "address"]
    columns: tuple[str, ...]
    at_erasure: Literal["removed", "freed", "redacted", "added"]
    texts: frozenset[str] = frozenset()
    """columns of text that are no JSON"""
    hidden: frozenset[str] = frozenset()
    """columns that are not exported: keys that let their holder act for the person"""
    batch: int = 500
    """rows read at once"""
    left_out: ColumnElement[bool] | None = None
    """rows that are not exported: an export would never end that reads what it writes itself"""

    is_identity: bool = False
    """says who the person is: removed last, for all else is found by it"""

    @property
    def section(self) -> str:
        """What the API calls it: its table, or the name under which the API has always had it."""
        return _SECTIONS.get(self.table.name, str(self.table.name))


_SECTIONS = {
    "engagement_requests": "link_hits",
    "run_history": "run_trail",
    "entry_rejections": "entry_refusals",
}
_PROFILE = ("profile_id",)
HELD: tuple[HeldTable, ...] = (
    # Runs, messages, coupons: in the order of `lock_order`.
    HeldTable(journey_runs, "profile", _PROFILE, "removed"),
    HeldTable(messages, "profile", _PROFILE, "removed"),
    HeldTable(
        message_copies, "message", ("message_id",), "removed", texts=frozenset({"subject", "html", "text"}), batch=20
    ),
    HeldTable(message_history, "message", ("message_id",), "removed", texts=frozenset({"detail"})),
    HeldTable(engagement_requests, "message", ("message_id",), "removed", texts=frozenset({"url", "user_agent"})),
    HeldTable(run_history, "run", ("run_id",), "removed"),
    HeldTable(coupons, "profile", _PROFILE, "freed"),
    HeldTable(in_app, "profile", _PROFILE, "removed", texts=frozenset({"title", "text", "url"})),
    HeldTable(push_subscriptions, "profile", _PROFILE, "removed", hidden=frozenset({"keys"})),
    HeldTable(consents, "profile", _PROFILE, "removed", texts=frozenset({"wording"})),
    HeldTable(entry_rejections, "profile", _PROFILE, "removed"),
    # What staff did about them; who of the staff it was is theirs.
    HeldTable(
        audit_log,
        "profile",
        _PROFILE,
        "redacted",
        hidden=frozenset({"actor_kind", "actor", "actor_id"}),
        left_out=audit_log.c.use_case == "export_profile",
    ),
    HeldTable(suppressions, "address", ("channel", "hash"), "added", texts=frozenset({"detail"})),
    HeldTable(identities, "profile", _PROFILE, "removed", is_identity=True),
    HeldTable(profiles, "profile", ("id",), "removed", is_identity=True),
    HeldTable(merges, "profile", ("from_id", "to_id"), "removed", is_identity=True),
    # The record of events. It has no index by profile: what the warehouse has loaded of it is read there.
    HeldTable(log, "profile", _PROFILE, "removed"),
)
NOT_HELD: dict[str, str] = {
    "inbox": "in transit: taken in before anything is exported or erased",
    "reports": "in transit, the same",
    "message_ids": "the hash of a call's id and its source, for 30 days",
    "provider_calls": "hashes of providers' calls, for as long as they would be accepted again",
    "definitions": "what the business wrote",
    "broadcast_sends": "how far a sending has come, in numbers",
    "journey_states": "which journeys are paused",
    "switches": "whether sending is on",
    "workers": "processes that deliver",
    "keys": "hashes of tokens",
    "page_sessions": "hashes of the status page's sessions, for 12 hours",
    "confirmation_requests": "keyed hashes of addresses that were sent a confirmation, and of who asked, for 30 days",
    "counters": "the last numbers given out",
    "cursors": "how far the log was read",
    "meta": "facts about the workspace, its secret among them",
    "erasures": "that somebody was erased, when, and how many rows of which table",
    "erased_profiles": "numbers of profiles that are no more",
    "erased_identifiers": "keyed hashes",
    "removed_counts": "counts of what is not kept any more",
}
"""tables that hold nothing of a person, and why"""
Key = list[Any]
"""values of a table's primary key, as JSON has them"""


class Owner(NamedTuple):
    """A person: their profile first, then those merged into it. `addresses`, as (channel, hash), are theirs now or were
    before; an address that anybody may have named for them is not among them."""

    profile_ids: Sequence[int]
    addresses: Sequence[tuple[str, str]]


def owned(held: HeldTable, owner: Owner) -> ColumnElement[bool]:
    """The rows of a table that are about a person."""
    columns = [held.table.c[name] for name in held.columns]
    ids = list(owner.profile_ids)
    match held.owner:
        case "profile":
            return or_(*(column.in_(ids) for column in columns))
        case "run":
            return columns[0].in_(select(journey_runs.c.id).where(journey_runs.c.profile_id.in_(ids)))
        case "message":
            return columns[0].in_(select(messages.c.id).where(messages.c.profile_id.in_(ids)))
        case "address":
            return tuple_(*columns).in_(list(owner.addresses))


def messages_to_others(owner: Owner) -> ColumnElement[bool]:
    """Of a person's messages, those to an address that is not theirs: what became of them is its reader's.

    One that was not sent because nobody had confirmed the address says nothing of its reader.
    """
    of = messages.c
    is_theirs = tuple_(of.channel, of.address_hash).in_(list(owner.addresses))
    return and_(~of.recipient.startswith("#"), of.address_hash != "", ~is_theirs, of.reason != UNCONFIRMED)


def statements_of_others(owner: Owner) -> ColumnElement[bool]:
    """Of the consents of a person's profiles, those that the reader of an address which is not theirs decided on."""
    of = consents.c
    hashes = [hashed for _, hashed in owner.addresses]
    return and_(of.holds_for == "address", of.state != "pending", of.address_hash.not_in(hashes))


def of_others(held: HeldTable, owner: Owner) -> ColumnElement[bool] | None:
    """The rows among `owned` that are somebody else's record; None where there are none."""
    match held.table.name:
        case "messages":
            return messages_to_others(owner)
        case "consents":
            return statements_of_others(owner)
        case _ if held.owner == "message":
            sent = select(messages.c.id).where(messages.c.profile_id.in_(list(owner.profile_ids)))
            return held.table.c[held.columns[0]].in_(sent.where(messages_to_others(owner)))
        case _:
            return None


def read_held(
    connection: Connection, held: HeldTable, owner: Owner, after: Key | None, limit: int
) -> list[tuple[Key, dict[str, Any]]]:
    """Up to `limit` rows past the key `after`, in the order of their keys, each with its key and as plain data. What is
    somebody else's record is left out."""
    keys: list[Column[Any]] = list(held.table.primary_key.columns)
    shown = [column for column in held.table.columns if column.name not in held.hidden]
    query = select(*shown).where(owned(held, owner)).order_by(*keys).limit(limit)
    if held.left_out is not None:
        query = query.where(~held.left_out)
    foreign = of_others(held, owner)
    if foreign is not None:
        query = query.where(~foreign)
    if after is not None:
        query = query.where(tuple_(*keys) > tuple_(*after) if len(keys) > 1 else keys[0] > after[0])
    found = []
    for row in connection.execute(query):
        values = dict(zip((column.name for column in shown), row, strict=True))
        key = [values[column.name] for column in keys]
        found.append((key, {str(column.name): _plain(held, column, values[column.name]) for column in shown}))
    return found


def _plain(held: HeldTable, column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, LargeBinary):
        return zlib.decompress(value).decode()
    if isinstance(column.type, Text) and column.name not in held.texts:
        return msgspec.json.decode(value)
    return value
