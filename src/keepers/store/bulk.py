"""Many rows at once: inserting and looking up in chunks, the fastest way each engine offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import psycopg
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

from keepers.store.tables import Instant, to_microseconds

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
    listed = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "sqlite":
        instants = [i for i, name in enumerate(names) if isinstance(table.c[name].type, Instant)]
        marks = ", ".join("?" for _ in names)
        connection.exec_driver_sql(
            f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks})', _with_microseconds(rows, instants)
        )
        return
    statement = f'COPY "{table.name}" ({listed}) FROM STDIN'
    try:
        with connection.connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        # The driver is spoken to directly; whoever called expects SQLAlchemy's errors all the same.
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
    """The query's rows whose `column` is one of `values`, asked for in chunks."""
    rows: list[Row[*tuple[Any, ...]]] = []
    for chunk in chunks(values):
        # All at once: a row at a time costs several times as much.
        rows += connection.execute(query.where(_is_one_of(connection, column, list(chunk)))).all()
    return rows


def _is_one_of(connection: Connection, column: Column[Any], values: list[Any]) -> ColumnElement[bool]:
    """The list as a single parameter: a statement with thousands of them takes longer to build than to run."""
    if connection.dialect.name == "postgresql":
        return column == any_(literal(values, ARRAY(column.type)))
    if isinstance(column.type, LargeBinary):
        return column.in_(values)
    listed = func.json_each(msgspec.json.encode(values).decode()).table_valued("value")
    return column.in_(select(listed.c.value))
