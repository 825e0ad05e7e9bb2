"""Stages, moves, profile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from keepers.app.customers.profiles import Clause, Profile
from keepers.cli.present.tables import COLOURS, bar, name_of, out
from keepers.model.moments import format_instant


def stages(answer: dict[str, Any]) -> None:
    total = sum(s["profiles"] for s in answer["stages"])
    out.print(f"[bold]{escape(name_of(answer) or answer['lifecycle'])}[/] as of {answer['as_of']}: {total:,} in all")
    table = Table.grid(padding=(0, 1))
    for n, stage in enumerate(answer["stages"]):
        share = stage["profiles"] / total if total else 0
        colour = COLOURS[n % len(COLOURS)]
        table.add_row(escape(stage["stage"]), f"[bold]{stage['profiles']:>9,}[/]", f"{share:>6.1%}", bar(share, colour))
    out.print(table)


def moves(answer: dict[str, Any]) -> None:
    note = "" if answer["is_recorded"] else " (difference of both moments; `keepers backfill` records every move)"
    out.print(f"[bold]{answer['lifecycle']}[/]: moves from {answer['since']} to {answer['until']}{note}")
    table = Table(box=None, pad_edge=False)
    for title, justify in (("from", "left"), ("to", "left"), ("profiles", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for move in answer["counts"]:
        table.add_row(move["source"] or "—", move["target"] or "—", f"{move['profiles']:,}")
    out.print(table)
    for mover in answer["latest"][:10]:
        out.print(
            f"  {mover['at']}  {escape(mover['profile'])}: {mover['source'] or '—'} → {mover['target'] or '—'}"
            f"  [dim]{escape(mover['cause'])}[/]"
        )


def profile(found: Profile) -> None:
    names = ", ".join(f"{i.kind} {escape(i.value)}" for i in found.identities)
    out.print(f"[bold]Profile {found.id}[/] ({found.kind}) {names}")
    known, as_of = format_instant(found.known_since), format_instant(found.as_of)
    out.print(f"known since {known}, zone {found.zone}, as of {as_of}")
    for title, values in (("Traits", found.traits), ("Rhythm", found.rhythm)):
        if values:
            out.print(f"[bold]{title}[/]")
            for key, value in values.items():
                out.print(f"  {escape(str(key))}: {escape(_figure(value))}")
    for place in found.lifecycles:
        tree = Tree(f"[bold]{place.lifecycle}[/]: {place.stage or '—'}{_since(place.since)}")
        for stage in place.stages:
            mark = "[green]●[/]" if stage.is_in else "[dim]○[/]"
            _clause(tree.add(f"{mark} {stage.id}"), stage.why)
        out.print(tree)
    if found.segments:
        tree = Tree("[bold]Segments[/]")
        for segment in found.segments:
            mark = "[green]●[/]" if segment.is_in else "[dim]○[/]"
            _clause(tree.add(f"{mark} {segment.id}{_since(segment.since)}"), segment.why)
        out.print(tree)
    out.print("[bold]Last events[/]")
    for event in found.last_events:
        when = format_instant(event.time)
        out.print(f"  {when}  {escape(event.event)}  [dim]{escape(_short(event.properties))}[/]")


def _since(since: datetime | None) -> str:
    return f" since {format_instant(since)}" if since else ""


def _clause(tree: Tree, clause: Clause) -> None:
    mark = "[green]✓[/]" if clause.holds else "[red]✗[/]"
    if clause.parts:
        for part in clause.parts:
            _clause(tree, part)
        return
    seen = ", ".join(f"{k} {_figure(v)}" for k, v in clause.seen.items())
    tree.add(f"{mark} {escape(clause.says)}" + (f"  [dim]({escape(seen)})[/]" if seen else ""))


def _figure(value: Any) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _short(properties: Any) -> str:
    text = ", ".join(f"{k} {v}" for k, v in properties.items()) if isinstance(properties, dict) else str(properties)
    return text if len(text) < 100 else text[:97] + "…"
