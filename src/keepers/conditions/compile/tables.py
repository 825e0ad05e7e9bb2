"""The warehouse's fixed tables as unbound Ibis tables, and the subjects in scope."""

from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from keepers.conditions.comparisons import REF_KINDS, Clock, ComparedValue, sure
from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import TRUSTED, Schema
from keepers.model.fields import Kind

TRACKS = {
    "seq": "int64",
    "profile_id": "int64",
    "kind": "string",
    "event": "string",
    "time": "timestamp",
    "received_at": "timestamp",
    "known_at": "timestamp",
    "day": "date",
    "source": "string",
    "raw": "json",
    "trusted": "boolean",
}
PROFILES = {
    "profile_id": "int64",
    "kind": "string",
    "bucket_key": "string",
    "created_at": "timestamp",
    "zone": "string",
}
TRAIT_VALUES = {
    "profile_id": "int64",
    "trait": "string",
    "time": "timestamp",
    "seq": "int64",
    "known_at": "timestamp",
    "number": "float64",
    "text": "string",
    "boolean": "boolean",
    "instant": "timestamp",
    "date": "date",
    "raw": "string",
    "trusted": "boolean",
}
MEMBERS = {
    "account_id": "int64",
    "profile_id": "int64",
    "since": "timestamp",
    "until": "timestamp",
    "known_at": "timestamp",
}
CANON = {"from_id": "int64", "to_id": "int64"}
STATES = {"query_id": "int32", "profile_id": "int64", "value": "int16", "since": "timestamp"}
ZONE_OFFSETS = {"zone": "string", "from_utc": "timestamp", "until_utc": "timestamp", "offset_s": "int32"}
SCOPE = {"profile_id": "int64", "now": "timestamp"}

EVENT_COLUMNS = {
    "seq": "int64",
    "profile_id": "int64",
    "time": "timestamp",
    "known_at": "timestamp",
    "day": "date",
    TRUSTED: "boolean",
}
IBIS_KINDS = {"number": "float64", "text": "string", "boolean": "boolean"}


def _named(variable: str) -> Any: ...


@cache
def _variable() -> Any:
    """A session variable by its name: the engine folds it to a constant, so the expression is compiled once."""
    return ibis.udf.scalar.builtin(_named, name="getvariable", signature=(("string",), "timestamp"))


def table(name: str, columns: dict[str, str]) -> Any:
    return ibis.table(columns, name=name)


class Mode(Struct, frozen=True):
    """How an expression is evaluated.

    `scoped`: the rows of table `scope`, each at its own `now`; otherwise everybody at session variable `now`. `as_of`:
    only what was known by then. `subject`: people or accounts. `refs`: the paths of runs' values that the scope has
    columns for (`ref_columns`). The tables of earlier answers and of merges differ with the mode.
    """

    scoped: bool = False
    as_of: bool = False
    subject: Kind = "person"
    refs: tuple[str, ...] = ()
    trusted_only: bool = False
    """reads trusted rows alone, as if no others had arrived"""

    @property
    def ref_columns(self) -> dict[str, str]:
        """Column → type of the runs' values in the scope: one per ref and kind."""
        return {_ref_column(n, kind): of for n in range(len(self.refs)) for kind, of in REF_KINDS.items()}

    @property
    def states(self) -> str:
        if self.as_of:
            return "asof_states"
        # A wave reads the states of its scope from the large table once, for all its layers.
        return "near_states" if self.scoped else "states"

    @property
    def canon(self) -> str:
        return "asof_canon" if self.as_of else "canon"

    def now(self) -> Any:
        """The moment of evaluation where no scope row gives it."""
        return _variable()("now")


def _ref_column(n: int, kind: str) -> str:
    # No property's column begins with this sign.
    return f"${n}_{kind}"


