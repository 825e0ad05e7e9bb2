"""The typer application, shared options, run and give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keepers import __version__
from keepers.app.workspace.folder import find_folder

if TYPE_CHECKING:
    import msgspec

    from keepers.app.use_cases.use_case import UseCase

Q = TypeVar("Q", bound="msgspec.Struct")
A = TypeVar("A", bound="msgspec.Struct")

app = typer.Typer(
    name="keepers",
    help="Customer lifecycle marketing: events in, every customer's stage out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


Folder = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", metavar="DIR", help="The workspace; else KEEPERS_WORKSPACE, else this folder."),
]


Json = Annotated[bool, typer.Option("--json", help="Answer as JSON on standard output.")]


Now = Annotated[
    str | None, typer.Option("--now", metavar="ISO", help="Answer as of this moment, over what was known by then.")
]


_chosen: dict[str, Path | None] = {"folder": None}


def version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    workspace: Folder = None,
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _chosen["folder"] = workspace


def chosen_folder(folder: Path | None) -> Path:
    """The workspace's folder: named after the command, before it, by the environment, or the current one."""
    return find_folder(folder or _chosen["folder"])


def call(folder: Path | None, what: UseCase[Q, A], request: Q, doing: str = "") -> A:
    """A use case's answer: of the server that has the workspace open, else worked out here.

    Raises KeepersError, whether it was raised here or in the server.
    """
    from keepers.app.use_cases.actor import COMMAND_LINE
    from keepers.app.workspace.workspace import Workspace
    from keepers.cli.progress import reporting
    from keepers.cli.remote import ServerGoneError, ask_server

    workspace = Workspace.open(chosen_folder(folder))
    try:
        with reporting(doing or what.name.replace("_", " ").capitalize()) as report:
            server = workspace.server()
            if server is not None:
                with suppress(ServerGoneError):
                    return ask_server(server, what, request, report)
            return what(workspace, COMMAND_LINE, request, report)
    finally:
        workspace.close()


def show(answer: A, as_json: bool, present: Callable[[A], None]) -> None:
    """Prints an answer: as JSON, the same as the management API's, or as the presenter draws it."""
    from keepers.app.use_cases import wire_format

    if as_json:
        print(wire_format.encode(answer).decode())
    else:
        present(answer)
