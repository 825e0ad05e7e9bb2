"""The `keepers` command."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer

from keepers import __version__
from keepers.cli import interrupting, present, present_sending
from keepers.cli.answers import shown
from keepers.cli.asking import ask, errors
from keepers.cli.operations import starters
from keepers.cli.operations import templates as list_templates
from keepers.model.errors import KeepersError, UserError
from keepers.model.moments import parse_zone
from keepers.playbook.starters import install_journeys, require_starters
from keepers.wire import PLAYBOOK, Workspace, clock_notice, create, find_folder

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


def run(folder: Path | None, command: str, **arguments: Any) -> Any:
    return ask(folder or _chosen["folder"], command, **arguments)


def give(answer: Any, as_json: bool, show: Any) -> None:
    """Prints an answer: JSON for programs, or the command's own form for people."""
    if as_json:
        print(msgspec.json.encode(answer).decode())
    else:
        show(answer)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Folder of the new workspace.")],
    templates: Annotated[list[str] | None, typer.Argument(help="Lifecycle templates, as with --lifecycle.")] = None,
    lifecycle: Annotated[list[str] | None, typer.Option(help="A lifecycle template; may be repeated.")] = None,
    journeys: Annotated[list[str] | None, typer.Option(help="A starter journey; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="The business's name.")] = None,
    zone: Annotated[str, typer.Option(help="IANA time zone of the business.")] = "UTC",
    as_json: Json = False,
) -> None:
    """Make a workspace: settings, a playbook from templates, keys."""
    parse_zone(zone)
    starting = [one for given in journeys or () for one in given.split(",") if one]
    require_starters(starting)
    chosen = [one for given in (*(lifecycle or ()), *(templates or ())) for one in given.split(",") if one]
    written = create(directory.expanduser().absolute(), chosen or ["value"], name, zone)
    written += install_journeys(directory.expanduser().absolute() / PLAYBOOK, starting)
    workspace = Workspace.open(find_folder(directory))
    try:
        tokens = {kind: workspace.ensure_key(kind, f"first {kind} key") for kind in ("write", "server", "secret")}
        workspace.close()
        applied = ask(directory, "apply")
    finally:
        workspace.close()
    files = [str(p.relative_to(directory.expanduser().absolute())) for p in written]
    give({"workspace": str(directory), "files": files, "keys": tokens, **applied}, as_json, present.created)


@app.command()
def tick(
    now: Annotated[str | None, typer.Option("--now", metavar="ISO", help="Tick up to this moment.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Repeat until nothing is left.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Work off what has arrived and what is due."""
    give(run(workspace, "tick", doing="Ticking", now=now, idle=until_idle), as_json, present.ticked)


@app.command()
def backfill(workspace: Folder = None, as_json: Json = False) -> None:
    """Work out history: who was in which stage when, since the first event."""
    give(run(workspace, "backfill", doing="Working history out"), as_json, present.ticked)


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
    path = Path(target)
    target = str(path.absolute()) if os.path.exists(path) else target
    give(run(workspace, "count", target=target, now=now), as_json, lambda a: print(f"{a['count']:,}"))


@app.command()
def stages(
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """How many are in each stage, in order."""
    answer = run(workspace, "stages", lifecycle=lifecycle, now=now)
    if as_json:
        answer = [{"stage": s["stage"], "profiles": s["profiles"]} for s in answer["stages"]]
    give(answer, as_json, present.stages)


@app.command()
def moves(
    since: Annotated[str, typer.Option(metavar="D", help="A moment in ISO 8601, or how far back: 7d.")],
    lifecycle: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
    now: Now = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Who moved since then, from where to where."""
    give(run(workspace, "moves", since=since, lifecycle=lifecycle, now=now), as_json, present.moves)


@app.command()
def profile(
    id: Annotated[str, typer.Argument(help="A user id, anonymous id or group id, or #number.")],
    now: Now = None,
    locale: Annotated[str, typer.Option(help="Language of the explanations: en, ru, pl, zh, it.")] = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """All about one profile: traits, stages and since when, last events, and why."""
    give(run(workspace, "profile", name=id, now=now, locale=locale), as_json, present.profile)


@app.command()
def check(workspace: Folder = None, as_json: Json = False) -> None:
    """Look the playbook over: mistakes, dangling names, stages nobody can reach."""
    answer = run(workspace, "check")
    give(answer, as_json, present.findings)
    if answer["errors"]:
        raise typer.Exit(2)


@app.command()
def plan(now: Now = None, workspace: Folder = None, as_json: Json = False) -> None:
    """Show what applying the playbook would change, with the numbers."""
    give(run(workspace, "plan", now=now), as_json, present.plan)


@app.command()
def apply(
    running: Annotated[
        str,
        typer.Option(
            help="What becomes of customers in older versions of changed journeys: finish on theirs, move to the new "
            "one step for step, or exit."
        ),
    ] = "finish",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Make the playbook the one in force."""
    give(run(workspace, "apply", running=running), as_json, present.applied)


@app.command()
def templates(
    journeys: Annotated[bool, typer.Option("--journeys", help="Starter journeys alone.")] = False,
    locale: Annotated[str, typer.Option(help="Language of the names: en, ru, pl, zh, it.")] = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """The lifecycle models that ship, what each needs to see, and the starter journeys."""
    if journeys:
        give(starters(locale), as_json, present_sending.starters)
        return
    folder = find_folder(workspace or _chosen["folder"])
    named = workspace or _chosen["folder"]
    if named or (folder / "keepers.toml").is_file():
        answer = run(workspace, "templates", locale=locale)
    else:
        answer = list_templates(None, lambda done, total: None, locale)
    give(answer, as_json, present.templates)
    if not as_json:
        present_sending.starters(starters(locale))


@app.command()
def doctor(workspace: Folder = None, as_json: Json = False) -> None:
    """Versions, stores, watermarks, lag, disk."""
    give(run(workspace, "doctor"), as_json, present.doctor)


@app.command()
def rhythm(workspace: Folder = None, as_json: Json = False) -> None:
    """The shop's own cycle: typical gap between purchases, and where the figure comes from."""
    give(run(workspace, "rhythm"), as_json, present.rhythm)


@app.command()
def rebuild(workspace: Folder = None, as_json: Json = False) -> None:
    """Make the typed tables anew from the record, sorted for fast reads."""
    give(run(workspace, "rebuild", doing="Rebuilding"), as_json, present.done)


@app.command()
def unmerge(
    id: Annotated[str, typer.Argument(help="The profile that was merged into another, as #number.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take a merge of two profiles back."""
    give(run(workspace, "unmerge", name=id), as_json, present.done)


def with_all_commands() -> typer.Typer:
    """The command with every one of its commands: their modules add them when imported."""
    from keepers.cli import (  # noqa: F401 - they add their commands to `app`
        broadcasts,
        consent,
        delivering,
        demo,
        dkim,
        erasing,
        importing,
        journeys,
        keys,
        mailbox,
        messages,
        replaying,
        serve,
    )

    return app


def main() -> None:
    """Runs the command: 0 done, 2 for the person's mistake, 1 for ours; never a traceback."""
    with_all_commands()
    interrupting.begin()
    try:
        if notice := clock_notice():
            errors.print(notice, style="yellow", markup=False, soft_wrap=True)
        app(standalone_mode=True)
    except UserError as error:
        _failed(error.code, error.message, 2)
    except KeepersError as error:
        _failed(error.code, error.message, 1)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as ended:
        if ended.code == 130 and interrupting.is_noted():  # Typer's answer to Ctrl-C, which is silent
            _interrupted()
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last place where a mistake of ours can be told decently
        if interrupting.is_noted():
            _interrupted()
        path = _keep_traceback()
        kept = f" Details are in {path}." if path else ""
        _failed("internal", f"Keepers made a mistake: {type(error).__name__}: {error}.{kept}", 1)


def _interrupted() -> NoReturn:
    _failed("interrupted", "Interrupted. What was committed is kept; run the command again to go on.", 130)


def _failed(code: str, message: str, status: int) -> NoReturn:
    if "--json" in sys.argv:
        print(msgspec.json.encode(shown({"error": {"code": code, "message": message}})).decode())
    else:
        errors.print(message, style="red", markup=False, soft_wrap=True)
    sys.exit(status)


def _keep_traceback() -> Path | None:
    """The traceback in the workspace's data folder, where there is one."""
    folder = find_folder(_chosen["folder"]) / "data"
    if not folder.is_dir():
        return None
    path = folder / "errors.log"
    with path.open("a", encoding="utf-8") as stream:
        traceback.print_exc(file=stream)
    return path
