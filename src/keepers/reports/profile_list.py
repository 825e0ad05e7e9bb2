"""Listings of profiles by trait, segment or stage, and a profile's timeline, in pages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from keepers.warehouse.fixed_tables import TRAIT_ORDER

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator


class Row(Struct, frozen=True):
    profile_id: int
    kind: str
    created_at: datetime
    zone: str
    since: datetime | None = None
    """since when it is in the segment or stage of the filter, where that was recorded"""


class Entry(Struct, frozen=True):
    """Something in a profile's history: an event, or a change of segment or stage (`kind` is `change`)."""

    time: datetime
    kind: str
    number: int
    name: str
    data: dict[str, Any]


class Wanted(Struct, frozen=True):
    """Which profiles: `place` is a query's id and value; `ids` restricts to these; `trait` is a name and a text."""

    kind: str | None = None
    trait: tuple[str, str] | None = None
    place: tuple[str, int] | None = None
    ids: tuple[int, ...] | None = None


def listed(
    evaluator: Evaluator, queries: ActiveQueries, wanted: Wanted, now: datetime | None, after: int, limit: int
) -> list[Row]:
    """Up to `limit` profiles past `after`, by id. `now` None reads the answers the last tick left."""
    cursor = evaluator.warehouse.cursor()
    states, canon, until = "states", "canon", datetime.max.replace(microsecond=0, year=9000)
    if now is not None:
        if wanted.place is not None:
            evaluator.as_of(queries, [wanted.place[0]], now)
        else:
            evaluator.prepare_as_of(now)
        states, canon, until = "asof_states", "asof_canon", now
    since, join = "NULL::TIMESTAMP", ""
    parameters: dict[str, Any] = {"after": after, "until": until, "limit": limit}
    if wanted.place is not None:
        since, join = (
            "s.since",
            f"JOIN {states} s ON s.profile_id = p.profile_id AND s.query_id = $query_id AND s.value = $value",
        )
        parameters |= {"query_id": queries.by_id[wanted.place[0]].number, "value": wanted.place[1]}
    conditions = ""
    if wanted.kind is not None:
        conditions += " AND p.kind = $kind"
        parameters["kind"] = wanted.kind
    if wanted.ids is not None:
        conditions += " AND list_contains($ids::BIGINT[], p.profile_id)"
        parameters["ids"] = list(wanted.ids)
    if wanted.trait is not None:
        conditions += f" AND p.profile_id IN ({_with_trait(canon)})"
        parameters |= {"trait": wanted.trait[0], "text": wanted.trait[1]}
    rows = cursor.execute(
        f"""
        SELECT p.profile_id, p.kind, p.created_at, p.zone, {since}
        FROM profiles p
        {join}
        WHERE p.profile_id > $after AND p.created_at <= $until
          AND p.profile_id NOT IN (SELECT from_id FROM {canon}){conditions}
        ORDER BY p.profile_id
        LIMIT $limit
        """,
        parameters,
    ).fetchall()
    return [Row(*row) for row in rows]


def _with_trait(canon: str) -> str:
    """Subjects whose latest value of `$trait` reads `$text`."""
    return f"""
        SELECT profile_id FROM (
            SELECT coalesce(c.to_id, v.profile_id) AS profile_id, arg_max(v.raw, {TRAIT_ORDER}) AS raw
            FROM trait_values v
            LEFT JOIN {canon} c ON c.from_id = v.profile_id
            WHERE v.trait = $trait AND v.time <= $until AND v.known_at <= $until
            GROUP BY 1
        )
        WHERE raw = $text OR json_extract_string(raw, '$') = $text
    """


def holding_text(evaluator: Evaluator, text: str, after: int, limit: int) -> list[int]:
    """Up to `limit` subjects past `after`, by id, one of whose text traits ever contained the text."""
    cursor = evaluator.warehouse.cursor()
    rows = cursor.execute(
        """
        SELECT DISTINCT coalesce(c.to_id, v.profile_id) AS found
        FROM trait_values v
        LEFT JOIN canon c ON c.from_id = v.profile_id
        WHERE contains(lower(v.text), lower($text)) AND coalesce(c.to_id, v.profile_id) > $after
        ORDER BY found
        LIMIT $limit
        """,
        {"text": text, "after": after, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def current_traits(evaluator: Evaluator, ids: list[int], now: datetime) -> dict[int, dict[str, Any]]:
    """The traits of some subjects as of a moment, by id."""
    rows = (
        evaluator.warehouse.cursor()
        .execute(
            f"""
            SELECT coalesce(c.to_id, v.profile_id), v.trait, arg_max(v.raw, {TRAIT_ORDER})
            FROM trait_values v
            LEFT JOIN canon c ON c.from_id = v.profile_id
            WHERE list_contains($ids::BIGINT[], coalesce(c.to_id, v.profile_id))
              AND v.time <= $now AND v.known_at <= $now
            GROUP BY 1, 2
            ORDER BY 1, 2
            """,
            {"ids": ids, "now": now},
        )
        .fetchall()
    )
    found: dict[int, dict[str, Any]] = {}
    for profile_id, trait, raw in rows:
        value = msgspec.json.decode(raw)
        if value is not None:
            found.setdefault(profile_id, {})[trait] = value
    return found


Position = tuple[datetime, str, int]
"""where a timeline stopped: the time, kind and number of its last entry"""


def timeline(evaluator: Evaluator, profile_id: int, now: datetime, before: Position | None, limit: int) -> list[Entry]:
    """What a subject did and where it moved, latest first, as known by `now`; up to `limit` entries past `before`."""
    cursor = evaluator.prepare_as_of(now)
    time, kind, number = before or (now, "~", 0)
    rows = cursor.execute(
        """
        WITH own AS (SELECT $id AS profile_id UNION SELECT from_id FROM asof_canon WHERE to_id = $id),
        happened AS (
            SELECT t.time, t.kind, t.seq AS number, t.event AS name, t.raw AS raw
            FROM tracks t
            WHERE t.profile_id IN (SELECT profile_id FROM own) AND t.time <= $now AND t.known_at <= $now
            UNION ALL
            SELECT c."at", 'change', c.n, q.definition,
                   json_object('from', f.stage, 'to', o.stage, 'cause', c.cause, 'initial', c.initial)
            FROM changes c
            JOIN standing_queries q ON q.query_id = c.query_id
            LEFT JOIN standing_query_values f ON f.query_id = c.query_id AND f.value = c.from_value
            LEFT JOIN standing_query_values o ON o.query_id = c.query_id AND o.value = c.to_value
            WHERE c.profile_id = $id AND c."at" <= $now AND q.definition NOT LIKE 'account:%'
        )
        SELECT time, kind, number, name, raw
        FROM happened
        WHERE (time, kind, number) < ($time, $kind, $number)
        ORDER BY time DESC, kind DESC, number DESC
        LIMIT $limit
        """,
        {"id": profile_id, "now": now, "time": time, "kind": kind, "number": number, "limit": limit},
    ).fetchall()
    return [Entry(t, k, n, name, _data(k, raw)) for t, k, n, name, raw in rows]


def _data(kind: str, raw: str) -> dict[str, Any]:
    message: dict[str, Any] = msgspec.json.decode(raw)
    if kind == "change":
        return message
    held = message.get("properties") or message.get("traits") or {}
    return held if isinstance(held, dict) else {}
