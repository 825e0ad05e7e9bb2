"""Answers as people read them: tables, bars and short sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import as_text, out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from msgspec import Struct

    from keepers.app.access.audit import AuditPage
    from keepers.app.access.keys import CreatedKey, KeyList, RevokedKey
    from keepers.app.access.page_access import StatusPageLink
    from keepers.app.operations.create import CreatedWorkspace
    from keepers.app.operations.doctor import Diagnosis
    from keepers.app.operations.maintenance import Rebuilt, TakenBack, Unmerged
    from keepers.app.operations.upkeep import Compacted


def ticked(done: Struct) -> None:
    """What a tick or a backfill did."""
    counts = [f"{number:,} {what}" for name, what in _TICKED if (number := getattr(done, name, 0))]
    out.print("Ticked: " + (", ".join(counts) if counts else "nothing to do") + ".")


_TICKED = (
    ("identified", "events identified"),
    ("loaded", "rows loaded"),
    ("subjects", "answers brought up to date"),
    ("changes", "changes of segment or stage"),
    ("waves", "waves"),
)


def rewound(done: TakenBack) -> None:
    out.print(
        f"Taken back: {done.runs:,} runs, {done.messages:,} messages that had not left, {done.changes:,} changes of "
        f"segment or stage; {done.events:,} events dated back to the present. The next tick goes on from here."
    )


def rebuilt(done: Rebuilt) -> None:
    out.print("The typed tables were made anew.")


def compacted(done: Compacted) -> None:
    out.print(f"The files were rewritten: {done.bytes_before:,} bytes before, {done.bytes_after:,} now.")
    if not done.store:
        out.print("PostgreSQL's own files are its operator's: see `VACUUM FULL` and how long it keeps its WAL.")
    if done.erasures:
        out.print(f"Nothing is left in them of {done.erasures:,} erased.")


def unmerged(done: Unmerged) -> None:
    out.print(f"Taken back. It had been merged into profile #{done.restored}.")


def created(made: CreatedWorkspace) -> None:
    out.print(f"Workspace [bold]{escape(made.workspace)}[/] made: {', '.join(map(escape, made.files))}")
    out.print("Keys, shown this once:")
    for kind, token in made.keys.items():
        out.print(f"  {kind:>6}  {token}", soft_wrap=True)
    out.print("Next: `keepers import FILE …` or `keepers serve`, then `keepers tick` and `keepers stages`.")


def previewed(found: Any) -> None:
    """What an import would do: the importer's ImportPreview."""
    out.print(f"{found.rows_read:,} rows read ({found.encoding}, delimiter {found.delimiter!r})")
    table = Table("column", "type", box=None, pad_edge=False)
    for name, kind in found.columns.items():
        table.add_row(escape(name), kind)
    out.print(table)
    for message in found.sample:
        out.print(escape(str(message)), soft_wrap=True)
    _problems(found)
    out.print("Nothing was imported.")


def imported(done: Any) -> None:
    """What an import did: the importer's ImportReport."""
    out.print(
        f"{done.rows:,} rows: {done.loaded:,} imported, {done.duplicates_skipped:,} were there already, "
        f"{done.rejected:,} rejected, in {done.seconds:.1f} s."
    )
    if done.erased:
        out.print(f"{done.erased:,} rows about people who were erased were dropped.")
    _problems(done)
    if done.rejects_path:
        out.print(f"Rejected rows and reasons: {escape(done.rejects_path)}", soft_wrap=True)


def _problems(found: Any) -> None:
    for problem in found.problems:
        place = f"line {problem.line}: " if problem.line else ""
        out.print(f"[yellow]{place}{escape(problem.reason)}[/]  [dim]{escape(problem.raw[:80])}[/]")


def diagnosis(found: Diagnosis) -> None:
    table = Table.grid(padding=(0, 2))
    for key in found.__struct_fields__:
        value = getattr(found, key)
        if key == "findings":
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {as_text(v)}" for k, v in value.items())
        table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else escape(as_text(value)))
    out.print(table)
    for finding in found.findings:
        out.print(f"[yellow]{escape(finding)}[/]")
    if not found.findings:
        out.print("[green]Nothing is wrong.[/]")


def keys(answer: KeyList) -> None:
    table = Table("id", "kind", "name", "may", "sites", "created", "last used", "ends", box=None, pad_edge=False)
    for key in answer.items:
        used = format_instant(key.last_used_at) if key.last_used_at is not None else "never"
        if key.revoked_at is not None:
            ends = f"revoked {format_instant(key.revoked_at)}"
        else:
            ends = format_instant(key.expires_at) if key.expires_at is not None else ""
        table.add_row(
            key.id, key.kind, escape(key.name), " ".join(key.scopes), escape(" ".join(key.origins)),
            format_instant(key.created_at), used, ends,
        )  # fmt: skip
    out.print(table)


def created_key(made: CreatedKey) -> None:
    out.print(f"{made.kind} key {made.id}; its token, shown this once:")
    out.print(made.token, soft_wrap=True)
    if made.expires_at is not None:
        out.print(f"It ends at {format_instant(made.expires_at)}.")


def revoked_key(done: RevokedKey) -> None:
    out.print(f"The key {escape(done.revoked)} lets nobody in any more.")


def audit(page: AuditPage) -> None:
    table = Table("at", "who", "what", "about", "outcome", "with", box=None, pad_edge=False)
    for entry in page.items:
        parameters = ", ".join(
            f"{name}={value}" for name, value in entry.request.items() if value not in (None, "", [])
        )
        about = " ".join(part for part in (entry.target, entry.profile or "") if part)
        table.add_row(
            format_instant(entry.at),
            escape(entry.actor),
            entry.use_case,
            escape(about),
            entry.outcome,
            escape(parameters),
        )
    out.print(table)
    if page.next is not None:
        out.print(f"More: --cursor {page.next}", soft_wrap=True)


def page_link(made: StatusPageLink) -> None:
    out.print(made.url, soft_wrap=True, markup=False)
