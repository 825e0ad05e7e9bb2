"""What has arrived of an event, for `check`: the currencies of its amounts, those without a rate, and by which ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepers.conditions.currencies import Currencies, Unrated
from keepers.conditions.schema import EVENT_KINDS, TRUSTED, EventTable
from keepers.warehouse.names import literal, quoted
from keepers.warehouse.privacy.retention import EMPTIED

if TYPE_CHECKING:
    from keepers.conditions.graph import NamedProperties
    from keepers.warehouse.database import Warehouse

_MOST = 20


def currencies_seen(warehouse: Warehouse, event: str, path: str) -> tuple[str, ...]:
    """The values a property of an event has had, at most twenty, in order; empty where it is not kept in a column that
    is filled for all rows."""
    table = _read_from(warehouse, event)
    column = table.columns.get(path, {}).get("text")
    if column is None:
        return ()
    query = f"SELECT DISTINCT {quoted(column)} FROM {quoted(table.table)} WHERE {quoted(column)} <> '' LIMIT {_MOST}"
    return tuple(sorted(str(value) for (value,) in warehouse.cursor().execute(query).fetchall()))


def unrated_amounts(warehouse: Warehouse, event: str, path: str, currency: str, rates: Currencies) -> list[Unrated]:
    """The amounts of an event, by currency, that have no rate at the event's time; none where the amount or
    its currency is not kept in a column of its own that is filled for all rows."""
    table = _read_from(warehouse, event)
    amount = table.columns.get(path, {}).get("number")
    if amount is None or (currency not in table.columns and table.in_record(currency)):
        return []
    column = table.columns.get(currency, {}).get("text")
    named = f"nullif(upper(trim({quoted(column)})), '')" if column else "NULL::VARCHAR"
    starts = rates.starts
    query = f"""
        SELECT coalesce(e.code, ''), count(*), min(e.time), max(e.time)
        FROM (
            SELECT coalesce({named}, $default::VARCHAR) AS code, time
            FROM {quoted(table.table)}
            WHERE {quoted(amount)} IS NOT NULL
        ) e
        LEFT JOIN (SELECT unnest($codes) AS code, unnest($starts) AS start) r ON r.code = e.code
        WHERE r.start IS NULL OR e.time < r.start
        GROUP BY 1
        ORDER BY 1
    """
    parameters = {"default": rates.default, "codes": list(starts), "starts": list(starts.values())}
    return [Unrated(*row) for row in warehouse.cursor().execute(query, parameters).fetchall()]


def _read_from(warehouse: Warehouse, event: str) -> EventTable:
    registry = warehouse.registry
    return registry.event_table(event) if event in registry.events else EventTable(event=event)


def rows_by_trust(warehouse: Warehouse, event: str) -> tuple[int, int]:
    """How many rows of an event are trusted, and how many came by public keys."""
    if event not in warehouse.registry.events and not warehouse.registry.has_more_events:
        return 0, 0
    typed = _read_from(warehouse, event).table
    table, column, only = "tracks", "trusted", f" WHERE event = {literal(event)} AND kind IN {EVENT_KINDS}"
    if typed:
        table, column, only = quoted(typed), quoted(TRUSTED), ""
    query = f"SELECT count(*) FILTER ({column}), count(*) FILTER (NOT {column}) FROM {table}{only}"
    (found,) = warehouse.cursor().execute(query).fetchall()
    return int(found[0]), int(found[1])


def emptied_events(warehouse: Warehouse, named: NamedProperties) -> dict[str, int]:
    """Event → how many of its rows by public keys have lost their JSON, of those that would get a table or columns if
    the playbook named these properties: these rows cannot fill them."""
    short = [event for event, paths in named.items() if warehouse.registry.is_short_of(event, paths)]
    query = (
        f"SELECT event, count(*) FROM tracks WHERE raw = '{EMPTIED}' AND NOT trusted AND kind IN {EVENT_KINDS}"
        " AND event IN (SELECT unnest(?::VARCHAR[])) GROUP BY event ORDER BY event"
    )
    return dict(warehouse.cursor().execute(query, [short]).fetchall()) if short else {}


def unlisted_rows(warehouse: Warehouse) -> int:
    """How many rows are of events that are not listed, since too many names came by public keys."""
    query = f"SELECT count(*) FROM tracks WHERE kind IN {EVENT_KINDS} AND event NOT IN (SELECT event FROM event_names)"
    (found,) = warehouse.cursor().execute(query).fetchall()
    return int(found[0])
