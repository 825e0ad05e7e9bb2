"""The exact copy of a message that a customer opens in the browser."""

from __future__ import annotations

from keepers.app.public.public_workspace import PublicWorkspace
from keepers.store.messages import message_copies, messages
from keepers.store.messages.message_copies import CopyRow


def kept_copy(workspace: PublicWorkspace, key: str) -> tuple[CopyRow | None, str]:
    """A message's copy, None when it is kept no longer, and the language it was written in."""
    with workspace.store.read() as connection:
        message = messages.by_keys(connection, [key]).get(key)
        kept = message_copies.get(connection, message.id, workspace.clock()) if message is not None else None
    return kept, message.locale if message is not None else ""
