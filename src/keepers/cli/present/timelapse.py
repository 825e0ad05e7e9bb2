"""The demo's bars."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from keepers.cli.present.tables import BAR, COLOURS, bar
from keepers.devtools.timelapse import Counts, lifecycles_shown
from keepers.model.fields import text_in

if TYPE_CHECKING:
    from keepers.app.ticked import Ticked
    from keepers.app.workspace.workspace import Workspace


def line(counts: Counts, at: datetime, n: int, total: int) -> str:
    shown = "  ".join(
        f"{name}: " + " ".join(f"{s.stage} {s.profiles:,}" for s in found) for name, found in counts.items()
    )
    return f"{at.date()}  week {n} of {total}  {shown}"


def picture(workspace: Workspace, counts: Counts, at: datetime, n: int, total: int, done: Ticked | None) -> Any:
    parts: list[Any] = [Text.from_markup(f"[bold]{at.date()}[/]   week {n} of {total}  {bar(n / total, 'dim', 24)}")]
    if done is not None:
        parts.append(Text(f"{done.changes:,} changes of segment or stage this week", style="dim"))
    for lifecycle in lifecycles_shown(workspace):
        found = counts[lifecycle.id]
        most = max(1, sum(s.profiles for s in found))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=24, no_wrap=True)
        table.add_column(width=8, justify="right")
        table.add_column(width=BAR, no_wrap=True)
        for k, stage in enumerate(found):
            name = text_in(stage.name) or stage.stage
            drawn = Text.from_markup(bar(stage.profiles / most, COLOURS[k % len(COLOURS)]))
            table.add_row(name, f"{stage.profiles:,}", drawn)
        parts += [Text(""), Text(text_in(lifecycle.name) or lifecycle.id, style="bold"), table]
    return Group(*parts)
