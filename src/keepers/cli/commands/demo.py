"""`keepers demo`: a real shop's history, played as a time-lapse, then served."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from keepers.cli.common import app
from keepers.cli.progress import errors


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Folder of the demo's workspace; replaced each time.")] = Path(
        "demo-workspace"
    ),
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Invoices in the form of UCI Online Retail, instead of CDNOW.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            "--messages",
            "--letters",
            min=0,
            max=100,
            help="Percent of the customers who get messages, at made-up addresses.",
        ),
    ] = 10,
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
    from keepers.cli.demo_player import play_demo

    play_demo(directory, data, sample, customers, weeks, no_serve, port)


@app.command()
def mailbox(
    folder: Annotated[Path, typer.Argument(help="Folder that keeps what arrives, one .eml file per mail.")] = Path(
        "mailbox"
    ),
    smtp_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the mail server; 0 takes any.")] = 1025,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any.")] = 8025,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run an SMTP server that delivers nothing and shows what it received on a page."""
    from keepers.app.workspace.clock import clock
    from keepers.devtools.mailbox import Mailbox

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
