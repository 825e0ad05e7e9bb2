"""Applies a playbook: every changed definition as a new version, all in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from keepers.playbook.active_playbook import body_text, freeze_figures, load_active_playbook, split_key
from keepers.playbook.changes import DefinitionChange
from keepers.playbook.load import Playbook
from keepers.store import definitions
from keepers.store.database import Store


def apply_playbook(
    store: Store,
    wanted: Playbook,
    now: datetime,
    figures: Mapping[str, Any] | None = None,
    zone: ZoneInfo | None = None,
) -> tuple[DefinitionChange, ...]:
    """Applies what differs and returns it; an unchanged definition keeps its version. All or nothing.

    `figures` are new ones of scores, to be frozen with it.
    What was applied takes part in the next tick, without a restart; memberships that come of it are `initial`.
    """
    done: list[DefinitionChange] = []
    with store.begin() as connection:
        current = load_active_playbook(connection, zone)
        for key in sorted({*current.playbook.bodies, *wanted.bodies}):
            old, new = current.playbook.bodies.get(key), wanted.bodies.get(key)
            kind, name = split_key(key)
            if new is None:
                definitions.retire(connection, kind, name)
                done.append(DefinitionChange(key, "remove"))
            elif old is None or body_text(old) != body_text(new):
                definitions.apply(connection, kind, name, body_text(new), now)
                done.append(DefinitionChange(key, "add" if old is None else "change"))
        freeze_figures(connection, figures or {}, now)
    return tuple(done)
