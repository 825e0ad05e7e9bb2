"""The actor of a use case and their permissions."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keepers.model.errors import KeepersError, problem

Permission = Literal["collect", "read", "send", "manage"]
"""`collect`: send events in, and decide about one's own messages. `read`: see customers and figures.
`send`: start and stop what writes to customers.
`manage`: change definitions, data and keys."""


class NotAllowedError(KeepersError):
    """The actor lacks the permission."""

    code = "not_allowed"


class Actor(Struct, frozen=True):
    """A command, an API key, a visitor or the system. `name` is what the audit log shows, such as a key's name, and
    `id` what it is known by where names may be shared.

    `locale` is the language of the request: of the texts in its answer that no parameter of its own chooses.
    """

    kind: Literal["command", "key", "visitor", "system"]
    name: str
    permissions: frozenset[Permission]
    is_proven: bool
    """whether it is proven who they are; of a visitor with a write key, which is public, or with a link it is not"""
    locale: str = "en"
    id: str = ""
    address: str = ""
    """the network address of a visitor whose form is counted"""

    def require(self, permission: Permission) -> None:
        """Raises NotAllowedError."""
        if permission not in self.permissions:
            allowed = ", ".join(sorted(self.permissions)) or problem("nothing")
            raise NotAllowedError(
                problem(
                    "“{name}” may not {permission}; allowed: {allowed}.",
                    name=self.name,
                    permission=permission,
                    allowed=allowed,
                )
            )


EVERYTHING: frozenset[Permission] = frozenset({"collect", "read", "send", "manage"})
COLLECT: frozenset[Permission] = frozenset({"collect"})
"""of visitors, and of the keys of sites and servers"""
VISITOR = Actor("visitor", "a visitor", COLLECT, is_proven=False)
"""for whoever opens a signed link"""
COMMAND_LINE = Actor("command", "command line", EVERYTHING, is_proven=True)
"""for callers who can read the workspace's files, or its server's loopback token"""
