"""PostgreSQL's own programs: a dump of the database as of one moment, and its way back into an empty one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import inspect, text
from sqlalchemy.engine import URL, make_url

from keepers.model.errors import ConflictError, UserError, problem
from keepers.store.database import Store

DUMP = "store.dump"
"""the folder that a dump is"""
_LOOKS_EVERY_S = 0.1
_OPTIONS = ("--no-owner", "--no-privileges", "--no-password")


class PostgresSnapshot:
    """The database as of the moment when this is made, held by a transaction whose snapshot is exported.

    Raises UserError where pg_dump is not installed.
    """

    def __init__(self, store: Store) -> None:
        self._program = _program("pg_dump")
        self._url = store.engine.url
        self._connection = store.engine.connect().execution_options(isolation_level="REPEATABLE READ")
        self._name = self._connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()

    def write(self, folder: Path, on_step: Callable[[], None]) -> list[Path]:
        """A file for each table, uncompressed: what did not change is the same in the next one.

        Raises UserError with what pg_dump says, such as that the server is newer.
        """
        target = folder / DUMP
        dump = ["--format=directory", "--compress=0", f"--snapshot={self._name}", f"--file={target}"]
        _run([self._program, *dump, *_OPTIONS], self._url, on_step)
        return sorted(target.iterdir())

    def close(self) -> None:
        self._connection.close()


def restore_dump(dump: Path, address: str, on_step: Callable[[], None]) -> None:
    """Fills a database with a dump, all of it or nothing.

    Raises ConflictError where the database is not empty, UserError where it or pg_restore cannot be used.
    """
    program = _program("pg_restore")
    store = Store.open(address)
    try:
        store.ping()
        tables = inspect(store.engine).get_table_names()
    finally:
        store.close()
    if tables:
        raise ConflictError(
            problem(
                "The database {store} is not empty: it has {number} tables. Make a new one and name that.",
                store=store.place,
                number=len(tables),
            ),
            code="exists",
        )
    _run([program, "--single-transaction", "--exit-on-error", *_OPTIONS, str(dump)], store.engine.url, on_step)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(
            problem(
                "{program} is not installed, which is needed for a store on PostgreSQL. Install PostgreSQL's client "
                "programs, of the server's version or newer; or see docs/howto/back-up-and-restore.md for the way "
                "without.",
                program=name,
            ),
            code="backup",
        )
    return found


def _run(command: list[str], url: URL, on_step: Callable[[], None]) -> None:
    """Runs a program on the database. The password is given in its environment: others can see a command's words."""
    address = without_password(url)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    with TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, f"--dbname={address}"], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                on_step()
                try:
                    code = process.wait(_LOOKS_EVERY_S)
                except subprocess.TimeoutExpired:
                    continue
                break
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    if code:
        raise UserError(
            problem(
                "{program} failed: {reason}. It must be of the server's version or newer, first on PATH, and reach the "
                "database.",
                program=Path(command[0]).name,
                reason=" ".join(lines[-3:]).rstrip(".") or str(code),
            ),
            code="backup",
        )


def without_password(address: str | URL) -> str:
    """An address that says everything but the password, as `postgresql://…`."""
    # `set` takes None for no change.
    url = make_url(address)._replace(drivername="postgresql", password=None)
    return url.render_as_string(hide_password=False)
