"""Interim: commands by name, until each is a use case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keepers.app.customers import consents, erasure, scores
from keepers.app.customers.conditions import count
from keepers.app.customers.lifecycles import moves, stages
from keepers.app.messaging import broadcasts, journeys, messages, replay, signing_keys
from keepers.app.operations import doctor, keys, maintenance, playbook
from keepers.app.operations.imports import import_file
from keepers.app.operations.maintenance import backfill, tick
from keepers.app.operations.playbook import apply, check_playbook, plan

Command = Callable[..., Any]


COMMANDS: dict[str, Command] = {
    "tick": tick,
    "backfill": backfill,
    "count": count,
    "stages": stages,
    "moves": moves,
    "check": check_playbook,
    "plan": plan,
    "apply": apply,
    "import": import_file,
    "doctor": doctor.doctor,
    "rhythm": scores.rhythm,
    "keys": keys.list_keys,
    "create-key": keys.create_key,
    "revoke-key": keys.revoke_key,
    "unmerge": maintenance.unmerge,
    "rebuild": maintenance.rebuild,
    "templates": playbook.templates,
    **broadcasts.COMMANDS,
    **journeys.COMMANDS,
    **messages.COMMANDS,
    **consents.COMMANDS,
    **replay.COMMANDS,
    "erase": erasure.erase,
    "dkim": signing_keys.dkim,
}
"""Every command that needs a workspace, by name."""
