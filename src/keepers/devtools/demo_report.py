"""The demo's report on e-mails: what was sent to whom and why, what was held back and why."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import func, select

from keepers.app.workspace.workspace import Workspace
from keepers.devtools.demo_mail import JOURNEYS, Post
from keepers.store.journeys import run_history, runs
from keepers.store.messages import messages
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages as message_table

_MOST_REASONS = 12


def print_messages(workspace: Workspace, post: Post, out: Console) -> None:
    """Prints the figures, the reasons, and one customer's story."""
    out.print("\n[bold]E-mails: what became of the journeys[/]")
    with workspace.store.read() as connection:
        table = Table("journey", "entered", "under way", "ended, and why", box=None, pad_edge=False)
        for name in JOURNEYS:
            found = runs.counts(connection, name)
            ended = sorted(found.ended.items(), key=lambda pair: -pair[1])
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in ended)
            table.add_row(name, f"{found.entered:,}", f"{found.active:,}", reasons)
        out.print(table)
        counted = messages.counts(connection)
    sent = Table("message", "sent", "came back", "held back", box=None, pad_edge=False)
    for message in dict.fromkeys(c.message for c in counted):
        of = [c for c in counted if c.message == message]
        figures = [sum(c.number for c in of if c.status in kinds) for kinds in (_SENT, ("bounced",), ("skipped",))]
        sent.add_row(message, *(f"{figure:,}" for figure in figures))
    out.print("\n[bold]What was sent, and what was not[/]")
    out.print(sent)
    out.print(f"{post.mailbox.count():,} e-mails arrived in the mailbox.")
    held = Table("held back because", "messages", box=None, pad_edge=False)
    reasons_of: dict[str, int] = {}
    for c in counted:
        if c.status == "skipped":
            reasons_of[c.reason] = reasons_of.get(c.reason, 0) + c.number
    for reason, number in sorted(reasons_of.items(), key=lambda pair: -pair[1])[:_MOST_REASONS]:
        held.add_row(escape(reason), f"{number:,}")
    out.print(held)
    _one(workspace, out)


_SENT = ("sent", "delivered")


def _one(workspace: Workspace, out: Console) -> None:
    """The customer with the most journeys, then the most messages."""
    table = message_table.c
    with workspace.store.read() as connection:
        query = (
            select(table.profile_id)
            .group_by(table.profile_id)
            .order_by(
                func.count(table.journey.distinct()).desc(),
                func.count(table.status.distinct()).desc(),
                table.profile_id,
            )
            .limit(1)
        )
        profile_id = connection.execute(query).scalar_one_or_none()
        if profile_id is None:
            return
        own = connection.execute(select(journey_runs.c.id).where(journey_runs.c.profile_id == profile_id)).scalars()
        trails = run_history.of_runs(connection, list(own.all()))
        names = {run.id: run.journey for run in runs.get_many(connection, list(trails)).values()}
        messages_of = {(m.run_id, m.step, m.visit): m for m in messages.of_profile(connection, profile_id)}
    out.print(f"\n[bold]One customer's e-mails, and why[/]  (`keepers -w … why '#{profile_id}'` tells of any)")
    lines = sorted((row for rows in trails.values() for row in rows), key=lambda row: row.at)
    for row in lines:
        message = messages_of.get((row.run_id, row.step, row.visit)) if row.what == "passed" else None
        fate = f"  → {message.message}: {message.status} {message.reason}".rstrip() if message is not None else ""
        why = f" ({row.reason})" if row.reason else ""
        until = f" until {row.data['until'][:16]}" if "until" in row.data else ""
        line = f"  {row.at:%Y-%m-%d %H:%M}  {names[row.run_id]:<16} {row.step or '':<12} {row.what}{until}{why}{fate}"
        out.print(line, markup=False, soft_wrap=True)
