"""Stages, moves, profile, why, erasure, rhythm."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from keepers.cli.present.tables import COLOURS, bar, out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.customers.erasure import Erased
    from keepers.app.customers.lifecycles import LifecycleDetail, MoveList
    from keepers.app.customers.profiles import ConditionAnswer, Profile
    from keepers.app.customers.scores import RhythmFigures
    from keepers.app.customers.why import ProfileWhy
    from keepers.cli.export_file import ExportWritten


def exported(found: ExportWritten) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for section, rows in found.rows.items():
        table.add_row(escape(section), f"{rows:,}")
    out.print(table)
    out.print(f"Written to {escape(found.file)}. It is personal data: hand it to nobody else.", soft_wrap=True)


def stages(found: LifecycleDetail) -> None:
    total = sum(stage.profiles for stage in found.stages)
    out.print(f"[bold]{escape(found.name)}[/] as of {format_instant(found.as_of)}: {total:,} in all")
    table = Table.grid(padding=(0, 1))
    for n, stage in enumerate(found.stages):
        share = stage.profiles / total if total else 0
        colour = COLOURS[n % len(COLOURS)]
        table.add_row(escape(stage.id), f"[bold]{stage.profiles:>9,}[/]", f"{share:>6.1%}", bar(share, colour))
    out.print(table)


def moves(found: MoveList) -> None:
    remark = "" if found.is_recorded else " (difference of both moments; `keepers backfill` records every move)"
    since, until = format_instant(found.since), format_instant(found.until)
    out.print(f"[bold]{found.lifecycle}[/]: moves from {since} to {until}{remark}")
    table = Table(box=None, pad_edge=False)
    for title, justify in (("from", "left"), ("to", "left"), ("profiles", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for move in found.counts:
        table.add_row(move.source or "—", move.target or "—", f"{move.profiles:,}")
    out.print(table)
    for mover in found.latest[:10]:
        who = escape(mover.identity or mover.profile)
        out.print(
            f"  {format_instant(mover.at)}  {who}: {mover.source or '—'} → {mover.target or '—'}"
            f"  [dim]{escape(mover.cause)}[/]"
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


def why(found: ProfileWhy) -> None:
    out.print(f"[bold]{escape(found.profile)}[/] (profile #{found.profile_id}), as of {format_instant(found.as_of)}")
    for one in found.lines:
        out.print(f"  {format_instant(one.at)}  {escape(one.says)}", soft_wrap=True)
    for waiting in found.waiting:
        out.print(f"  [bold]now[/]  {escape(waiting.says)}  [dim](run {waiting.run})[/]", soft_wrap=True)
    if found.not_yet is not None:
        out.print(f"  {escape(found.not_yet.says)} ({escape(', '.join(found.not_yet.enter))})")
    elif not found.lines and not found.waiting:
        out.print("  Nothing was decided about this customer yet.")


def erased(done: Erased) -> None:
    found = msgspec.structs.asdict(done)
    gone = [f"{name.replace('_', ' ')}: {number:,}" for name, number in found.items() if number]
    out.print(f"Erased for good. {', '.join(gone) or 'Nothing was kept'}.")


def rhythm(found: RhythmFigures) -> None:
    typical, longest = found.typical_gap_s / 86400, found.longest_gap_s / 86400
    remark = " (provisional: under 12 months of history, or too few came back)" if found.is_provisional else ""
    out.print(f"Typical gap between first and second {escape(found.event)}: [bold]{typical:.1f} days[/]{remark}")
    out.print(f"Gap that 95 % of all gaps stay below: {longest:.1f} days")
    frozen = format_instant(found.fitted_at) if found.fitted_at is not None else "not yet"
    out.print(f"From {found.repeaters:,} who came back, {found.method}; frozen {frozen}.")


def _since(since: datetime | None) -> str:
    return f" since {format_instant(since)}" if since else ""


def _clause(tree: Tree, clause: ConditionAnswer) -> None:
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
