"""Findings, plan, applied, templates."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out


def findings(answer: dict[str, Any]) -> None:
    for finding in answer["findings"]:
        colour = "red" if finding["level"] == "error" else "yellow"
        place = finding["file"] + (f":{finding['line']}" if finding["line"] else "")
        where = f" {finding['field']}" if finding["field"] else ""
        out.print(f"[{colour}]{finding['level']}[/] {escape(place)}{escape(where)}: {escape(finding['message'])}")
    out.print(f"{answer['errors']} errors, {answer['warnings']} warnings.")


def plan(answer: dict[str, Any]) -> None:
    if not answer["changes"] and not answer["fit"]:
        out.print("Nothing to apply: the playbook is what is in force.")
        return
    for change in answer["changes"]:
        place = f"  [dim]{escape(change['file'])}:{change['line']}[/]" if change["file"] else ""
        texts = "" if change["answers_change"] else " (names and texts only)"
        out.print(f"{change['action']:>7}  {escape(change['key'])}{texts}{place}")
    if answer["fit"]:
        fit = answer["fit"]
        out.print(f"  rhythm  typical gap {fit['typical_gap']}, longest {fit['longest_gap']} ({fit['method']})")
    if answer["flows"]:
        table = Table(box=None, pad_edge=False)
        for title in ("definition", "stage", "now", "then", "enter", "leave"):
            table.add_column(title, justify="left" if title in ("definition", "stage") else "right")
        for flow in answer["flows"]:
            figures = [f"{flow[k]:,}" for k in ("before", "after", "enter", "leave")]
            table.add_row(flow["definition"], flow["stage"], *figures)
        out.print(table)
    for name, number in answer["runs"].items():
        out.print(
            f"  {number:,} customers are in the journey {escape(name)}: they finish on their version, unless "
            "`keepers apply --running move` or `exit` says otherwise."
        )
    out.print("`keepers apply` makes it live.")


def applied(answer: dict[str, Any]) -> None:
    for change in answer["applied"]:
        out.print(f"{change['action']:>7}  {escape(change['key'])}")
    if answer["fit"]:
        out.print("The rhythm's figures were revised and frozen.")
    for name, number in answer["runs"].items():
        out.print(f"{number:,} runs of the journey {escape(name)} were moved or ended.")
    out.print(f"{len(answer['applied'])} definitions applied. They take part in the next tick.")


def templates(answer: list[dict[str, Any]]) -> None:
    for template in answer:
        out.print(f"[bold]{template['id']}[/]  {escape(template['name'])}: {escape(template['description'])}")
        out.print("  " + " → ".join(escape(s["name"] or s["id"]) for s in template["stages"]))
        for word, events in template["words"].items():
            out.print(f"  [dim]{escape(word)}: {escape(', '.join(events))}[/]")
        for blind in template["cannot_see"]:
            stops = f"; nobody can be in {', '.join(blind['empty'])}" if blind["empty"] else ""
            out.print(f"  [yellow]cannot see {escape(blind['word'])}{escape(stops)}[/]")


def rhythm(answer: dict[str, Any]) -> None:
    days = {k: answer[k] / 86400 for k in ("typical_gap_s", "longest_gap_s")}
    note = " (provisional: under 12 months of history, or too few came back)" if answer["is_provisional"] else ""
    typical = f"[bold]{days['typical_gap_s']:.1f} days[/]"
    out.print(f"Typical gap between first and second {answer['event']}: {typical}{note}")
    out.print(f"Gap that 95 % of all gaps stay below: {days['longest_gap_s']:.1f} days")
    out.print(
        f"From {answer['repeaters']:,} who came back, {answer['method']}; frozen {answer['fitted_at'] or 'not yet'}."
    )
