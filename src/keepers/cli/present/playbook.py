"""Findings, plan, applied, templates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out

if TYPE_CHECKING:
    from keepers.app.operations.playbook import AppliedPlaybook, CheckedPlaybook, PlaybookFinding, PlaybookPlan
    from keepers.app.operations.templates import StarterList, TemplateList


def findings(answer: CheckedPlaybook) -> None:
    _list_findings(answer.findings)
    out.print(f"{answer.errors} errors, {answer.warnings} warnings.")


def _list_findings(found: list[PlaybookFinding]) -> None:
    for finding in found:
        colour = "red" if finding.level == "error" else "yellow"
        place = finding.file + (f":{finding.line}" if finding.line else "")
        where = f" {finding.field}" if finding.field else ""
        out.print(f"[{colour}]{finding.level}[/] {escape(place)}{escape(where)}: {escape(finding.message)}")


def planned(plan: PlaybookPlan) -> None:
    _list_findings(plan.warnings)
    if not plan.changes and plan.fit is None:
        out.print("Nothing to apply: the playbook is what is in force.")
        return
    for change in plan.changes:
        place = f"  [dim]{escape(change.file)}:{change.line}[/]" if change.file else ""
        texts = "" if change.answers_change else " (names and texts only)"
        out.print(f"{change.action:>7}  {escape(change.key)}{texts}{place}")
    if plan.fit is not None:
        typical, longest = (gap / timedelta(days=1) for gap in (plan.fit.typical_gap, plan.fit.longest_gap))
        out.print(f"  rhythm  typical gap {typical:.1f} days, longest {longest:.1f} days ({plan.fit.method})")
    if plan.flows:
        table = Table(box=None, pad_edge=False)
        for title in ("definition", "stage", "now", "then", "enter", "leave"):
            table.add_column(title, justify="left" if title in ("definition", "stage") else "right")
        for flow in plan.flows:
            figures = [f"{number:,}" for number in (flow.before, flow.after, flow.enter, flow.leave)]
            table.add_row(flow.definition, flow.stage, *figures)
        out.print(table)
    for name, number in plan.runs.items():
        out.print(
            f"  {number:,} customers are in the journey {escape(name)}: they finish on their version, unless "
            "`keepers apply --running move` or `exit` says otherwise."
        )
    out.print("`keepers apply` makes it live.")


def applied(answer: AppliedPlaybook) -> None:
    for change in answer.applied:
        out.print(f"{change.action:>7}  {escape(change.key)}")
    if answer.fit is not None:
        out.print("The rhythm's figures were revised and frozen.")
    for name, number in answer.runs.items():
        out.print(f"{number:,} runs of the journey {escape(name)} were moved or ended.")
    out.print(f"{len(answer.applied)} definitions applied. They take part in the next tick.")


def templates(answer: TemplateList) -> None:
    for template in answer.items:
        out.print(f"[bold]{template.id}[/]  {escape(template.name)}: {escape(template.description)}")
        out.print("  " + " → ".join(escape(s.name or s.id) for s in template.stages))
        for word, events in template.words.items():
            out.print(f"  [dim]{escape(word)}: {escape(', '.join(events))}[/]")
        for blind in template.cannot_see:
            stops = f"; nobody can be in {', '.join(blind.empty)}" if blind.empty else ""
            out.print(f"  [yellow]cannot see {escape(blind.word)}{escape(stops)}[/]")


def starters(answer: StarterList) -> None:
    out.print("[bold]Starter journeys[/], for `keepers init --journeys` and `keepers journey add`:")
    for one in answer.items:
        out.print(f"  [bold]{one.id}[/]  {escape(one.name)}: {escape(one.description)}")
