"""`keepers broadcast`: list, preview, start, stop, resume and send again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from keepers.cli.common import Folder, Json, app, give, run
from keepers.cli.present.tables import out

broadcast = typer.Typer(help="Broadcasts: one message to an audience.", no_args_is_help=True)
app.add_typer(broadcast, name="broadcast")
Name = Annotated[str, typer.Argument(help="The broadcast's id.")]


@broadcast.command("list")
def list_broadcasts(workspace: Folder = None, as_json: Json = False) -> None:
    """Every broadcast, and how its last sending stands."""
    give(run(workspace, "broadcasts"), as_json, _list)


@broadcast.command("preview")
def preview(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Who would get it, who would not, and why. Nothing is sent."""
    give(run(workspace, "broadcast-preview", doing="Counting", name=name), as_json, _preview)


@broadcast.command("start")
def start(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="Though it was sent before, to everybody anew.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without showing the count and asking first.")] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Start it, or set it for its time, after showing who would get it."""
    if not yes and not as_json:
        found = run(workspace, "broadcast-preview", doing="Counting", name=name)
        _preview(found)
        typer.confirm(f"Send to {found['would_get']:,} customers?", abort=True)
    give(run(workspace, "broadcast-start", name=name, again=again), as_json, _status)


@broadcast.command("stop")
def stop(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Stop it at once: what is not handed over yet is not sent."""
    give(run(workspace, "broadcast-stop", name=name), as_json, _status)


@broadcast.command("resume")
def resume(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """Go on from where it was stopped."""
    give(run(workspace, "broadcast-resume", name=name), as_json, _status)


@broadcast.command("resend")
def resend(
    name: Name,
    message: Annotated[str, typer.Option(help="Another message than the one they did not open.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Send again to those who did not open it."""
    give(run(workspace, "broadcast-resend", name=name, message=message), as_json, _status)


@broadcast.command("status")
def status(name: Name, workspace: Folder = None, as_json: Json = False) -> None:
    """How far each of its sendings has come, and what became of the messages."""
    give(run(workspace, "broadcast-status", name=name), as_json, _statuses)


def _list(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("The playbook has no broadcasts yet.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("broadcast", "status", "started", "to"):
        table.add_column(title)
    for one in answer:
        table.add_row(escape(one["id"]), one["status"], one["started_at"] or "—", escape(one["says"]))
    out.print(table)


def _preview(answer: dict[str, Any]) -> None:
    out.print(f"[bold]{answer['would_get']:,}[/] of {answer['audience']:,} customers would get it.")
    _reasons(answer["skipped"])
    if answer["tested"]:
        shares = ", ".join(f"{escape(name)} to {number:,}" for name, number in answer["tested"].items())
        out.print(f"First the test: {shares}; then the one that does best to the rest.")
    if answer["held"]:
        out.print(f"{answer['held']:,} would wait for the end of their quiet hours.")
    if answer["first"] and answer["first"] != answer["last"]:
        out.print(f"From {answer['first']} to {answer['last']}.")
    for warning in answer["warnings"]:
        out.print(f"[yellow]{escape(warning)}[/]")


def _statuses(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("It was not sent yet.")
    for one in answer:
        _status(one)


def _status(answer: dict[str, Any]) -> None:
    what = f"again to those who did not open sending {answer['of']}" if answer["of"] else "to its audience"
    out.print(f"[bold]Sending {answer['id']}[/] {what}: [bold]{answer['status']}[/], begins {answer['begins']}")
    if answer["audience"]:
        share = answer["taken"] / answer["audience"]
        out.print(
            f"{answer['taken']:,} of {answer['audience']:,} taken up ({share:.0%}); {answer['sent']:,} sent, ", end=""
        )
        out.print(f"{answer['waiting']:,} waiting.")
    _reasons(answer["skipped"])
    for name, figures in answer["variants"].items():
        told = ", ".join(f"{key} {number:,}" for key, number in figures.items())
        out.print(f"  variant {escape(name)}: {told}")
    if answer["winner"]:
        out.print(f"Winner: [bold]{escape(answer['winner'])}[/] ({escape(answer['winner_by'])})")
    elif answer["test_until"] and answer["status"] == "testing":
        out.print(f"The winner is chosen at {answer['test_until']}.")
    if answer["trouble"]:
        out.print(f"[red]Not going on: {escape(answer['trouble'])}[/]")


def _reasons(skipped: dict[str, int]) -> None:
    for reason, number in skipped.items():
        out.print(f"  {number:>9,} not: {escape(reason)}")
