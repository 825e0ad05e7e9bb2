"""Run by Alembic for every command; `migrate.py` hands it the connection and the part of the store."""

from __future__ import annotations

from alembic import context

part = context.config.attributes["part"]
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=part.metadata,
    version_table=part.version_table,
    compare_type=True,
    # SQLite cannot alter most things in place; Alembic then copies the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
