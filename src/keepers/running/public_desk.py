"""The open workspace as its customers meet it: links, preferences, forms, provider webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from keepers.api.public.desk import Confirmation
from keepers.api.public.pages import Company
from keepers.channels.base import read_fields
from keepers.channels.providers import PROVIDERS, ses
from keepers.channels.push import public_key
from keepers.model.consent import CONFIRMATION, Topic
from keepers.model.definitions import text_in
from keepers.model.errors import UserError
from keepers.render.links import Links
from keepers.store import messages
from keepers.store.database import Store
from keepers.store.keys import KeyRing
from keepers.store.messages import MessageRow, key_of
from keepers.warehouse.people import people
from keepers.wire import Workspace, clock


class OpenPublicDesk:
    """Implements `keepers.api.public.desk.PublicDesk` over a workspace."""

    def __init__(self, workspace: Workspace, keys: KeyRing) -> None:
        self._workspace = workspace
        self.keys = keys
        self.store: Store = workspace.store
        self.secret = workspace.secret
        self.links: Links = workspace.sending.links
        self.company = Company(**workspace.sending.company)
        self.proxies = workspace.settings.server.proxies
        self.country = workspace.addresses.country
        private = str(workspace.settings.channels.get("push", {}).get("private_key", ""))
        self.push_key = public_key(private) if private else ""

    def clock(self) -> datetime:
        return clock()

    def topics(self) -> Mapping[str, Topic]:
        self._workspace.sending.refresh()
        return self._workspace.sending.decider.topics

    def traits(self, profile_id: int) -> Mapping[str, Any]:
        found = people(self._workspace.warehouse, [profile_id]).get(profile_id)
        return found.traits if found is not None else {}

    def provider_settings(self, provider: str) -> Any | None:
        given = self._workspace.settings.providers.get(provider)
        if given is None or provider not in PROVIDERS:
            return None
        return read_fields(PROVIDERS[provider].settings, given, f"[providers.{provider}]")

    def visit(self, url: str) -> None:
        ses.fetch_from_amazon(url)

    def _name(self, wanted: Confirmation) -> str:
        """The topic as its customer reads it."""
        topic = self._workspace.sending.decider.topics.get(wanted.topic)
        locale = wanted.locale or self._workspace.settings.sending.locale
        return (text_in(topic.name, locale) if topic is not None else "") or wanted.topic

    def queue_confirmation(self, connection: Connection, wanted: Confirmation) -> None:
        template = self._workspace.sending.playbook.messages.get(CONFIRMATION)
        if template is None:
            raise UserError(
                f"The playbook has no message “{CONFIRMATION}”, which asks for the second yes. `keepers init` with any "
                "starter journey brings one, in contact.yaml.",
                code="no_template",
            )
        hashed = self._workspace.sending.decider.hash(template.channel, wanted.recipient)
        row = MessageRow(
            key=key_of("confirmation", wanted.profile_id, wanted.topic, hashed, wanted.at.isoformat()),
            profile_id=wanted.profile_id,
            message=template.id,
            channel=template.channel,
            topic=template.topic,
            recipient=wanted.recipient,
            address_hash=hashed,
            decided_at=wanted.at,
            send_after=wanted.at,
            is_transactional=True,
            priority=0,
            expires_at=wanted.at + template.expires,
            locale=wanted.locale,
            data={"trigger": {"url": wanted.url, "topic": self._name(wanted), "topic_id": wanted.topic}},
        )
        messages.queue(connection, [row])
