"""Answers as people read them: tables, bars and short sentences."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

out = Console(highlight=False, soft_wrap=False)
BAR = 40
COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green", "bright_yellow", "white")


def name_of(item: dict[str, Any], locale: str = "en") -> str:
    """A definition's name in a language, or its id."""
    name = item.get("name") or ""
    if isinstance(name, dict):
        name = name.get(locale) or name.get("en") or ""
    return str(name or item.get("stage") or item.get("id") or "")


def bar(share: float, colour: str, width: int = BAR) -> str:
    """A bar with eighths, as markup."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return f"[{colour}]{'█' * whole}{' ▏▎▍▌▋▊▉'[rest] if rest else ''}[/]"


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


def profile(answer: dict[str, Any]) -> None:
    names = ", ".join(f"{i['kind']} {escape(i['value'])}" for i in answer["identities"])
    out.print(f"[bold]Profile #{answer['profile_id']}[/] ({answer['kind']}) {names}")
    out.print(f"known since {answer['known_since']}, zone {answer['zone']}, as of {answer['as_of']}")
    for title, values in (("Traits", answer["traits"]), ("Rhythm", answer["computed"])):
        if values:
            out.print(f"[bold]{title}[/]")
            for key, value in values.items():
                out.print(f"  {escape(str(key))}: {escape(_figure(value))}")
    for place in answer["lifecycles"]:
        tree = Tree(f"[bold]{place['lifecycle']}[/]: {place['stage'] or '—'}{_since(place['since'])}")
        for stage in place["stages"]:
            mark = "[green]●[/]" if stage["in"] else "[dim]○[/]"
            branch = tree.add(f"{mark} {stage['id']}")
            _clause(branch, stage["why"])
        out.print(tree)
    if answer["segments"]:
        tree = Tree("[bold]Segments[/]")
        for segment in answer["segments"]:
            mark = "[green]●[/]" if segment["in"] else "[dim]○[/]"
            _clause(tree.add(f"{mark} {segment['id']}{_since(segment['since'])}"), segment["why"])
        out.print(tree)
    out.print("[bold]Last events[/]")
    for event in answer["events"]:
        out.print(f"  {event['time']}  {escape(event['event'])}  [dim]{escape(_short(event['properties']))}[/]")


def _since(since: str | None) -> str:
    return f" since {since}" if since else ""


def _clause(tree: Tree, clause: dict[str, Any]) -> None:
    mark = "[green]✓[/]" if clause["holds"] else "[red]✗[/]"
    if clause["parts"]:
        for part in clause["parts"]:
            _clause(tree, part)
        return
    seen = ", ".join(f"{k} {_figure(v)}" for k, v in clause["seen"].items())
    tree.add(f"{mark} {escape(clause['says'])}" + (f"  [dim]({escape(seen)})[/]" if seen else ""))


def _figure(value: Any) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _short(properties: Any) -> str:
    text = ", ".join(f"{k} {v}" for k, v in properties.items()) if isinstance(properties, dict) else str(properties)
    return text if len(text) < 100 else text[:97] + "…"


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


def templates(answer: list[dict[str, Any]]) -> None:
    for template in answer:
        out.print(f"[bold]{template['id']}[/]  {escape(template['name'])}: {escape(template['description'])}")
        out.print("  " + " → ".join(escape(s["name"] or s["id"]) for s in template["stages"]))
        for word, events in template["words"].items():
            out.print(f"  [dim]{escape(word)}: {escape(', '.join(events))}[/]")
        for blind in template["cannot_see"]:
            stops = f"; nobody can be in {', '.join(blind['empty'])}" if blind["empty"] else ""
            out.print(f"  [yellow]cannot see {escape(blind['word'])}{escape(stops)}[/]")


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


def rhythm(answer: dict[str, Any]) -> None:
    days = {k: answer[k] / 86400 for k in ("typical_gap_s", "longest_gap_s")}
    note = " (provisional: under 12 months of history, or too few came back)" if answer["is_provisional"] else ""
    typical = f"[bold]{days['typical_gap_s']:.1f} days[/]"
    out.print(f"Typical gap between first and second {answer['event']}: {typical}{note}")
    out.print(f"Gap that 95 % of all gaps stay below: {days['longest_gap_s']:.1f} days")
    out.print(
        f"From {answer['repeaters']:,} who came back, {answer['method']}; frozen {answer['fitted_at'] or 'not yet'}."
    )


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
