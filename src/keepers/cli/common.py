"""The Typer application, aliases of renamed commands, shared options; calling use cases, showing answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from keepers import __version__
from keepers.app.workspace.files.folder import find_folder
from keepers.cli.commands import NAMES
from keepers.i18n.catalogues import shipped_languages

if TYPE_CHECKING:
    import msgspec

    from keepers.app.use_cases.use_case import UseCase
    from keepers.app.workspace.workspace import Workspace

Q = TypeVar("Q", bound="msgspec.Struct")
A = TypeVar("A", bound="msgspec.Struct")


ALIASES = {"brakes": "breakers"}
"""old name of a command → its name. Old names work and are listed nowhere."""


class Commands(TyperGroup):
    """Loads the module of the command that is given; all modules to list the commands, or for an unknown name.

    Finds a renamed command by its old name too.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in self.commands:
            load_commands(*(module for module, names in NAMES.items() if name in names))
            self.commands = typer.main.get_group(app).commands
        return super().get_command(ctx, name)

    def list_commands(self, ctx: Any) -> list[str]:
        load_commands()
        self.commands = typer.main.get_group(app).commands
        return super().list_commands(ctx)


def load_commands(*modules: str) -> None:
    """Makes `app` know the commands of some modules; of every one when none is named."""
    for module in modules or NAMES:
        import_module(f"keepers.cli.commands.{module}")


app = typer.Typer(
    name="keepers",
    cls=Commands,
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


Locale = Annotated[
    str,
    typer.Option(help=f"Language of names and explanations: {', '.join(shipped_languages())}, or the workspace's own."),
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


def named_folder(folder: Path | None = None) -> Path | None:
    """The folder named after the command, or before it, if one is."""
    return folder or _chosen["folder"]


def chosen_folder(folder: Path | None = None) -> Path:
    """The workspace's folder: named after the command, before it, by the environment, or the current one."""
    return find_folder(named_folder(folder))


def call(folder: Path | None, what: UseCase[Q, A], request: Q, doing: str = "") -> A:
    """A use case's answer: of the server that has the workspace open, else worked out here.

    Raises KeepersError, whether it was raised here or in the server.
    """
    with opened(folder) as workspace:
        return call_open(workspace, what, request, doing)


@contextmanager
def opened(folder: Path | None) -> Iterator[Workspace]:
    """The workspace, for commands that call more than once."""
    from keepers.app.workspace.workspace import Workspace

    workspace = Workspace.open(chosen_folder(folder))
    try:
        yield workspace
    finally:
        workspace.close()


def call_open(workspace: Workspace, what: UseCase[Q, A], request: Q, doing: str = "") -> A:
    """As `call`, of a workspace that is open."""
    from keepers.app.use_cases.actor import COMMAND_LINE
    from keepers.cli.progress import reporting
    from keepers.cli.remote import ServerGoneError, call_server

    with reporting(doing or what.name.replace("_", " ").capitalize()) as report:
        server = workspace.server()
        if server is not None:
            with suppress(ServerGoneError):
                return call_server(server, workspace.settings, what, request, report)
        return what(workspace, COMMAND_LINE, request, report)


def show(answer: A, as_json: bool, present: Callable[[A], None]) -> None:
    """Prints an answer: as JSON, the same as the management API's, or as the presenter draws it."""
    from keepers.app.use_cases import wire_format

    if as_json:
        print(wire_format.encode(answer).decode())
    else:
        present(answer)
