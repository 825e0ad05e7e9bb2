"""The figures of the shop's own cycle of purchases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.scores.rhythm import Fit, frozen


class ReadRhythm(Struct, frozen=True, kw_only=True):
    """No parameters."""


class RhythmFigures(Struct, frozen=True):
    """The figures in force, and where they come from."""

    event: Annotated[str, Meta(description="The event whose repetition is measured.")]
    typical_gap_s: Annotated[float, Meta(description="Between a first and a second event, in seconds.")]
    longest_gap_s: Annotated[float, Meta(description="95 % of all gaps stay below it, in seconds.")]
    repeaters: Annotated[int, Meta(ge=0, description="How many customers bought again.")]
    months_of_history: float
    is_provisional: Annotated[bool, Meta(description="Under 12 months of history, or too few came back.")]
    method: Annotated[str, Meta(description="How the typical gap was estimated.")]
    fitted_at: Annotated[datetime | None, Meta(description="When the figures were frozen; null while none are.")]


@use_case("GET /rhythm", permission="read", tag="lifecycles")
def read_rhythm(workspace: Workspace, actor: Actor, request: ReadRhythm) -> RhythmFigures:
    """The rhythm: the shop's own cycle of purchases

    Typical and longest gap between purchases, from which lifecycles compute who is due, slipping and lost.
    """
    live = workspace.active_playbook()
    settings = live.definitions().scores["rhythm"].settings
    settled = frozen(settings, live.figures.get("rhythm", Fit()))
    return RhythmFigures(
        settings.event,
        settled.typical_gap.total_seconds(),
        settled.longest_gap.total_seconds(),
        settled.repeaters,
        round(settled.months, 1),
        settled.is_provisional,
        settled.method,
        live.fitted_at.get("rhythm"),
    )
