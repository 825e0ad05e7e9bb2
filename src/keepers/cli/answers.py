"""What the answers of commands are made of: plain data, instants in ISO 8601, profiles by a name people know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import msgspec

from keepers.model.moments import format_instant, parse_instant
from keepers.store import identities
from keepers.wire import Workspace

Progress = Callable[[int, int], None]
"""(done, of how many)"""


def moment(workspace: Workspace, text: str | None) -> datetime:
    """`--now`: ISO 8601 in the workspace's zone, or the workspace's present."""
    return workspace.now() if text is None else parse_instant(text, workspace.zone)


def shown(value: Any) -> Any:
    """A struct as plain data with instants in ISO 8601 UTC."""
    return msgspec.to_builtins(_with_instants(value))


def names_of(workspace: Workspace, profile_ids: Collection[int]) -> dict[int, str]:
    """What each profile is best known as: its user id, or `#` and Keepers' number."""
    with workspace.store.read() as connection:
        found = identities.of_profiles(connection, sorted(set(profile_ids)))
    return {i: found[i][-1].value if i in found else f"#{i}" for i in profile_ids}


def _with_instants(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return {f.encode_name: _with_instants(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {k: _with_instants(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_with_instants(v) for v in value]
    return value
