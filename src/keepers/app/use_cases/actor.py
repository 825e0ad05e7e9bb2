"""Who does something, and what they may do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keepers.model.errors import KeepersError

Permission = Literal["collect", "read", "send", "manage"]
"""`collect`: send events in. `read`: see customers and figures. `send`: start and stop what writes to customers.
`manage`: change definitions, data and keys."""


class NotAllowedError(KeepersError):
    """The actor lacks the permission."""

    code = "not_allowed"


class Actor(Struct, frozen=True):
    """Somebody who uses the workspace. `name` is what an audit shows: a key's name, the user of the machine."""

    kind: Literal["command", "key", "visitor", "system"]
    name: str
    permissions: frozenset[Permission]

    def require(self, permission: Permission) -> None:
        """Raises NotAllowedError."""
        if permission not in self.permissions:
            allowed = ", ".join(sorted(self.permissions)) or "nothing"
            raise NotAllowedError(f"“{self.name}” may not {permission}; allowed: {allowed}.")


EVERYTHING: frozenset[Permission] = frozenset({"collect", "read", "send", "manage"})
COMMAND_LINE = Actor("command", "command line", EVERYTHING)
"""whoever may read the workspace's files, or the loopback token of its server"""
