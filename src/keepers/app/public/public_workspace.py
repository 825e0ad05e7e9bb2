"""The interface of a workspace that the public handlers use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from keepers.app.operations.keys import KeyRing
from keepers.app.public.subscriptions import Confirmation
from keepers.app.workspace.sending import Company
from keepers.model.consent import Topic
from keepers.render.links import LinkSigner
from keepers.store.database import Store


class PublicWorkspace(Protocol):
    """One open workspace. All methods but the properties may block: call them from threads, not from the event loop."""

    @property
    def store(self) -> Store: ...

    @property
    def links(self) -> LinkSigner: ...

    @property
    def keys(self) -> KeyRing: ...

    @property
    def secret(self) -> bytes:
        """The workspace's key for hashes of addresses."""
        ...

    @property
    def company(self) -> Company: ...

    @property
    def proxies(self) -> int:
        """How many proxies of the business's own stand before the server: that many last entries of
        X-Forwarded-For are believed. With 0 the peer is the client."""
        ...

    @property
    def country(self) -> str:
        """The country of telephone numbers without + (ISO 3166 alpha-2); empty when it is not set."""
        ...

    @property
    def push_key(self) -> str:
        """The public VAPID key for browsers, URL-safe base64; empty when web push is not set up."""
        ...

    def clock(self) -> datetime:
        """The present, naive UTC."""
        ...

    def topics(self) -> Mapping[str, Topic]:
        """The topics in force by id, in the playbook's order."""
        ...

    def traits(self, profile_id: int) -> Mapping[str, Any]:
        """What is known of a (surviving) profile as of the last tick; empty for one not known yet."""
        ...

    def provider_settings(self, provider: str) -> Any | None:
        """The settings of a provider's webhook, as the struct its `settings` names; None when it is not set up."""
        ...

    def visit(self, url: str) -> None:
        """Fetches an address of a provider's once, by which it learns that its webhook is wanted. Blocks; raises
        UserError when it does not answer."""
        ...

    def queue_confirmation(self, connection: Connection, wanted: Confirmation) -> None:
        """Queues the confirmation mail in the caller's transaction; it is transactional and sent at once."""
        ...
