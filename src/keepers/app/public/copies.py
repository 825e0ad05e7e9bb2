"""The exact copy of a message that a customer opens in the browser."""

from __future__ import annotations

from msgspec import Struct

from keepers.app.public.link_owner import LinkRequest, message_key
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.store.messages import message_copies, messages


class KeptCopy(Struct, frozen=True):
    """What was sent: HTML, or a text under its subject."""

    subject: str
    html: str
    text: str


class CopyView(Struct, frozen=True):
    """A message's copy; None once it is kept no longer."""

    locale: str
    copy: KeptCopy | None


@use_case("GET /e/v/{token}", permission="collect")
def view_copy(workspace: Workspace, actor: Actor, request: LinkRequest) -> CopyView:
    """Shows a message as it was sent, for as long as copies are kept. Raises BadLink."""
    key = message_key(workspace, "view", request.token)
    with workspace.store.read() as connection:
        message = messages.by_keys(connection, [key]).get(key)
        kept = message_copies.get(connection, message.id, workspace.clock()) if message is not None else None
    locale = request.locale(message.locale if message is not None else "")
    return CopyView(locale, KeptCopy(kept.subject, kept.html, kept.text) if kept is not None else None)
