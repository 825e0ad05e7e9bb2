"""Identities while a batch loads: merge links with their flat closure, and the zone of each subject."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from keepers.warehouse.fixed_tables import TRAIT_ORDER
from keepers.warehouse.typed_tables import STAMP, append, arrow

if TYPE_CHECKING:
    import duckdb

Link = tuple[int, int, datetime]
"""to_id, seq, at"""
Fact = tuple[bool, datetime, int, str | None]
"""trusted, time, seq, the zone named (None: a value that names none); the greatest of a trait counts"""
ZONE_TRAITS = ("timezone", "country")


class MergeLinks:
    """The merge links and zone facts of the subjects of a batch, kept up row by row.

    Rows are applied in the order of seq, so that the outcome does not depend on where batches begin.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, subjects: Iterable[int], zone: str) -> None:
        self._default = zone
        self._links: dict[int, Link] = {}
        self._sources: dict[int, set[int]] = {}
        self._facts: dict[int, dict[str, Fact]] = {}
        self._zones: dict[int, str] = {}
        self._relinked: set[int] = set()
        self._ended: list[tuple[int, int, int, datetime, datetime]] = []
        self._new_facts: list[tuple[int, str, datetime, int, str | None, bool]] = []
        self._rezoned: set[int] = set()
        cursor.register("wanted", pa.table({"id": pa.array(list(subjects), pa.int64())}))
        self._read(cursor)
        cursor.unregister("wanted")

    def final(self, subject: int) -> int:
        """The survivor a subject lives on in; itself when it was not merged."""
        return self._path(subject)[-1]

    def _path(self, subject: int) -> list[int]:
        """The subject and its survivors, one after another."""
        path = [subject]
        while (link := self._links.get(path[-1])) is not None:
            path.append(link[0])
        return path

    def zone(self, subject: int) -> str:
        """The subject's zone as of the rows applied so far: timezone, else country, else the workspace's."""
        if not self._facts:
            return self._default
        final = self.final(subject)
        found = self._zones.get(final)
        if found is None:
            found = self._zones[final] = self.named_zone(final) or self._default
        return found

    def named_zone(self, final: int) -> str | None:
        """The zone that the group's own traits name."""
        members = self._group(final)
        for trait in ZONE_TRAITS:
            known = [self._facts[m][trait] for m in members if trait in self._facts.get(m, ())]
            if known:
                zone = max(known, key=lambda fact: fact[:3])[3]
                if zone is not None:
                    return zone
        return None

    def learn(self, subject: int, trait: str, time: datetime, seq: int, zone: str | None, *, trusted: bool) -> None:
        """Applies a value of a reserved trait."""
        facts = self._facts.setdefault(subject, {})
        if trait not in facts or facts[trait][:3] < (trusted, time, seq):
            facts[trait] = (trusted, time, seq, zone)
        self._new_facts.append((subject, trait, time, seq, zone, trusted))
        self._forget_zone(subject)

    def merge(self, source: int, target: int, seq: int, at: datetime) -> None:
        """`source` lives on in `target` from here; nothing changes when it is the other way round already."""
        if source in self._path(target):
            return
        self._touch(source)
        previous = self._links.get(source)
        if previous is not None:
            self._sources[previous[0]].discard(source)
            self._ended.append((source, *previous, at))
        self._links[source] = (target, seq, at)
        self._sources.setdefault(target, set()).add(source)
        self._touch(source)

    def unmerge(self, source: int, at: datetime) -> None:
        """`source` is its own again from `at`, with those that had been merged into it."""
        self._touch(source)
        link = self._links.pop(source, None)
        if link is not None:
            self._sources[link[0]].discard(source)
            self._ended.append((source, *link, at))
        self._touch(source)

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Writes what changed: links, the flat closure, zone facts, zones of profiles."""
        if self._relinked:
            linked = [(s, *self._links[s]) for s in sorted(self._relinked) if s in self._links]
            flat = [(s, self.final(s), seq, at) for s, _, seq, at in linked]
            kinds = {"from_id": pa.int64(), "to_id": pa.int64(), "seq": pa.int64(), "at": STAMP}
            cursor.register("relinked", pa.table({"id": pa.array(sorted(self._relinked), pa.int64())}))
            for table, rows in (("merge_links", linked), ("canon", flat)):
                cursor.execute(f"DELETE FROM {table} WHERE from_id IN (SELECT id FROM relinked)")
                append(cursor, table, arrow(kinds, rows))
            cursor.unregister("relinked")
        ended = {"from_id": pa.int64(), "to_id": pa.int64(), "seq": pa.int64(), "at": STAMP, "until": STAMP}
        append(cursor, "ended_merges", arrow(ended, self._ended))
        facts = {
            "profile_id": pa.int64(),
            "trait": pa.string(),
            "time": STAMP,
            "seq": pa.int64(),
            "zone": pa.string(),
            "trusted": pa.bool_(),
        }
        append(cursor, "zone_facts", arrow(facts, self._new_facts))
        if self._rezoned:
            zones = [(m, self.named_zone(self.final(m)) or self._default) for m in sorted(self._rezoned)]
            cursor.register("rezoned", arrow({"id": pa.int64(), "zone": pa.string()}, zones))
            cursor.execute(
                "UPDATE profiles SET zone = rezoned.zone FROM rezoned"
                " WHERE profiles.profile_id = rezoned.id AND profiles.zone IS DISTINCT FROM rezoned.zone"
            )
            cursor.unregister("rezoned")

    def _read(self, cursor: duckdb.DuckDBPyConnection) -> None:
        group = """
            WITH finals AS (
                SELECT coalesce(canon.to_id, wanted.id) AS id FROM wanted LEFT JOIN canon ON canon.from_id = wanted.id
            ), members AS (
                SELECT id FROM finals
                UNION SELECT id FROM wanted
                UNION SELECT canon.from_id FROM canon JOIN finals ON canon.to_id = finals.id
            )"""
        links = cursor.execute(
            f'{group} SELECT from_id, to_id, seq, "at" FROM merge_links WHERE from_id IN (SELECT id FROM members)'
        )
        for source, target, seq, at in links.fetchall():
            self._links[source] = (target, seq, at)
            self._sources.setdefault(target, set()).add(source)
        facts = cursor.execute(
            f"""{group} SELECT profile_id, trait, trusted, time, seq, zone FROM zone_facts AS v
            WHERE profile_id IN (SELECT id FROM members)
            QUALIFY row_number() OVER (PARTITION BY profile_id, trait ORDER BY {TRAIT_ORDER} DESC) = 1"""
        )
        for subject, trait, trusted, time, seq, zone in facts.fetchall():
            self._facts.setdefault(subject, {})[trait] = (trusted, time, seq, zone)

    def _group(self, top: int) -> set[int]:
        """A subject and all that were merged into it, directly or not."""
        found, waiting = {top}, [top]
        while waiting:
            for source in self._sources.get(waiting.pop(), ()):
                if source not in found:
                    found.add(source)
                    waiting.append(source)
        return found

    def _touch(self, source: int) -> None:
        self._relinked |= self._group(source)
        self._forget_zone(source)

    def _forget_zone(self, subject: int) -> None:
        final = self.final(subject)
        self._zones.pop(final, None)
        if self._facts:
            self._rezoned |= self._group(final)
