"""`keepers mailbox`: a mail server that delivers nothing and shows what arrived, for trying things out."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from keepers.channels.mailbox import Mailbox
from keepers.cli.asking import errors
from keepers.cli.main import app
from keepers.wire import clock


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