class SubjectRows:
    """The subjects in scope and their rows: built once per expression."""

    def __init__(self, schema: Schema, mode: Mode) -> None:
        self.schema = schema
        self.mode = mode
        self.canon = table(mode.canon, CANON)
        self.scope = table("scope", SCOPE | mode.ref_columns)
        self.carried = ("now", *mode.ref_columns)
        """what every row has from the scope"""
        self._identifiers = self._build_identifiers()

    def subjects(self) -> Any:
        """One row per subject in scope: profile_id, now, bucket_key, created_at, zone."""
        profiles = table("profiles", PROFILES)
        if self.mode.scoped:
            joined = profiles.join(self.scope, "profile_id")
            return joined.filter(joined.kind == self.mode.subject).select(
                "profile_id", "bucket_key", "created_at", "zone", *self.carried
            )
        people = profiles.filter(profiles.kind == self.mode.subject)
        if self.schema.has_merges:
            people = people.anti_join(self.canon, people.profile_id == self.canon.from_id)
        return people.select("profile_id", "bucket_key", "created_at", "zone", now=self.mode.now())

    def clock(self, rows: Any) -> Clock:
        """The moment of evaluation and the run's values on attached rows."""
        now = rows.now if self.mode.scoped else self.mode.now()

        def ref(path: str) -> ComparedValue:
            if path not in self.mode.refs:
                return ComparedValue()
            n = self.mode.refs.index(path)
            return ComparedValue(**{kind: rows[_ref_column(n, kind)] for kind in REF_KINDS})

        return Clock(now=now, refs=ref)

    def attach(self, rows: Any) -> Any:
        """Rows keyed by the profile they were recorded for → by the subject in scope, with its `now`.

        Rows of other profiles are dropped. For accounts a member's rows count while a member.
        """
        if self.mode.trusted_only:
            rows = rows.filter(sure(rows[TRUSTED]))
        if self.mode.as_of:
            rows = rows.filter(rows.known_at <= self.mode.now())
        ids = self._identifiers
        if ids is None:
            if not self.schema.has_merges:
                return rows.mutate(now=self.mode.now())
            joined = rows.left_join(self.canon, rows.profile_id == self.canon.from_id)
            owner = ibis.coalesce(joined.to_id, joined.profile_id)
            others = [c for c in rows.columns if c != "profile_id"]
            return joined.select(*others, profile_id=owner, now=self.mode.now())
        kept = rows.rename(identified_id="profile_id")
        joined = kept.join(ids, kept.identified_id == ids.id)
        if self.mode.subject == "account":
            joined = joined.filter(joined.time >= joined.since)
        # Of an account's rows the member stays known: `{distinct: {of: profile_id}}` counts people.
        drop = [c for c in ("identified_id", "id", "since") if c in joined.columns]
        attached = joined.drop(*drop)
        return attached if self.mode.scoped else attached.mutate(now=self.mode.now())

    def attach_own(self, rows: Any) -> Any:
        """As `attach`, for rows that belong to the subject itself (traits): never through a membership."""
        if self.mode.subject == "account":
            return SubjectRows(self.schema, replace(self.mode, subject="person")).attach(rows)
        return self.attach(rows)

    def _build_identifiers(self) -> Any:
        if self.mode.subject == "account":
            return self._member_identifiers()
        if not self.mode.scoped:
            return None
        own = self.scope.select("profile_id", *self.carried, id=self.scope.profile_id)
        if not self.schema.has_merges:
            return own
        merged = self.canon.join(self.scope, self.canon.to_id == self.scope.profile_id)
        return own.union(merged.select("profile_id", *self.carried, id=merged.from_id))

    def _member_identifiers(self) -> Any:
        members = self.members()
        keys = ["member_id", "account_id"]
        since = members.group_by(keys).aggregate(since=members.since.min())
        own = since.select(
            id=since.member_id, member_id=since.member_id, profile_id=since.account_id, since=since.since
        )
        if self.schema.has_merges:
            merged = self.canon.join(since, self.canon.to_id == since.member_id)
            merged = merged.select(
                id=merged.from_id, member_id=merged.member_id, profile_id=merged.account_id, since=merged.since
            )
            own = own.union(merged)
        if self.mode.scoped:
            scoped = own.join(self.scope, "profile_id")
            own = scoped.select("id", "member_id", "profile_id", "since", *self.carried)
        return own

    def members(self) -> Any:
        """Memberships with the member as it is known now: member_id, account_id, since, known_at."""
        rows = table("account_members", MEMBERS)
        if self.mode.as_of:
            rows = rows.filter(rows.known_at <= self.mode.now())
        if not self.schema.has_merges:
            return rows.select(member_id=rows.profile_id, account_id=rows.account_id, since=rows.since)
        joined = rows.left_join(self.canon, rows.profile_id == self.canon.from_id)
        member = ibis.coalesce(joined.to_id, joined.profile_id)
        # A computed column cannot be joined on while the chain of joins is still open; `view` closes it.
        return joined.select("account_id", "since", member_id=member).view()
