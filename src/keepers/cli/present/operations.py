"""Answers as people read them: tables, bars and short sentences."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out


def ticked(answer: dict[str, Any]) -> None:
    said = [f"{answer[k]:,} {what}" for k, what in _TICKED if answer.get(k)]
    out.print("Ticked: " + (", ".join(said) if said else "nothing to do") + ".")


_TICKED = (
    ("identified", "events identified"),
    ("loaded", "rows loaded"),
    ("subjects", "answers brought up to date"),
    ("changes", "changes of segment or stage"),
    ("waves", "waves"),
)


def created(answer: dict[str, Any]) -> None:
    out.print(f"Workspace [bold]{escape(answer['workspace'])}[/] made: {', '.join(map(escape, answer['files']))}")
    out.print("Keys, shown this once:")
    for kind, token in answer["keys"].items():
        out.print(f"  {kind:>6}  {token}", soft_wrap=True)
    out.print("Next: `keepers import FILE …` or `keepers serve`, then `keepers tick` and `keepers stages`.")


def dry_run(answer: dict[str, Any]) -> None:
    out.print(f"{answer['rows_read']:,} rows read ({answer['encoding']}, delimiter {answer['delimiter']!r})")
    table = Table("column", "type", box=None, pad_edge=False)
    for name, kind in answer["columns"].items():
        table.add_row(escape(name), kind)
    out.print(table)
    for message in answer["sample"]:
        out.print(escape(str(message)), soft_wrap=True)
    _problems(answer["problems"])
    out.print("Nothing was imported.")


def imported(answer: dict[str, Any]) -> None:
    out.print(
        f"{answer['rows']:,} rows: {answer['loaded']:,} imported, {answer['duplicates_skipped']:,} were there already, "
        f"{answer['rejected']:,} rejected, in {answer['seconds']:.1f} s."
    )
    _problems(answer["problems"])
    if answer["rejects_path"]:
        out.print(f"Rejected rows and reasons: {escape(answer['rejects_path'])}", soft_wrap=True)


def _problems(problems: list[dict[str, Any]]) -> None:
    for problem in problems:
        place = f"line {problem['line']}: " if problem["line"] else ""
        out.print(f"[yellow]{place}{escape(problem['reason'])}[/]  [dim]{escape(problem['raw'][:80])}[/]")


def doctor(answer: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    for key, value in answer.items():
        if key == "findings":
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else escape(str(value)))
    out.print(table)
    for finding in answer["findings"]:
        out.print(f"[yellow]{escape(finding)}[/]")
    if not answer["findings"]:
        out.print("[green]Nothing is wrong.[/]")


def keys(answer: list[dict[str, Any]]) -> None:
    table = Table("id", "kind", "name", "created", "revoked", box=None, pad_edge=False)
    for key in answer:
        table.add_row(key["id"], key["kind"], escape(key["name"]), key["created_at"], key["revoked_at"] or "")
    out.print(table)


def key(answer: dict[str, Any]) -> None:
    out.print(f"{answer['kind']} key {answer['id']}; its token, shown this once:")
    out.print(answer["token"], soft_wrap=True)


def _shown(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def done(answer: dict[str, Any]) -> None:
    out.print(", ".join(f"{k}: {_shown(v)}" for k, v in answer.items()))
