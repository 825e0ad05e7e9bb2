"""Runs the demo."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from keepers.app.operations.imports import ImportFile, import_file, read_mapping
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.use_cases.progress import Progress
from keepers.app.workspace.clock import clock
from keepers.app.workspace.create import create
from keepers.app.workspace.settings import FILE
from keepers.app.workspace.workspace import Workspace
from keepers.devtools import demo_data, demo_mail
from keepers.devtools.demo_mailbox import DemoMailbox
from keepers.model.errors import ConflictError
from keepers.model.moments import format_instant
from keepers.playbook.shipped.journeys import install_journeys

MARK = ".keepers-demo"


LIFECYCLES = ["value", "finders-keepers"]


class Timings(Struct):
    parts: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.parts[part] = self.parts.get(part, 0) + time.monotonic() - started


def fresh_workspace(folder: Path, shop: str) -> Workspace:
    """A new workspace; an earlier demo's is replaced, anything else is left alone."""
    if (folder / MARK).is_file():
        running = Workspace.open(folder).server()
        if running is not None:
            raise ConflictError(f"A server has {folder} open ({running.address}). Stop it, or name another folder.")
        shutil.rmtree(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty and no demo's. Name another folder: keepers demo DIR.")
    create(folder, LIFECYCLES, shop)
    (folder / MARK).write_text("Made by `keepers demo`, which replaces this folder.\n", encoding="utf-8")
    workspace = Workspace.open(folder)
    workspace.ensure_key("write", "demo write key")
    workspace.ensure_key("secret", "demo secret key")
    return workspace


def with_mailbox(workspace: Workspace, mailbox: DemoMailbox) -> Workspace:
    """The workspace with three starter journeys, sending to the mailbox."""
    with (workspace.folder / FILE).open("a", encoding="utf-8") as settings:
        settings.write(demo_mail.SETTINGS.format(port=mailbox.smtp_port))
    for path in install_journeys(workspace.playbook_folder, demo_mail.JOURNEYS):
        path.write_text(demo_mail.for_the_sample(path.read_text(encoding="utf-8")), encoding="utf-8")
    workspace.close()
    return Workspace.open(workspace.folder)


def import_history(
    workspace: Workspace,
    history: demo_data.PurchaseHistory,
    timings: Timings,
    print_line: Callable[[str], None],
    reporting: Callable[[str], AbstractContextManager[Progress]],
) -> tuple[datetime, datetime]:
    """Imports the history, shifted by whole weeks to end now; the first and last moment of the time-lapse."""
    print_line(f"[bold]{history.shop}[/]: {history.about}")
    weeks = demo_data.weeks_to_shift(history.last, clock())
    prepared = workspace.data_folder / "history"
    with timings.timed("prepare"):
        files = history.prepare(prepared, timedelta(weeks=weeks))
    print_line(
        f"Dates are shifted by {weeks:,} whole weeks, so that {history.last.date()} becomes "
        f"{(history.last + timedelta(weeks=weeks)).date()} and weekdays stay."
    )
    for line in history.notes:
        print_line(f"  {line}")
    shift = timedelta(weeks=weeks)
    for file, mapping in files:
        with timings.timed("import"), reporting(f"Importing {file.name}") as report:
            # Received when the time-lapse begins, so that later events count as live and not as imported.
            received = format_instant(history.first + shift)
            request = ImportFile(path=str(file), mapping=read_mapping(mapping), now=received)
            done = import_file(workspace, COMMAND_LINE, request, report)
        print_line(
            f"{file.name}: {done.loaded:,} rows imported in {done.seconds:.1f} s"
            + (f", {done.rejected:,} rejected" if done.rejected else "")
        )
    return history.first + shift, min(history.last + shift + timedelta(days=1), clock())


def example_customer(workspace: Workspace) -> str:
    """The customer with the most moves, as an example to explain."""
    row = (
        workspace.warehouse.cursor()
        .execute(
            """
            SELECT c.profile_id
            FROM changes c
            JOIN standing_queries q ON q.query_id = c.query_id AND q.is_active AND q.definition = 'lifecycle:value'
            GROUP BY c.profile_id
            ORDER BY count(*) DESC, max(c."at") DESC, c.profile_id
            LIMIT 1
            """
        )
        .fetchone()
    )
    return f"#{row[0]}" if row else "#1"


def _no_progress(done: int, total: int) -> None:
    """Progress is not shown."""
