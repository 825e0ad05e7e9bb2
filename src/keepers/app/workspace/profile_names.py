"""The displayed name of a profile."""

from __future__ import annotations

from collections.abc import Collection

from keepers.app.workspace.workspace import Workspace
from keepers.store.profiles import identities


def names_of(workspace: Workspace, profile_ids: Collection[int]) -> dict[int, str]:
    """The displayed name of each profile: its user id, or `#` and Keepers' number."""
    with workspace.store.read() as connection:
        found = identities.of_profiles(connection, sorted(set(profile_ids)))
    return {i: found[i][-1].value if i in found else f"#{i}" for i in profile_ids}
