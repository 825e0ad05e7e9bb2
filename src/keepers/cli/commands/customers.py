"""`keepers count`, `stages`, `moves`, `profile`, `export` and `erase`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from keepers.cli.common import Folder, Json, Locale, Now, app, call, opened, show
from keepers.model.errors import NotFoundError, UserError


@app.command("erase")
def erase_command(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Confirm: it cannot be undone.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Erase a customer's messages, journeys, consent and inbox, and never write to their addresses again.

    Everything held of them is removed; keyed hashes and counts stay. Make `keepers export` before, if they want a copy.
    """
    if not yes:
        raise UserError(f"Erasing what is kept of “{id}” cannot be taken back. Say so with --yes.", code="yes")
    from keepers.app.customers.erasure import EraseProfile, erase_profile
    from keepers.cli.present.customers import erased

    show(call(workspace, erase_profile, EraseProfile(id=id), "Erasing"), as_json, erased)


@app.command("export")
def export_command(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there; else to standard output.")
    ] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Everything that is held on one person, as JSON: the answer to a request for their data.

    An object with a list of rows for each section. With --output only how much it was is printed.
    """
    from keepers.cli.export_file import exported, written
    from keepers.cli.present.customers import exported as present

    with opened(workspace) as found:
        if output is None:
            exported(found, id, sys.stdout)
        else:
            show(written(found, id, output), as_json, present)


@app.command()
def count(
    target: Annotated[
        str, typer.Argument(metavar="FILE_OR_SEGMENT", help="A YAML file with one condition, or a segment.")
    ],
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """How many a condition or a segment holds for."""
    from keepers.app.customers.conditions import (
        CountConditionFile,
        Counted,
        CountSegment,
        count_condition_file,
        count_segment,
    )

    path = Path(target)
    if path.suffix.lower() in (".yaml", ".yml", ".json") or os.path.isfile(path):
        found: Counted = call(workspace, count_condition_file, CountConditionFile(path=str(path.absolute()), now=now))
    else:
        found = call(workspace, count_segment, CountSegment(id=target, now=now))
    show(found, as_json, lambda counted: print(f"{counted.count:,}"))


@app.command()
def stages(
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """How many are in each stage, in order."""
    from keepers.app.customers.lifecycles import ReadLifecycle, read_lifecycle
    from keepers.cli.present.customers import stages as present

    chosen = _lifecycle(workspace, lifecycle)
    show(call(workspace, read_lifecycle, ReadLifecycle(id=chosen, now=now)), as_json, present)


@app.command()
def moves(
    since: Annotated[str, typer.Option(metavar="D", help="A moment in ISO 8601, or how far back: 7d.")],
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Who moved since then, from where to where."""
    from keepers.app.customers.lifecycles import ListMoves, list_moves
    from keepers.cli.present.customers import moves as present

    chosen = _lifecycle(workspace, lifecycle)
    show(call(workspace, list_moves, ListMoves(id=chosen, since=since, now=now)), as_json, present)


@app.command()
def profile(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    now: Now = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """All about one profile: traits, stages and since when, last events, and why."""
    from keepers.app.customers.profiles import ReadProfile, read_profile
    from keepers.cli.present.customers import profile as present

    show(call(workspace, read_profile, ReadProfile(id=id, now=now, locale=locale)), as_json, present)


def _lifecycle(workspace: Path | None, named: str | None) -> str:
    """The lifecycle named, else the only one there is. Raises NotFoundError or UserError."""
    from keepers.app.customers.lifecycles import ListLifecycles, list_lifecycles

    if named is not None:
        return named
    known = call(workspace, list_lifecycles, ListLifecycles()).items
    main = [one.id for one in known if one.phases_of is None]
    if len(main) == 1:
        return main[0]
    if not known:
        raise NotFoundError("No lifecycle is in force. Add one with `keepers init --lifecycle`, then apply.")
    raise UserError(f"Several lifecycles are in force; name one of {', '.join(one.id for one in known)}.")
