"""`keepers serve`, `keepers collect`, event intake alone, and `keepers open`, which signs in to the status page."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keepers.cli.common import Folder, Json, app, call, chosen_folder, show
from keepers.cli.progress import errors

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace

Host = Annotated[str | None, typer.Option(help="Address to listen on; else server.host of keepers.toml.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port; else server.port. 0 takes any free one.")]


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    no_tick: Annotated[bool, typer.Option("--no-tick", help="Serve without ticking; `keepers tick` does it.")] = False,
    workspace: Folder = None,
) -> None:
    """Serve the workspace: events in, ticks, the management API and the status page."""
    from keepers.server import serve as serving

    opened = _opened(workspace)
    try:
        serving.serve(opened, host, port, _serving(opened), ticking=not no_tick)
    finally:
        opened.close()
    _stopped()


@app.command()
def collect(host: Host = None, port: Port = None, workspace: Folder = None) -> None:
    """Take events only, beside `keepers serve`; as many of these as are needed, each on a port of its own."""
    from keepers.server import serve as serving

    opened = _opened(workspace)
    try:
        serving.collect(opened, host, port, _started("collects for", opened.settings.workspace.name))
    finally:
        opened.close()
    _stopped()


@app.command("open")
def open_command(
    print_only: Annotated[bool, typer.Option("--print", help="Print the link; open no browser.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Sign in to the status page of the running server: prints a link that works once, and opens it."""
    from keepers.app.access.page_access import MakePageLink, make_page_link
    from keepers.cli.present.operations import page_link

    made = call(workspace, make_page_link, MakePageLink())
    show(made, as_json, page_link)
    if not (print_only or as_json) and sys.stdout.isatty():
        webbrowser.open(made.url)


def _opened(workspace: Path | None) -> Workspace:
    """The workspace, opened. What others could read of its files is named and made private first."""
    from keepers.app.workspace.files.private_files import restrict_files
    from keepers.app.workspace.workspace import Workspace

    opened = Workspace.open(chosen_folder(workspace))
    for path, mode, is_private in restrict_files(opened.folder):
        name = path.relative_to(opened.folder)
        if is_private:
            text = f"Other users could use {name} ({mode:04o}); it is yours alone now."
        else:
            text = f"Other users can use {name} ({mode:04o}), and this user may not change that. Take it from them."
        errors.print(text, style="yellow", markup=False, soft_wrap=True)
    return opened


def _started(does: str, name: str) -> Callable[[str], None]:
    def print_address(address: str) -> None:
        errors.print(f"Keepers {does} “{name}” at {address}. Ctrl-C stops it.", markup=False, soft_wrap=True)

    return print_address


def _serving(workspace: Workspace) -> Callable[[str], None]:
    """Says where it serves, and on the terminal how to see its page."""
    from keepers.app.access.page_access import page_link

    started = _started("serves", workspace.settings.workspace.name)

    def print_link(address: str) -> None:
        started(address)
        if workspace.settings.server.page == "on":
            link = page_link(workspace).url
            errors.print(f"Status page: {link} (once; `keepers open` makes another)", markup=False, soft_wrap=True)

    return print_link


def _stopped() -> None:
    errors.print("Stopped. Every acknowledged event is kept.", markup=False)
