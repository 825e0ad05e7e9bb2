"""Makes what is sent from queued messages: the customer's data, the active template, signed links. Previews too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from keepers.model.channels import describe_channel
from keepers.model.consent import Topic
from keepers.model.errors import UserError, problem
from keepers.model.fields import text_in
from keepers.model.identity import LOCALE_TRAITS
from keepers.model.message import Content, Outgoing
from keepers.playbook.load import Playbook
from keepers.render.customer_data import nested
from keepers.render.definition import MessageTemplate
from keepers.render.links import LinkSigner
from keepers.render.renderer import Renderer
from keepers.store.messages.messages import MessageRow
from keepers.warehouse.profile_lookup import ProfileSnapshot, traits_for

ProfileLoader = Callable[[Collection[int]], Mapping[int, ProfileSnapshot]]


class MessageBuilder:
    """Builds the messages of one active playbook.

    `company` is what templates know as such. `domain` is that of Message-IDs. `link_hosts` are the hosts that links
    made of data may lead to (see `Renderer`). `load_profiles` loads customers as they are now; without it the data
    stored with the message is used.
    """

    def __init__(
        self,
        playbook: Playbook,
        links: LinkSigner,
        company: Mapping[str, Any],
        *,
        locale: str,
        domain: str,
        link_hosts: Collection[str],
        load_profiles: ProfileLoader | None,
    ) -> None:
        self._playbook = playbook
        self._links = links
        self._domain = domain
        self._load_profiles = load_profiles
        self._locale = locale
        templates = {**playbook.messages, **variants_of(playbook)}
        self.renderer = Renderer(
            templates, playbook.snippets, locale, {"company": dict(company)}, link_hosts=link_hosts
        )

    def make(self, rows: Sequence[MessageRow], now: datetime) -> list[Outgoing | UserError]:
        """What is sent for each message, in order, or why it cannot be: a `Render` for `Deliverer`."""
        who = self._load_profiles([row.profile_id for row in rows]) if self._load_profiles is not None else {}
        made: list[Outgoing | UserError] = []
        for row in rows:
            try:
                made.append(self._outgoing(row, who.get(row.profile_id), now))
            except UserError as error:
                made.append(error)
        return made

    def preview(
        self, message: str, profile: ProfileSnapshot | None, now: datetime, data: Mapping[str, Any], locale: str = ""
    ) -> Content:
        """A message as a customer would get it now; links lead nowhere and no code is used."""
        topic = self._topic(message)
        trusted_only = topic is not None and topic.kind == "transactional"
        shown = {"offer": {"code": "CODE-PREVIEW"}, **data}
        context = self._context(topic, message, profile, shown, now, trusted_only=trusted_only)
        return self.renderer.render(message, context, _locales(context["customer"], locale), None)

    def test(
        self, message: str, profile: ProfileSnapshot | None, recipient: str, key: str, now: datetime, locale: str = ""
    ) -> Outgoing:
        """A message for a trial at a given address."""
        content = self.preview(message, profile, now, {}, locale)
        template = self._playbook.messages[message]
        return Outgoing(
            0, key, template.channel, recipient, profile.profile_id if profile else 0, content, self._message_id(key),
            template.topic, True, "test", template.sender, template.reply_to,
        )  # fmt: skip

    def _outgoing(self, row: MessageRow, profile: ProfileSnapshot | None, now: datetime) -> Outgoing:
        call = row.data.get("call")
        if call is not None:
            return Outgoing(row.id, row.key, row.channel, row.recipient, row.profile_id, Content(data=call))
        template = self._playbook.messages.get(row.message)
        if template is None:
            raise UserError(
                problem("There is no message “{name}” in force any more.", name=row.message), code="no_template"
            )
        topic = self._playbook.topics.get(row.topic)
        campaign = row.journey or row.broadcast or row.message
        data = {**row.data, "journey": {"id": campaign}}
        context = self._context(topic, row.message, profile, data, now, trusted_only=row.is_transactional)
        locales = _locales(context["customer"], row.locale)
        links = self._links.of(row.key, row.profile_id, locales[0] if locales else "")
        content = self.renderer.render(self._template_of(row), context, locales, links)
        is_mail = describe_channel(row.channel).is_mail
        is_marketing = not row.is_transactional and is_mail
        return Outgoing(
            id=row.id,
            key=row.key,
            channel=row.channel,
            recipient=row.recipient,
            profile_id=row.profile_id,
            content=content,
            message_id=self._message_id(row.key) if is_mail else "",
            topic=row.topic,
            is_transactional=row.is_transactional,
            campaign=campaign,
            sender=template.sender,
            reply_to=template.reply_to,
            unsubscribe_url=links.unsubscribe if is_marketing else "",
        )

    def _context(
        self,
        topic: Topic | None,
        message: str,
        profile: ProfileSnapshot | None,
        data: Mapping[str, Any],
        now: datetime,
        *,
        trusted_only: bool,
    ) -> dict[str, Any]:
        """What templates may name."""
        customer = (
            nested(traits_for(profile, trusted_only=trusted_only)) | {"id": profile.profile_id}
            if profile is not None
            else data.get("customer", {})
        )
        contact = data.get("contact") or {}
        locale = next((str(customer[t]) for t in LOCALE_TRAITS if customer.get(t)), self._locale)
        about = {"id": topic.id, "name": text_in(topic.name, locale) or topic.id} if topic is not None else {}
        return {
            "customer": customer,
            "trigger": data.get("trigger", {}),
            "run": data.get("run", {}),
            "offer": data.get("offer", {}),
            "account": data.get("account", {}),
            "journey": data.get("journey", {}),
            "message": {"id": message},
            "topic": about,
            "now": now,
            "zone": profile.zone if profile is not None else contact.get("zone", "UTC"),
        }

    def _topic(self, message: str) -> Topic | None:
        template = self._playbook.messages.get(message)
        return self._playbook.topics.get(template.topic) if template is not None else None

    def _message_id(self, key: str) -> str:
        return f"<{key}@{self._domain}>"

    def _template_of(self, row: MessageRow) -> str:
        """The message, or the variant of a broadcast."""
        name = f"{row.broadcast}/{row.step}"
        return name if row.broadcast and row.step and name in self.renderer.messages else row.message


def variants_of(playbook: Playbook) -> dict[str, MessageTemplate]:
    """The variants of broadcasts with a subject of their own, as messages named `broadcast/variant`."""
    found = {}
    for broadcast in playbook.broadcasts.values():
        template = playbook.messages.get(broadcast.message)
        for variant in broadcast.test.variants if broadcast.test is not None and template is not None else ():
            if variant.subject and template is not None:
                content = {
                    locale: msgspec.structs.replace(body, subject=text_in(variant.subject, locale) or body.subject)
                    for locale, body in template.content.items()
                }
                name = f"{broadcast.id}/{variant.id}"
                found[name] = msgspec.structs.replace(template, id=name, content=content)
    return found


def _locales(customer: Mapping[str, Any], wanted: str) -> list[str]:
    own = [str(customer[trait]) for trait in LOCALE_TRAITS if isinstance(customer.get(trait), str)]
    return [wanted, *own] if wanted else own
