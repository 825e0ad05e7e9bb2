"""Plays the demo in the terminal: imports a real shop's history, ticks through it week by week, then serves it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rich.console import Console

from keepers.app.customers import lifecycles, profiles
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.cli.present import customers as present
from keepers.cli.present.timelapse import line, picture
from keepers.cli.progress import reporting
from keepers.devtools import demo_data, demo_mail, demo_report
from keepers.devtools.demo import LIFECYCLES, Timings, example_customer, fresh_workspace, import_history, with_mailbox
from keepers.devtools.demo_mailbox import DemoMailbox
from keepers.devtools.timelapse import play

out = Console(highlight=False)


def play_demo(
    directory: Path,
    data: Path | None,
    sample: int,
    customers: int,
    weeks: int | None,
    no_serve: bool,
    port: int | None,
) -> None:
    """Makes the workspace anew, plays the history, reports, and serves until Ctrl-C unless `no_serve`.

    `sample` and `customers` are percentages, as the options of `keepers demo` say. Raises KeepersError.
    """
    timings = Timings()
    history = demo_data.online_retail(data) if data is not None else demo_data.cdnow(sample, customers, weeks)
    workspace = fresh_workspace(directory.absolute(), history.shop)
    mailbox = DemoMailbox(workspace.folder / demo_mail.MAILBOX) if history.sample else None
    if mailbox is not None:
        workspace = with_mailbox(workspace, mailbox)
    post: demo_mail.Post | None = None
    try:
        first, last = import_history(workspace, history, timings, out.print, reporting)
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
        if mailbox is not None:
            played = demo_mail.purchases(workspace.data_folder / "history" / history.sample)
            post = demo_mail.Post(workspace, mailbox, played, first)
            out.print(demo_mail.ABOUT.format(share=sample, customers=len({p.customer for p in played})))
        with workspace.sequencing("keepers demo") as ticker:
            out.print("\n[bold]The time-lapse[/]: week by week, as if you had been there.\n")
            with timings.timed("time-lapse"):
                play(workspace, ticker, first, last, out, picture, line, post)
        _report(workspace, last, timings)
        if post is not None:
            demo_report.print_messages(workspace, post, out)
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
        requests = [lifecycles.ReadLifecycle(id=name, now=now) for name in LIFECYCLES]
        answers = [lifecycles.read_lifecycle(workspace, COMMAND_LINE, one) for one in requests]
        since_then = lifecycles.ListMoves(id=LIFECYCLES[0], since="28d ago", now=now)
        moves = lifecycles.list_moves(workspace, COMMAND_LINE, since_then)
        example = profiles.ReadProfile(id=example_customer(workspace), now=now)
        profile = profiles.read_profile(workspace, COMMAND_LINE, example)
    out.print("\n[bold]Where every customer stands now[/]")
    for answer in answers:
        present.stages(answer)
    out.print("\n[bold]Who moved in the last four weeks[/]")
    present.moves(moves)
    out.print("\n[bold]One customer, explained[/]")
    present.profile(profile)
    out.print("\n[bold]Time[/]")
    for part, seconds in timings.parts.items():
        out.print(f"  {part:<12} {seconds:6.1f} s")
    out.print(f"  {'in all':<12} {sum(timings.parts.values()):6.1f} s")


def _serve(workspace: Workspace, port: int | None, mailbox: DemoMailbox | None) -> None:
    from keepers.app.access.page_access import page_link
    from keepers.server.serve import serve

    if mailbox is not None:
        out.print(f"\nRead what was sent: [bold]{mailbox.url}[/]")
    out.print("\nServing the status page and the API; stop with Ctrl-C.")

    def started(address: str) -> None:
        out.print(f"Open [bold]{page_link(workspace).url}[/] (signs you in, once; `keepers open` makes another link)")

    serve(workspace, port=port, on_started=started)
