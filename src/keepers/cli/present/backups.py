"""Backups and what was restored, as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.operations.backups import BackedUp, BackupList
    from keepers.app.operations.restore import Restored


def backed_up(done: BackedUp) -> None:
    out.print(
        f"Backup {done.id}: {done.files:,} files, {_size(done.size)}, of which {_size(done.new_bytes)} had to be "
        f"written. Backups in {escape(done.folder)}: {done.kept:,}.",
        soft_wrap=True,
    )
    if done.expired:
        out.print(f"Removed: {', '.join(done.expired)}; {_size(done.freed_bytes)} are free again.", soft_wrap=True)
    if done.damaged:
        out.print(
            f"[yellow]The lists of {', '.join(done.damaged)} are damaged, so nothing is freed. Remove those files from "
            "the folder backups/, if no copy of them is elsewhere.[/]",
            soft_wrap=True,
        )


def listed(found: BackupList) -> None:
    table = Table("backup", "made", "files", "size", "store", "version", "damage", box=None, pad_edge=False)
    for one in found.items:
        made = _second(one.made_at) if one.made_at is not None else ""
        table.add_row(one.id, made, f"{one.files:,}", _size(one.size), one.store, one.keepers, escape(one.damage))
    out.print(table)


def restored(done: Restored) -> None:
    out.print(
        f"{escape(done.folder)} is the workspace as of {_second(done.made_at)}: {done.events:,} events, "
        f"{done.profiles:,} profiles, {done.messages:,} messages.",
        soft_wrap=True,
    )
    if done.erased:
        out.print(f"Customers that were erased after that, and are erased here too: {done.erased:,}.", soft_wrap=True)
    out.print(
        f"Erasures after {_second(done.erasures_until)} are known only if --erasures named where. Nothing is sent "
        "until `keepers start-sending`. What journeys decide now may have been sent since the backup: tick, look at "
        "what is queued (`keepers messages --status queued`), then start sending.",
        soft_wrap=True,
    )
    if done.uncertain:
        out.print(
            f"[yellow]Messages that waited then: {done.uncertain:,}. They may have been sent since, so they are "
            "uncertain: `keepers messages --status uncertain` lists them. `keepers message settle retry --journey ID` "
            "counts those of a journey and says the risk, and with --yes sends them all the same; `settle sent` takes "
            "them as sent, `settle not_sent` gives them up.[/]",
            soft_wrap=True,
        )
    if done.is_jump:
        out.print(
            "[yellow]Its last tick is long ago, so the first one is refused unless you say that the clock is right: "
            "`keepers tick --allow-jump`.[/]",
            soft_wrap=True,
        )
    if done.left_out:
        out.print(
            f"[yellow]Removed from the databases: {escape(', '.join(done.left_out))}. Keepers makes no such things. If "
            "they are not yours either, somebody has changed the backup: keep backups where you alone write.[/]",
            soft_wrap=True,
        )
    if done.stopped_broadcasts:
        out.print(
            f"[yellow]Stopped broadcasts: {escape(', '.join(done.stopped_broadcasts))}. `keepers broadcast resume` "
            "continues one, also for those who got it since.[/]",
            soft_wrap=True,
        )


def _second(at: datetime) -> str:
    return format_instant(at.replace(microsecond=0))


def _size(number: int) -> str:
    """Bytes in the largest unit that leaves at least 1."""
    size, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:,.0f} B" if units[0] == "B" else f"{size:,.1f} {units[0]}"
