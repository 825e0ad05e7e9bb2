"""The definitions a broadcast is sent with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from keepers.broadcasts.send_times import Slots
from keepers.contact.rules import ContactRules
from keepers.journeys.broadcast import Broadcast
from keepers.model.consent import Topic
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.playbook.references import traits_named
from keepers.render.definition import MessageTemplate

NEWSLETTER = "newsletter"


class BroadcastContext(NamedTuple):
    """The active definitions when a broadcast was started or resumed."""

    broadcast: Broadcast
    version: int
    messages: Mapping[str, MessageTemplate]
    versions: Mapping[str, int]
    """of the messages"""
    topics: Mapping[str, Topic]
    rules: ContactRules
    named_traits: Mapping[str, frozenset[str] | None]
    """message → the traits its texts name; None for all"""

    @property
    def template(self) -> MessageTemplate:
        return self.messages[self.broadcast.message]

    @property
    def topic(self) -> Topic | None:
        return self.topics.get(self.template.topic)

    @property
    def is_transactional(self) -> bool:
        return self.topic is not None and self.topic.kind == "transactional"

    @property
    def priority(self) -> int:
        """A newsletter, whatever the priority of its message in journeys; transactional messages keep theirs."""
        return self.rules.rank(self.template.priority if self.is_transactional else NEWSLETTER)

    def slots(self) -> Slots:
        return Slots(
            self.rules, self.template.channel, is_exempt=self.is_transactional, per_hour=self.broadcast.per_hour
        )


def context_of(live: ActivePlaybook, name: str, message: str = "") -> BroadcastContext | None:
    """A broadcast with its definitions; None when it, or its message, is not active.

    `message` replaces its own for a resend.
    """
    playbook = live.playbook
    broadcast = playbook.broadcasts.get(name)
    if broadcast is None:
        return None
    messages = {*broadcast.messages().values(), message or broadcast.message}
    if not messages <= playbook.messages.keys():
        return None
    versions = {key.partition("/")[2]: n for key, n in live.versions.items() if key.startswith("message/")}
    named = {m: traits_named(playbook, m) for m in messages}
    return BroadcastContext(
        broadcast,
        live.versions[f"broadcast/{name}"],
        playbook.messages,
        versions,
        playbook.topics,
        playbook.contact,
        named,
    )


def named_traits_of(context: BroadcastContext) -> frozenset[str] | None:
    """The traits that any of the broadcast's messages names; None for all."""
    named = list(context.named_traits.values())
    return None if None in named else frozenset[str]().union(*(names for names in named if names is not None))
