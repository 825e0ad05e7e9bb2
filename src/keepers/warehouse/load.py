"""Appends log rows to the warehouse: the record, the typed tables, traits, memberships, merges, what is dirty."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa

from keepers.conditions.schema import EVENT_KINDS
from keepers.model.identity import Trust, bucket_key, is_trusted
from keepers.warehouse.account_memberships import Members
from keepers.warehouse.database import set_watermark
from keepers.warehouse.fixed_tables import IMPORT, LOADED
from keepers.warehouse.identity_links import ZONE_TRAITS, MergeLinks
from keepers.warehouse.rebuild import save_names
from keepers.warehouse.typed_tables import (
    STAMP,
    TRAITS,
    TypedRows,
    append,
    arrow,
    collector_paused,
    event_properties,
    write_latest,
)
from keepers.warehouse.values import TraitRow, object_in, trait_values
from keepers.warehouse.zone_offsets import local_day, zone_of

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

KINDS = frozenset({"profile", "merge", "unmerge", "track", "page", "screen", "identify", "group", "alias"})
"""kinds of log rows that the warehouse holds; the others are passed over"""
_decode = msgspec.json.Decoder().decode
_TRACKS = {
    "seq": pa.int64(),
    "profile_id": pa.int64(),
    "kind": pa.string(),
    "event": pa.string(),
    "time": STAMP,
    "received_at": STAMP,
    "known_at": STAMP,
    "day": pa.date32(),
    "source": pa.string(),
    "raw": pa.string(),
    "other_id": pa.int64(),
    "trusted": pa.bool_(),
}
_MERGE_LOG = {"seq": pa.int64(), "kind": pa.string(), "from_id": pa.int64(), "to_id": pa.int64()}
_DIRTY = {"profile_id": pa.int64(), "at": STAMP, "kind": pa.string(), "name": pa.string()}


class LoadableRow(Protocol):
    """What load reads of a row of the log (see `store/log.py`)."""

    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def profile_id(self) -> int: ...
    @property
    def other_id(self) -> int | None: ...
    @property
    def event(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def known_at(self) -> datetime: ...
    @property
    def source(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def trust(self) -> Trust: ...


def load(warehouse: Warehouse, rows: Sequence[LoadableRow]) -> int:
    """Appends the rows past the watermark, in one transaction with it; returns how many there were.

    `rows` are in the order of seq and follow on the watermark. A repeat adds nothing. Names that are new get
    their tables and columns in a transaction before, so that a crash in between costs nothing but empty columns.
    """
    with warehouse.writing():
        done = warehouse.watermark(LOADED)
        new = [row for row in rows if row.seq > done]
        if not new:
            return 0
        # Other kinds, such as relayed changes and entries, are for journeys, which read the log themselves.
        held = [row for row in new if row.kind in KINDS]
        if not held:
            with warehouse.transaction() as cursor:
                set_watermark(cursor, LOADED, new[-1].seq)
            return len(new)
        batch = read_batch(warehouse, held)
        with warehouse.transaction() as cursor:
            batch.write(cursor)
            set_watermark(cursor, LOADED, new[-1].seq)
        warehouse.latest.update(batch.latest)
        return len(new)


def read_batch(warehouse: Warehouse, rows: Sequence[LoadableRow]) -> Batch:
    """A batch ready to be written, its new names saved. Call it while holding `warehouse.writing()`.

    Where a name gets its table or column in the middle, the batch is read again, so that rows before have it too.
    """
    while True:
        with collector_paused():
            batch = Batch(warehouse, rows)
        is_complete = not warehouse.registry.filling.promoted
        if warehouse.registry.is_changed:
            with warehouse.transaction() as cursor:
                save_names(warehouse, cursor)
        if is_complete:
            return batch


class Batch:
    """A batch read in Python, row by row in the order of seq, ready to be written set-wise.

    `read_batch` makes it; then `write` in a transaction.
    """

    def __init__(self, warehouse: Warehouse, rows: Sequence[LoadableRow]) -> None:
        cursor = warehouse.cursor()
        self._warehouse = warehouse
        subjects = set(chain.from_iterable((r.profile_id, r.other_id) for r in rows)) - {None}
        self._links = MergeLinks(cursor, (s for s in subjects if s is not None), warehouse.zone)
        self._members = Members(cursor, {r.profile_id for r in rows if r.kind == "group"})
        self._typed = TypedRows(warehouse.registry)
        self._tracks: list[tuple[Any, ...]] = []
        self._traits: list[TraitRow] = []
        self._profiles: dict[int, tuple[str, str]] = {}
        self._named: dict[int, tuple[str, str]] = {}
        self._known: dict[int, datetime] = {}
        self._dirty: dict[tuple[int, str, str], datetime] = {}
        self._imported: dict[int, datetime] = {}
        self._merge_log: list[tuple[int, str, int, int]] = []
        self._has_account = False
        self._replaced: dict[int, str] = {}
        """profiles that got another bucket key"""
        self.latest = dict[str, datetime]()
        for row in rows:
            self._add(row)

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._write_profiles(cursor)
        append(cursor, "tracks", arrow(_TRACKS, self._tracks))
        self._typed.write(cursor)
        append(cursor, "trait_values", arrow(TRAITS, self._traits))
        self._members.write(cursor)
        self._links.write(cursor)
        append(cursor, "merge_log", arrow(_MERGE_LOG, self._merge_log))
        write_latest(cursor, self.latest)
        self._warehouse.record_first(cursor, merge=bool(self._merge_log), account=self._has_account)
        dirty = [(subject, at, kind, name) for (subject, kind, name), at in self._dirty.items()]
        append(cursor, "dirty", arrow(_DIRTY, dirty))
        append(cursor, "imported", arrow({"profile_id": pa.int64(), "at": STAMP}, self._imported.items()))

    def _add(self, row: LoadableRow) -> None:
        match row.kind:
            case "profile":
                body = _decode(row.body)
                self._profiles[row.profile_id] = (body.get("kind", "person"), body.get("bucket_key", ""))
                if body.get("is_replaced"):
                    self._replaced[row.profile_id] = body["bucket_key"]
                self._record_known(row.profile_id, row)
                self._mark_dirty(row, row.profile_id, row.known_at, "profile")
            case "merge" | "unmerge":
                self._relink(row)
            case _:
                self._add_message(row)

    def _relink(self, row: LoadableRow) -> None:
        target = row.other_id if row.other_id is not None else row.profile_id
        if row.kind == "merge":
            self._links.merge(row.profile_id, target, row.seq, row.time)
        else:
            self._links.unmerge(row.profile_id, row.time)
        self._merge_log.append((row.seq, row.kind, row.profile_id, target))
        self._mark_dirty(row, row.profile_id, row.time, "merge")
        self._mark_dirty(row, target, row.time, "merge")

    def _add_message(self, row: LoadableRow) -> None:
        raw = row.body.decode()
        message: dict[str, Any] = _decode(raw)
        self._record_known(row.profile_id, row)
        self._name(row.profile_id, message)
        if row.kind == "identify":
            self._add_traits(row, row.profile_id, object_in(message, "traits"))
        elif row.kind == "group" and row.other_id is not None:
            self._record_known(row.other_id, row)
            self._members.join(row.other_id, row.profile_id, row.time, row.known_at)
            self._has_account = True
            self._mark_dirty(row, row.profile_id, row.time, "account")
            self._mark_dirty(row, row.other_id, row.time, "account")
            self._add_traits(row, row.other_id, object_in(message, "traits"))
        day = local_day(self._links.zone(row.profile_id), row.time)
        self._tracks.append(
            (
                row.seq, row.profile_id, row.kind, row.event, row.time, row.received_at, row.known_at, day,
                row.source, raw, row.other_id if row.kind == "group" else None, is_trusted(row.trust),
            )
        )  # fmt: skip
        if row.kind in EVENT_KINDS:
            properties = event_properties(row.kind, message)
            is_listed = self._typed.add(
                row.event, row.seq, row.profile_id, row.time, row.known_at, day, is_trusted(row.trust), properties
            )
            if is_listed:
                self.latest[row.event] = max(row.time, self.latest.get(row.event, row.time))
            self._mark_dirty(row, row.profile_id, max(row.time, row.known_at), "event", row.event)

    def _add_traits(self, row: LoadableRow, subject: int, traits: dict[str, Any]) -> None:
        trusted = is_trusted(row.trust)
        for trait in ZONE_TRAITS:
            if trait in traits:
                named = zone_of(trait, traits[trait])
                self._links.learn(subject, trait, row.time, row.seq, named, trusted=trusted)
        zone = self._links.zone(subject)
        for trait, held in trait_values(traits, zone):
            self._warehouse.registry.trait(trait, trusted=trusted)
            self._traits.append((subject, trait, row.time, row.seq, row.known_at, *held, trusted))
            self._mark_dirty(row, subject, max(row.time, row.known_at), "trait", trait)

    def _record_known(self, subject: int, row: LoadableRow) -> None:
        """From when a subject exists: what a public key sends shows them as of its arrival, whatever time it states."""
        known_at = row.known_at if is_trusted(row.trust) else row.received_at
        known = self._known.get(subject)
        if known is None or known_at < known:
            self._known[subject] = known_at

    def _mark_dirty(self, row: LoadableRow, subject: int, at: datetime, kind: str, name: str = "") -> None:
        if row.known_at != row.received_at and kind != "merge":
            kind = IMPORT + kind
            self._imported[subject] = max(row.received_at, self._imported.get(subject, row.received_at))
        key = (subject, kind, name)
        known = self._dirty.get(key)
        if known is None or at < known:
            self._dirty[key] = at

    def _name(self, subject: int, message: dict[str, Any]) -> None:
        """Derives a key for a subject that only the operational store knows, from an import that was interrupted."""
        for kind, value in (("user_id", message.get("userId")), ("anonymous_id", message.get("anonymousId"))):
            if value is not None and subject not in self._named:
                self._named[subject] = ("person", bucket_key(kind, str(value)))  # type: ignore[arg-type]

    def _write_profiles(self, cursor: duckdb.DuckDBPyConnection) -> None:
        zone = self._warehouse.zone
        rows = [
            (subject, *(self._profiles.get(subject) or self._named.get(subject) or ("person", "")), known, zone)
            for subject, known in self._known.items()
        ]
        kinds = {
            "profile_id": pa.int64(),
            "kind": pa.string(),
            "bucket_key": pa.string(),
            "created_at": STAMP,
            "zone": pa.string(),
        }
        cursor.register("arriving_profiles", arrow(kinds, rows))
        upsert_profiles(cursor, "arriving_profiles")
        cursor.unregister("arriving_profiles")
        if self._replaced:
            keys = list(self._replaced.values())
            cursor.execute(
                "UPDATE profiles SET bucket_key = new.key FROM"
                " (SELECT unnest(?::BIGINT[]) AS id, unnest(?::VARCHAR[]) AS key) AS new WHERE profile_id = new.id",
                [list(self._replaced), keys],
            )


def upsert_profiles(cursor: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Adds subjects that are not there; known ones keep all but an earlier `created_at` and a missing key."""
    cursor.execute(
        f"""
        UPDATE profiles
        SET created_at = least(profiles.created_at, new.created_at),
            kind = CASE WHEN profiles.bucket_key = '' AND new.bucket_key <> '' THEN new.kind ELSE profiles.kind END,
            bucket_key = CASE WHEN profiles.bucket_key = '' THEN new.bucket_key ELSE profiles.bucket_key END
        FROM {relation} AS new
        WHERE profiles.profile_id = new.profile_id
          AND (new.created_at < profiles.created_at OR (profiles.bucket_key = '' AND new.bucket_key <> ''))"""
    )
    cursor.execute(
        f"""
        INSERT INTO profiles
        SELECT profile_id, kind, bucket_key, created_at, zone FROM {relation} AS new
        WHERE NOT EXISTS (SELECT 1 FROM profiles WHERE profiles.profile_id = new.profile_id)
        ORDER BY profile_id"""
    )
