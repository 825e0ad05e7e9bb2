"""Workspaces for tests: made in a folder on either store, asked through the command's own entry."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

import run_files
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.create import create
from keepers.app.workspace.files.folder import PLAYBOOK
from keepers.app.workspace.workspace import Workspace
from keepers.cli import main as command_line
from keepers.evaluation import query_cache
from keepers.model.identity import Trust
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted
from keepers.warehouse.database import Warehouse


def silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def lay_out(
    folder: Path,
    migrated: Path,
    *,
    lifecycles: Sequence[str] = (),
    playbook: dict[str, Any] | None = None,
    address: str | None = None,
    zone: str = "UTC",
    threads: int | None = 1,
) -> Path:
    """The files of a new workspace. `migrated` is a SQLite store to copy, `address` a PostgreSQL to use.

    `threads` are the warehouse's; None leaves as many as it takes by itself, for tests of what happens at once.
    """
    create(folder, list(lifecycles), "Test shop", zone)
    if address is None:
        shutil.copytree(migrated, folder / "data", dirs_exist_ok=True)
    else:
        with (folder / "keepers.toml").open("a") as settings:
            settings.write(f"[store]\nurl = {msgspec.json.encode(address).decode()}\n")
    if threads is not None:
        with (folder / "keepers.toml").open("a") as settings:
            settings.write(f"[warehouse]\nthreads = {threads}\n")
    if playbook is not None:
        write_playbook(folder, playbook)
    (folder / "data").mkdir(exist_ok=True)
    shutil.copyfile(empty_warehouse(), folder / "data" / "warehouse.duckdb")
    (folder / "data" / query_cache.FOLDER).symlink_to(run_files.compiled_queries(), target_is_directory=True)
    return folder


@cache
def empty_warehouse() -> Path:
    """A warehouse file with its tables and nothing in them: copying it is much quicker than making one."""
    file = Path(tempfile.mkdtemp(dir=run_files.shared_folder())) / "empty.duckdb"
    Warehouse.open(file, threads=1).close()
    return file


def make(folder: Path, migrated: Path, **given: Any) -> Path:
    """A workspace with its playbook applied, as `lay_out` has it."""
    with applied(lay_out(folder, migrated, **given)):
        return folder


@contextlib.contextmanager
def applied(folder: Path) -> Iterator[Workspace]:
    """A workspace, open, with its playbook applied."""
    with opened(folder) as workspace:
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
        yield workspace


def write_playbook(folder: Path, playbook: dict[str, Any]) -> None:
    """Replaces the hand-written part of a playbook."""
    (folder / PLAYBOOK / "own.yaml").write_text(yaml.safe_dump(playbook, allow_unicode=True), encoding="utf-8")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(folder)
    try:
        yield workspace
    finally:
        workspace.close()


def send(
    store: Store, at: datetime, calls: Iterable[dict[str, Any]], path: str = "/v1/batch", trust: Trust = "server"
) -> None:
    """Puts calls into the inbox as the Tracking API does when they arrive at `at`, by default by a server's key."""
    body = msgspec.json.encode({"batch": list(calls)})
    with store.begin_inbox() as connection:
        inbox.append(connection, [Accepted(at, "key", trust, path, body)])


class Ran(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


def keepers(*arguments: object) -> Ran:
    """The command, run inside this process through its real entry: argument parsing, exit codes and all."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["keepers", *map(str, arguments)]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command_line.main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
    return Ran(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


class Outcome(NamedTuple):
    """All a workspace has come to, by names that do not depend on the order of work."""

    states: dict[tuple[str, str], tuple[str, datetime]]
    """(definition, profile) → stage, since"""
    changes: set[tuple[str, str, str, str, datetime]]
    """(definition, profile, from, to, at)"""
    repeated: int
    """changes that are there more than once"""
    tracks: list[tuple[Any, ...]]
    fold: dict[tuple[str, str], str]


def outcome(workspace: Workspace) -> Outcome:
    cursor = workspace.warehouse.cursor()
    named = """
        JOIN standing_queries q ON q.query_id = x.query_id
        JOIN profiles p ON p.profile_id = x.profile_id
    """
    states = cursor.execute(
        f"""
        SELECT q.definition, p.bucket_key, v.stage, x.since FROM states x {named}
        JOIN standing_query_values v ON v.query_id = x.query_id AND v.value = x.value
        """
    ).fetchall()
    changes = cursor.execute(
        f"""
        SELECT q.definition, p.bucket_key, coalesce(f.stage, ''), coalesce(t.stage, ''), x."at" FROM changes x {named}
        LEFT JOIN standing_query_values f ON f.query_id = x.query_id AND f.value = x.from_value
        LEFT JOIN standing_query_values t ON t.query_id = x.query_id AND t.value = x.to_value
        ORDER BY x.n
        """
    ).fetchall()
    tracks = cursor.execute(
        """
        SELECT p.bucket_key, x.kind, x.event, x.time, x.received_at, x.known_at, x.raw FROM tracks x
        JOIN profiles p ON p.profile_id = x.profile_id
        ORDER BY ALL
        """
    ).fetchall()
    fold: dict[tuple[str, str], str] = {}
    for definition, profile, source, target, _ in changes:
        assert fold.get((definition, profile), "") == source, f"a gap in the changes of {profile} in {definition}"
        fold[definition, profile] = target
    return Outcome(
        {(definition, profile): (stage, since) for definition, profile, stage, since in states},
        set(changes),
        len(changes) - len(set(changes)),
        tracks,
        {key: stage for key, stage in fold.items() if stage},
    )
