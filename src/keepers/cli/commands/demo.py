"""`keepers demo`: a real shop's history, played as a time-lapse, then served."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console

from keepers.app.customers import lifecycles, profiles
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.cli.common import app
from keepers.cli.present import customers
from keepers.cli.present.timelapse import line, picture
from keepers.cli.progress import errors, reporting
from keepers.devtools import demo_data, demo_mail, demo_report
from keepers.devtools.demo import LIFECYCLES, Timings, _example, _fresh, _import, _with_mail
from keepers.devtools.demo_mailbox import DemoMailbox
from keepers.devtools.mailbox import Mailbox
from keepers.devtools.timelapse import play

out = Console(highlight=False)


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
    customers: Annotated[
        int,
        typer.Option(min=1, max=100, help="Percent of CDNOW's customers who are played; fewer take less time."),
    ] = 100,
    weeks: Annotated[
        int | None, typer.Option(min=1, help="Play only so many of CDNOW's 78 weeks, from the first on.")
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after printing.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the status page.")] = None,
) -> None:
    """Play a real shop's history week by week: every customer's stage, who moves, and why."""
    timings = Timings()
    history = demo_data.online_retail(data) if data is not None else demo_data.cdnow(letters, customers, weeks)
    workspace = _fresh(directory.absolute(), history.shop)
    mailbox = DemoMailbox(workspace.folder / demo_mail.MAILBOX) if history.sample else None
    if mailbox is not None:
        workspace = _with_mail(workspace, mailbox)
    post: demo_mail.Post | None = None
    try:
        first, last = _import(workspace, history, timings, out.print, reporting)
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
        if mailbox is not None:
            played = demo_mail.purchases(workspace.data_folder / "history" / history.sample)
            post = demo_mail.Post(workspace, mailbox, played, first)
            out.print(demo_mail.ABOUT.format(share=letters, customers=len({p.customer for p in played})))
        with workspace.sequencing("keepers demo") as ticker:
            out.print("\n[bold]The time-lapse[/]: week by week, as if you had been there.\n")
            with timings.timed("time-lapse"):
                play(workspace, ticker, first, last, out, picture, line, post)
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


def _report(workspace: Workspace, last: datetime, timings: Timings) -> None:
    now = last.isoformat()
    with timings.timed("answers"):
        asked = [lifecycles.ReadLifecycle(id=name, now=now) for name in LIFECYCLES]
        answers = [lifecycles.read_lifecycle(workspace, COMMAND_LINE, one) for one in asked]
        since_then = lifecycles.ListMoves(id=LIFECYCLES[0], since="28d ago", now=now)
        moved = lifecycles.list_moves(workspace, COMMAND_LINE, since_then)
        one = profiles.read_profile(workspace, COMMAND_LINE, profiles.ReadProfile(id=_example(workspace), now=now))
    out.print("\n[bold]Where every customer stands now[/]")
    for answer in answers:
        customers.stages(answer)
    out.print("\n[bold]Who moved in the last four weeks[/]")
    customers.moves(moved)
    out.print("\n[bold]One customer, explained[/]")
    customers.profile(one)
    out.print("\n[bold]Time[/]")
    for part, seconds in timings.parts.items():
        out.print(f"  {part:<12} {seconds:6.1f} s")
    out.print(f"  {'in all':<12} {sum(timings.parts.values()):6.1f} s")


def _serve(workspace: Workspace, port: int | None, mailbox: DemoMailbox | None) -> None:
    from keepers.server.serve import serve

    if mailbox is not None:
        out.print(f"\nRead what was sent: [bold]{mailbox.url}[/]")
    out.print("\nServing the status page and the API; stop with Ctrl-C.")
    serve(workspace, port=port, on_started=lambda address: out.print(f"Open [bold]{address}/[/]"))


@app.command()
def mailbox(
    folder: Annotated[Path, typer.Argument(help="Folder that keeps what arrives, one .eml file per mail.")] = Path(
        "mailbox"
    ),
    smtp_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the mail server; 0 takes any.")] = 1025,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any.")] = 8025,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Take mail as a server would, deliver none of it, and show it on a page."""
    box = Mailbox(folder, host, smtp_port, port, now=clock)
    box.start()
    errors.print(
        f"Mail to {host}:{box.smtp_port} is kept in {folder} and shown at {box.url}. Ctrl-C stops it.\n"
        f'To send there, put into keepers.toml: [channels.email] host = "{host}", port = {box.smtp_port}, '
        'tls = "none", sender = "Shop <hello@shop.example>"',
        markup=False,
        soft_wrap=True,
    )
    try:
        Event().wait()
    finally:
        box.stop()
