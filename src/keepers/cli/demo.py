"""`keepers demo`: a real shop's history, played as a time-lapse, then served."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
from rich.console import Console

from keepers.cli import commands, demo_data, demo_mail, demo_report, present
from keepers.cli.asking import reporting
from keepers.cli.demo_mailbox import DemoMailbox
from keepers.cli.main import app
from keepers.cli.timelapse import play
from keepers.model.errors import ConflictError
from keepers.model.moments import format_instant
from keepers.playbook.starters import install_journeys
from keepers.settings import FILE
from keepers.wire import Workspace, clock, create

MARK = ".keepers-demo"
LIFECYCLES = ["value", "finders-keepers"]
out = Console(highlight=False)


class Timings(Struct):
    parts: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.parts[part] = self.parts.get(part, 0) + time.monotonic() - started


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Folder of the demo's workspace; made anew each time.")] = Path(
        "demo-workspace"
    ),
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Invoices in the form of UCI Online Retail, instead of CDNOW.")
    ] = None,
    letters: Annotated[
        int, typer.Option(min=0, max=100, help="Percent of the customers who are written to, at made-up addresses.")
    ] = demo_mail.SHARE,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after printing.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the status page.")] = None,
) -> None:
    """Play a real shop's history week by week: every customer's stage, who moves, and why."""
    timings = Timings()
    history = demo_data.online_retail(data) if data is not None else demo_data.cdnow(letters)
    workspace = _fresh(directory.absolute(), history.shop)
    mailbox = DemoMailbox(workspace.folder / demo_mail.MAILBOX) if history.sample else None
    if mailbox is not None:
        workspace = _with_mail(workspace, mailbox)
    post: demo_mail.Post | None = None
    try:
        first, last = _import(workspace, history, timings)
        commands.apply(workspace, _no_progress)
        if mailbox is not None:
            played = demo_mail.purchases(workspace.data_folder / "history" / history.sample)
            post = demo_mail.Post(workspace, mailbox, played, first)
            out.print(demo_mail.ABOUT.format(share=letters, customers=len({p.customer for p in played})))
        with workspace.sequencing("keepers demo") as ticker:
            out.print("\n[bold]The time-lapse[/]: week by week, as if you had been there.\n")
            with timings.timed("time-lapse"):
                play(workspace, ticker, first, last, out, post)
        _report(workspace, last, timings)
        if post is not None:
            demo_report.letters(workspace, post, out)
        if no_serve:
            out.print(f"\nThe workspace stays in {directory}; try `keepers -w {directory} stages value`.")
            return
        _serve(workspace, port, mailbox)
    finally:
        if post is not None:
            post.close()
        if mailbox is not None:
            mailbox.stop()
        workspace.close()


def _fresh(folder: Path, shop: str) -> Workspace:
    """A new workspace; an earlier demo's is replaced, anything else is left alone."""
    if (folder / MARK).is_file():
        running = Workspace.open(folder).server()
        if running is not None:
            raise ConflictError(f"A server has {folder} open ({running['address']}). Stop it, or name another folder.")
        shutil.rmtree(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty and no demo's. Name another folder: keepers demo DIR.")
    create(folder, LIFECYCLES, shop)
    (folder / MARK).write_text("Made by `keepers demo`, which replaces this folder.\n", encoding="utf-8")
    workspace = Workspace.open(folder)
    workspace.ensure_key("write", "demo write key")
    workspace.ensure_key("secret", "demo secret key")
    return workspace


def _with_mail(workspace: Workspace, mailbox: DemoMailbox) -> Workspace:
    """The workspace with three starter journeys, sending to the mailbox."""
    with (workspace.folder / FILE).open("a", encoding="utf-8") as settings:
        settings.write(demo_mail.SETTINGS.format(port=mailbox.smtp_port))
    for path in install_journeys(workspace.playbook_folder, demo_mail.JOURNEYS):
        path.write_text(demo_mail.for_the_sample(path.read_text(encoding="utf-8")), encoding="utf-8")
    workspace.close()
    return Workspace.open(workspace.folder)


def _import(workspace: Workspace, history: demo_data.History, timings: Timings) -> tuple[datetime, datetime]:
    out.print(f"[bold]{history.shop}[/]: {history.about}")
    weeks = demo_data.weeks_to_shift(history.last, clock())
    prepared = workspace.data_folder / "history"
    with timings.timed("prepare"):
        files = history.prepare(prepared, timedelta(weeks=weeks))
    out.print(
        f"Dates are shifted by {weeks:,} whole weeks, so that {history.last.date()} becomes "
        f"{(history.last + timedelta(weeks=weeks)).date()} and weekdays stay."
    )
    for note in history.notes:
        out.print(f"  {note}")
    shift = timedelta(weeks=weeks)
    for file, mapping in files:
        with timings.timed("import"), reporting(f"Importing {file.name}") as report:
            # As if it had been sent in when the time-lapse begins: what comes later than that is no import's doing.
            done = commands.import_file(
                workspace, report, str(file), mapping, now=format_instant(history.first + shift)
            )
        out.print(
            f"{file.name}: {done['loaded']:,} rows imported in {done['seconds']:.1f} s"
            + (f", {done['rejected']:,} rejected" if done["rejected"] else "")
        )
    return history.first + shift, min(history.last + shift + timedelta(days=1), clock())


def _report(workspace: Workspace, last: datetime, timings: Timings) -> None:
    now = last.isoformat()
    with timings.timed("answers"):
        answers = [commands.stages(workspace, _no_progress, name, now) for name in LIFECYCLES]
        moved = commands.moves(workspace, _no_progress, "28d ago", LIFECYCLES[0], now)
        one = commands.profile(workspace, _no_progress, _example(workspace), now)
    out.print("\n[bold]Where every customer stands now[/]")
    for answer in answers:
        present.stages(answer)
    out.print("\n[bold]Who moved in the last four weeks[/]")
    present.moves(moved)
    out.print("\n[bold]One customer, explained[/]")
    present.profile(one)
    out.print("\n[bold]Time[/]")
    for part, seconds in timings.parts.items():
        out.print(f"  {part:<12} {seconds:6.1f} s")
    out.print(f"  {'in all':<12} {sum(timings.parts.values()):6.1f} s")


def _example(workspace: Workspace) -> str:
    """A customer worth explaining: of those who moved lately, one that went back and forth most."""
    row = (
        workspace.warehouse.cursor()
        .execute(
            """
            SELECT c.profile_id
            FROM changes c
            JOIN asks a ON a.ask = c.ask AND a.is_active AND a.definition = 'lifecycle:value'
            GROUP BY c.profile_id
            ORDER BY count(*) DESC, max(c."at") DESC, c.profile_id
            LIMIT 1
            """
        )
        .fetchone()
    )
    return f"#{row[0]}" if row else "#1"


def _serve(workspace: Workspace, port: int | None, mailbox: DemoMailbox | None) -> None:
    from keepers.running.serving import serve

    if mailbox is not None:
        out.print(f"\nRead what was sent: [bold]{mailbox.url}[/]")
    out.print("\nServing the status page and the API; stop with Ctrl-C.")
    serve(workspace, port=port, on_started=lambda address: out.print(f"Open [bold]{address}/[/]"))


def _no_progress(done: int, total: int) -> None:
    """What is done at once shows no progress."""
