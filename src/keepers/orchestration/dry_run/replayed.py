"""What a journey would have done over recorded history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Day(Struct, frozen=True):
    """A day in UTC."""

    day: str
    entered: int
    sent: Annotated[dict[str, int], Meta(description="By channel.")]


class Replayed(Struct, frozen=True):
    """What a journey would have done. Numbers are of customers in the sample, not scaled up."""

    journey: str
    since: datetime
    until: datetime
    customers: Annotated[int, Meta(description="In the sample.")]
    entered: int
    refused: Annotated[dict[str, int], Meta(description="Customers rejected, by reason.")]
    sent: Annotated[dict[str, int], Meta(description="By channel.")]
    held: Annotated[int, Meta(description="Messages that waited for the end of quiet hours.")]
    skipped: Annotated[dict[str, int], Meta(description="Messages not sent, by reason.")]
    calls: Annotated[int, Meta(description="Webhooks that would have been called; each counts as unanswered.")]
    days: list[Day]
    busiest: Annotated[
        dict[str, int], Meta(description="Messages within seven days → customers whose fullest week had so many.")
    ]
    goals: int
    goal_days: Annotated[
        list[float] | None, Meta(description="Days from entry to goal: of the middle run, and of nine in ten.")
    ]
    ended: Annotated[dict[str, int], Meta(description="Runs by the reason they ended.")]
    waiting: Annotated[dict[str, int], Meta(description="Runs still under way at the end, by step.")]
    unrecorded: Annotated[
        list[str],
        Meta(
            description="Definitions of its entries that have no recorded history: apply the playbook and run "
            "`keepers backfill`."
        ),
    ] = []
