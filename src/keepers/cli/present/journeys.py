"""Answers about journeys, messages and consent as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keepers.model.message import SENT

if TYPE_CHECKING:
    from keepers.app.messaging.journeys import Enrolled, FilesAdded, JourneyDetail, JourneyList, JourneyRun, ReasonCount

out = Console(highlight=False, soft_wrap=False)


def journeys(answer: JourneyList) -> None:
    if not answer.items:
        out.print(
            "No journey is in force. `keepers journey add ID` copies a starter journey, `keepers apply` starts it."
        )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("journey", "", "version", "entered", "active", "ended", "messages sent", "uncertain", "not sent"):
        table.add_column(title, justify="left" if title in ("journey", "") else "right")
    for one in answer.items:
        table.add_row(
            f"[bold]{escape(one.id)}[/]", "[yellow]paused[/]" if one.is_paused else "live", str(one.version),
            *(f"{n:,}" for n in (one.entered, one.active, _sum(one.ended), _sent(one.messages))),
            f"{one.messages.get('uncertain', 0):,}", f"{one.messages.get('skipped', 0):,}",
        )  # fmt: skip
    out.print(table)


def journey(answer: JourneyDetail) -> None:
    state = "[yellow]paused[/]" if answer.is_paused else "live"
    title = f"[bold]{escape(answer.name)}[/] ({escape(answer.id)}), version {answer.version}, {state}"
    out.print(f"{title}: {answer.entered:,} entered, {answer.active:,} are in it")
    for label, text in (("by", ", ".join(answer.enter)), ("if", answer.condition), ("goal", answer.goal)):
        if text:
            out.print(f"  {label}: {escape(text)}")
    older = [v for v in answer.versions if v.version != answer.version]
    for version in older:
        out.print(f"  {version.active:,} finish on version {version.version}")
    table = Table(box=None, pad_edge=False)
    for name in ("step", "", "entered", "waiting", "passed", "dropped", "messages"):
        table.add_column(name, justify="left" if name in ("step", "", "messages") else "right")
    for step in answer.steps:
        sent = ", ".join(f"{n:,} {status}" for status, n in step.messages.items())
        figures = [f"{n:,}" for n in (step.entered, step.waiting, step.passed, _sum(step.dropped))]
        table.add_row(escape(step.id), f"[dim]{step.kind or 'no longer there'}[/]", *figures, escape(sent))
    out.print(table)
    for step in answer.steps:
        for heading, listed in (("dropped at", step.dropped), ("not sent at", step.skipped)):
            for one in listed:
                out.print(f"  {one.number:>7,} {heading} {escape(step.id)}: {escape(one.says)}")
    for heading, listed in (("ended", answer.ended), ("not let in", answer.refused)):
        for one in listed:
            out.print(f"  {one.number:>7,} {heading}: {escape(one.says)}")


def files_added(answer: FilesAdded) -> None:
    out.print(f"Added to the playbook: {escape(', '.join(answer.files))}.")
    out.print("`keepers check` looks it over, `keepers apply` makes it live.")


def enrolled(answer: Enrolled) -> None:
    is_one = answer.count == 1
    number = f"{answer.count:,} customer{'' if is_one else 's'}"
    if answer.enrolled or not answer.count:
        out.print(
            f"{number} {'is' if is_one else 'are'} considered for {escape(answer.journey)} at the next tick;"
            f" its rules hold for {'it' if is_one else 'them'}."
        )
        return
    out.print(f"{number} of the segment {escape(answer.segment or '')} would enter {escape(answer.journey)}.")
    out.print("Nobody was entered. Say it again with --yes to enter them.")


def run(answer: JourneyRun) -> None:
    where = f"ended: {answer.reason}" if answer.status == "ended" else f"at {answer.step}"
    out.print(f"Run {answer.id} of {escape(answer.profile)} in {escape(answer.journey)}: {escape(where)}.")


def _sum(listed: list[ReasonCount]) -> int:
    return sum(one.number for one in listed)


def _sent(messages: dict[str, int]) -> int:
    return sum(messages.get(status, 0) for status in SENT)
