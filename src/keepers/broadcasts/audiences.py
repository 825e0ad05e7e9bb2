"""Audiences of broadcasts: the members at a moment, with what a message needs of them, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from keepers.conditions import ast
from keepers.conditions.compile.tables import Mode
from keepers.conditions.definitions import Segment
from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator, with_segment
from keepers.render.customer_data import nested
from keepers.warehouse import engagement_times
from keepers.warehouse.fixed_tables import TRAIT_ORDER

CHUNK = 20_000
_AUDIENCE = "broadcast-audience"
_COUNTRY = "country"


class Member(NamedTuple):
    """One of an audience. `customer` is JSON of the requested traits, nested."""

    profile_id: int
    bucket_key: str
    zone: str
    country: str | None
    address: str | None
    is_shared: bool
    """others of the audience have the same address"""
    engaged_at: datetime | None
    customer: str
    is_unconfirmed: bool = False
    """the address is known from public keys alone"""


class Audience:
    """A table of the warehouse, kept until the broadcast has queued its messages, or a temporary one for previews.

    Belongs to the thread that made it. `name` is the table's.
    """

    def __init__(self, evaluator: Evaluator, name: str, *, is_temporary: bool = False) -> None:
        self._evaluator = evaluator
        self._warehouse = evaluator.warehouse
        self._name = name
        self._kind = "TEMP TABLE" if is_temporary else "TABLE"

    def exists(self) -> bool:
        rows = self._cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [self._name]).fetchall()
        return bool(rows)

    def freeze(
        self,
        queries: ActiveQueries,
        who: ast.Condition,
        now: datetime,
        address_trait: str,
        named: frozenset[str] | None,
        *,
        as_of: bool = False,
    ) -> int:
        """Stores everybody for whom the condition holds; how many.

        `named` are the traits that messages name, by their first part; None for all. By the answers of the last tick,
        or with `as_of` computed again, over what was known by then.
        """
        return self._fill(self._ids(queries, who, now, as_of), address_trait, named)

    def freeze_these(self, chunks: Iterator[Sequence[int]], address_trait: str, named: frozenset[str] | None) -> int:
        """Stores customers given by id, in chunks. Merged profiles are replaced by their survivors."""
        cursor = self._cursor
        cursor.execute("CREATE OR REPLACE TEMP TABLE broadcast_named (profile_id BIGINT)")
        for chunk in chunks:
            cursor.register("arriving_named", pa.table({"id": pa.array(chunk, pa.int64())}))
            cursor.execute("INSERT INTO broadcast_named SELECT id FROM arriving_named")
            cursor.unregister("arriving_named")
        merged = "LEFT JOIN canon c ON c.from_id = n.profile_id"
        query = f"SELECT DISTINCT coalesce(c.to_id, n.profile_id) AS profile_id FROM broadcast_named n {merged}"
        return self._fill(query, address_trait, named)

    def size(self) -> int:
        return int(self._one(f"SELECT count(*) FROM {self._name}"))

    def chunk(self, after: int, limit: int = CHUNK) -> list[Member]:
        """Members past a profile id, by id."""
        rows = self._cursor.execute(
            f"SELECT * FROM {self._name} WHERE profile_id > ? ORDER BY profile_id LIMIT ?", [after, limit]
        ).fetchall()
        return list(map(Member._make, rows))

    def drop(self) -> None:
        self._cursor.execute(f"DROP TABLE IF EXISTS {self._name}")

    @property
    def _cursor(self) -> duckdb.DuckDBPyConnection:
        return self._warehouse.cursor()

    def _one(self, query: str) -> Any:
        row = self._cursor.execute(query).fetchone()
        assert row is not None
        return row[0]

    def _ids(self, queries: ActiveQueries, who: ast.Condition, now: datetime, as_of: bool) -> str:
        """A query for the ids of those for whom it holds."""
        if isinstance(who, ast.Anyone):
            return (
                "SELECT profile_id FROM profiles WHERE kind = 'person'"
                " AND profile_id NOT IN (SELECT from_id FROM canon)"
            )
        active = with_segment(queries, Segment(_AUDIENCE, who))
        query = active.by_id[f"segment:{_AUDIENCE}"]
        if as_of or any(isinstance(part, ast.Account) for part in ast.walk(who)):
            self._evaluator.as_of(active, [query.id], now)
            return f"SELECT profile_id FROM asof_states WHERE query_id = {query.number} AND value = 1"
        self._cursor.execute(f"SET VARIABLE now = TIMESTAMP '{now.isoformat(sep=' ')}'")
        schema = self._warehouse.schema(now)
        sql = self._evaluator.sql((query,), schema, active.vocabulary, Mode(subject="person"))
        return f'SELECT profile_id FROM ({sql}) WHERE "v{query.number}" = 1'

    def _fill(self, ids: str, address_trait: str, named: frozenset[str] | None) -> int:
        engagement_times.refresh(self._warehouse)
        traits = self._traits(named)
        wanted = sorted({*traits, _COUNTRY, address_trait} - {""})
        place = {trait: f"t{n}" for n, trait in enumerate(wanted)}
        columns = ", ".join(
            f"arg_max(v.raw, {TRAIT_ORDER}) FILTER (v.trait = {_text(trait)}) AS {column}"
            for trait, column in place.items()
        )
        if address_trait:
            columns += f", max(v.trusted) FILTER (v.trait = {_text(address_trait)}) AS is_confirmed"
        # A browser does not decide where a number belongs that is not its own.
        columns += f", arg_max(v.raw, {TRAIT_ORDER}) FILTER (v.trait = {_text(_COUNTRY)} AND v.trusted) AS own_country"
        is_unconfirmed = "NOT coalesce(f.is_confirmed, true)" if address_trait else "false"
        address = _address(f"f.{place[address_trait]}") if address_trait else "'#' || a.profile_id"
        customer = _json(
            nested({trait: trait for trait in traits}), {trait: f"f.{column}" for trait, column in place.items()}
        )
        # One pass over the traits that matter; addresses are compared in lower case.
        self._cursor.execute(
            f"""
            CREATE OR REPLACE {self._kind} {self._name} AS
            WITH audience AS MATERIALIZED ({ids}),
            found AS (
                SELECT coalesce(c.to_id, v.profile_id) AS profile_id, {columns}
                FROM trait_values v
                LEFT JOIN canon c ON c.from_id = v.profile_id
                WHERE v.trait IN ({", ".join(map(_text, wanted))})
                GROUP BY 1
            ),
            engagement AS (
                SELECT coalesce(c.to_id, e.profile_id) AS profile_id, max(e."at") AS "at"
                FROM engaged e
                LEFT JOIN canon c ON c.from_id = e.profile_id
                GROUP BY 1
            ),
            members AS (
                SELECT a.profile_id, p.bucket_key, p.zone, {_country("f.own_country")} AS country,
                       {address} AS address, e."at" AS engaged_at, {customer} AS customer,
                       {is_unconfirmed} AS is_unconfirmed
                FROM audience a
                JOIN profiles p ON p.profile_id = a.profile_id
                LEFT JOIN found f ON f.profile_id = a.profile_id
                LEFT JOIN engagement e ON e.profile_id = a.profile_id
            )
            SELECT profile_id, bucket_key, zone, country, address,
                   address IS NOT NULL AND count(*) OVER (PARTITION BY lower(address)) > 1 AS is_shared, engaged_at,
                   customer, is_unconfirmed
            FROM members
            ORDER BY profile_id
            """
        )
        return self.size()

    def _traits(self, named: frozenset[str] | None) -> list[str]:
        """The known traits that messages may name."""
        if named is not None and self._warehouse.registry.has_more_traits:
            query = "SELECT DISTINCT trait FROM trait_values WHERE split_part(trait, '.', 1) IN (SELECT unnest(?))"
            return [trait for (trait,) in self._cursor.execute(query, [sorted(named)]).fetchall()]
        known = [row[0] for row in self._cursor.execute("SELECT trait FROM trait_names ORDER BY trait").fetchall()]
        return [t for t in known if named is None or t.partition(".")[0] in named]


def conversions(
    evaluator: Evaluator,
    queries: ActiveQueries,
    goal: ast.Condition,
    arms: Iterator[Sequence[tuple[int, str]]],
    now: datetime,
) -> dict[str, int]:
    """For customers with their variants, in chunks: how many of each variant the goal holds for."""
    active = with_segment(queries, Segment(_AUDIENCE, goal))
    number = active.by_id[f"segment:{_AUDIENCE}"].number
    cursor = evaluator.as_of(active, [f"segment:{_AUDIENCE}"], now)
    found: dict[str, int] = {}
    for chunk in arms:
        people = pa.array([who for who, _ in chunk], pa.int64())
        cursor.register("arriving_arms", pa.table({"id": people, "arm": pa.array([arm for _, arm in chunk])}))
        rows = cursor.execute(
            f"""
            SELECT r.arm, count(DISTINCT s.profile_id)
            FROM arriving_arms r
            LEFT JOIN canon c ON c.from_id = r.id
            JOIN asof_states s ON s.profile_id = coalesce(c.to_id, r.id)
            WHERE s.query_id = {number} AND s.value = 1
            GROUP BY 1
            """
        ).fetchall()
        cursor.unregister("arriving_arms")
        for arm, reached in rows:
            found[arm] = found.get(arm, 0) + reached
    return found


def _json(tree: dict[str, Any], columns: dict[str, str]) -> str:
    """SQL for a JSON object of the traits that have a value, from columns that hold each as JSON; with the id."""

    def members(inner: dict[str, Any]) -> list[str]:
        parts = []
        for name, value in inner.items():
            label = _text(msgspec.json.encode(name).decode() + ":")
            if isinstance(value, dict):
                parts.append(f"{label} || {_object(members(value))}")
            else:
                parts.append(f"{label} || nullif({columns[value]}, 'null')")
        return parts

    return _object([*members({k: v for k, v in tree.items() if k != "id"}), "'\"id\":' || a.profile_id"])


def _object(members: list[str]) -> str:
    # concat_ws leaves out what is NULL: a trait without a value.
    return f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'"


def _address(column: str) -> str:
    is_plain = f"json_type({column}) IN ('VARCHAR', 'UBIGINT', 'BIGINT')"
    return f"CASE WHEN {is_plain} THEN nullif(trim(json_extract_string({column}, '$')), '') END"


def _country(column: str) -> str:
    text = f"json_extract_string({column}, '$')"
    return f"CASE WHEN json_type({column}) = 'VARCHAR' AND length({text}) = 2 THEN upper({text}) END"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
