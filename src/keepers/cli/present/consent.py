"""Consent and suppressed addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.csv_files import CsvImported
    from keepers.app.customers.consents import Consents
    from keepers.app.customers.suppressions import SuppressionPage


def consents(found: Consents) -> None:
    out.print(f"[bold]{escape(found.profile)}[/] (profile #{found.profile_id})")
    table = Table("channel", "topic", "state", "since", "may be written to", box=None, pad_edge=False)
    for one in found.topics:
        may = "[green]yes[/]" if one.may_be_written_to else "[yellow]no[/]"
        since = format_instant(one.since) if one.since is not None else ""
        table.add_row(one.channel, escape(one.topic), one.state or "—", since, may)
    out.print(table)
    for statement in found.statements:
        words = f": “{statement.wording}”" if statement.wording else ""
        what = f"{statement.state} {statement.topic} by {statement.channel} ({statement.source})"
        out.print(f"  {escape(f'{format_instant(statement.at)}  {what}{words}')}", soft_wrap=True)


def suppressions(found: SuppressionPage) -> None:
    if not found.items:
        out.print("No such address is suppressed.")
        return
    table = Table("channel", "hash", "reason", "since", "source", "detail", box=None, pad_edge=False)
    for one in found.items:
        since = format_instant(one.at)
        table.add_row(one.channel, f"{one.hash[:16]}…", one.reason, since, escape(one.source), escape(one.detail))
    out.print(table)
    if found.next is not None:
        out.print("There are more; --limit shows up to 1,000.")


def imported(report: CsvImported) -> None:
    out.print(f"{report.taken:,} rows taken, {report.rejected:,} cannot be used.")
    for one in report.problems:
        out.print(f"[yellow]line {one.line}: {escape(one.reason)}[/]")
