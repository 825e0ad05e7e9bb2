"""The rhythm's figures."""

from __future__ import annotations

from typing import Any

from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.moments import format_instant
from keepers.scores.rhythm import frozen


def rhythm(workspace: Workspace, progress: Progress) -> Any:
    """The shop's own cycle: the figures in force, and where they come from."""
    live = workspace.in_force()
    settled = frozen(live.playbook.rhythm, live.fit)
    return {
        "event": live.playbook.rhythm.event,
        "typical_gap_s": settled.typical_gap.total_seconds(),
        "longest_gap_s": settled.longest_gap.total_seconds(),
        "repeaters": settled.repeaters,
        "months_of_history": round(settled.months, 1),
        "is_provisional": settled.is_provisional,
        "method": settled.method,
        "fitted_at": format_instant(live.fitted_at) if live.fitted_at else None,
    }
