"""Many rows at once: inserting and looking up in chunks, the fastest way each engine offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    Table,
    any_,
    func,
    literal,
    select,
)
from sqlalchemy.exc import DBAPIError

from keepers.store.schema.core import Instant, to_microseconds

T = TypeVar("T")

CHUNK = 5000
"""parameters in one IN list: under the limits of both engines"""


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Consecutive slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_rows(connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Appends rows given as tuples in the order of `names`. COPY on PostgreSQL, executemany on SQLite.

    Raises IntegrityError where a key is already there (nothing is then inserted once the caller rolls back).
    """
    if not rows:
        return
    for column in table.columns:
        if column.default is not None and column.default.is_callable and column.name not in names:
            raise ValueError(f"{table.name}.{column.name} has to be given")
    listed = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" for _ in names)
        connection.exec_driver_sql(
            f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks})', _with_microseconds(rows, _instants(table, names))
        )
        return
    import psycopg  # with PostgreSQL alone

    statement = f'COPY "{table.name}" ({listed}) FROM STDIN'
    try:
        with connection.connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        # This bypasses SQLAlchemy, and callers expect its errors.
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def _with_microseconds(rows: list[tuple[Any, ...]], instants: list[int]) -> list[tuple[Any, ...]]:
    if not instants:
        return rows
    columns = list(zip(*rows, strict=True))
    for i in instants:
        # Whole batches share one instant of arrival, so distinct ones are few.
        known = {value: None if value is None else to_microseconds(value) for value in set(columns[i])}
        columns[i] = tuple(known[value] for value in columns[i])
    return list(zip(*columns, strict=True))


def select_in(
    connection: Connection, query: Select[Any], column: Column[Any], values: Sequence[Any]
) -> list[Row[*tuple[Any, ...]]]:
    """The query's rows whose `column` is one of `values`, read in chunks."""
    rows: list[Row[*tuple[Any, ...]]] = []
    for chunk in chunks(values):
        # Fetched at once: row by row costs several times as much.
        rows += connection.execute(query.where(_is_one_of(connection, column, list(chunk)))).all()
    return rows


def distinct(connection: Connection, column: Column[Any], condition: ColumnElement[bool] | None = None) -> list[Any]:
    """The values of a column that has few of them, where an index leads with it: one step per value.

    `SELECT DISTINCT` would read the whole index.
    """
    found: list[Any] = []
    query = select(func.min(column)) if condition is None else select(func.min(column)).where(condition)
    value = connection.execute(query).scalar_one()
    while value is not None:
        found.append(value)
        value = connection.execute(query.where(column > value)).scalar_one()
    return found


def _is_one_of(connection: Connection, column: Column[Any], values: list[Any]) -> ColumnElement[bool]:
    """The list as a single parameter: a statement with thousands of them takes longer to build than to run."""
    if connection.dialect.name == "postgresql":
        return column == any_(literal(values, ARRAY(column.type)))
    if isinstance(column.type, LargeBinary):
        return column.in_(values)
    listed = func.json_each(msgspec.json.encode(values).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def insert_new(
    connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]], returning: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Appends the rows whose keys are not there yet; returns the columns `returning` of each.

    The table assigns `id` itself. Rows that are there already stay as they are.
    """
    listed = ", ".join(f'"{name}"' for name in names)
    returned = ", ".join(f'"{name}"' for name in returning)
    if not rows:
        return []
    if connection.dialect.name == "sqlite":
        # The transaction has the only writer's lock and numbers are not used twice: what is new is past the last.
        before = connection.exec_driver_sql(f'SELECT max(id) FROM "{table.name}"').scalar_one() or 0
        marks = ", ".join("?" for _ in names)
        connection.exec_driver_sql(
            f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks}) ON CONFLICT DO NOTHING',
            _with_microseconds(rows, _instants(table, names)),
        )
        query = f'SELECT {returned} FROM "{table.name}" WHERE id > ? ORDER BY id'
        return [tuple(row) for row in connection.exec_driver_sql(query, (before,))]
    added: list[tuple[Any, ...]] = []
    for chunk in chunks(rows):
        statement = (
            f'INSERT INTO "{table.name}" ({listed}) SELECT * FROM unnest({_arrays(connection, table, names)})'
            f" ON CONFLICT DO NOTHING RETURNING {returned}"
        )
        columns = tuple(list(column) for column in zip(*chunk, strict=True))
        added += [tuple(row) for row in connection.exec_driver_sql(statement, columns)]
    return added


def update_rows(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: list[tuple[Any, ...]],
    key: Sequence[str] = ("id",),
) -> int:
    """Sets `names` of many rows at once and returns how many were there.

    Each tuple has the values in the order of `names`, and last those of the `key` that finds the row.
    """
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        setting = ", ".join(f'"{name}" = ?' for name in names)
        finding = " AND ".join(f'"{name}" = ?' for name in key)
        result = connection.exec_driver_sql(
            f'UPDATE "{table.name}" SET {setting} WHERE {finding}',
            _with_microseconds(rows, _instants(table, [*names, *key])),
        )
        return result.rowcount
    # A column may be both set and looked for, so those of the key have names of their own.
    columns_of_new = ", ".join([*(f'"{name}"' for name in names), *(f'"old_{name}"' for name in key)])
    setting = ", ".join(f'"{name}" = given."{name}"' for name in names)
    finding = " AND ".join(f'kept."{name}" = given."old_{name}"' for name in key)
    statement = (
        f'UPDATE "{table.name}" AS kept SET {setting}'
        f" FROM unnest({_arrays(connection, table, [*names, *key])}) AS given({columns_of_new}) WHERE {finding}"
    )
    changed = 0
    for chunk in chunks(rows):
        columns = tuple(list(column) for column in zip(*chunk, strict=True))
        changed += connection.exec_driver_sql(statement, columns).rowcount
    return changed


def _instants(table: Table, names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if isinstance(table.c[name].type, Instant)]


def _arrays(connection: Connection, table: Table, names: Sequence[str]) -> str:
    """A parameter per column, each a whole column of values."""
    return ", ".join(f"%s::{table.c[name].type.compile(connection.dialect)}[]" for name in names)
