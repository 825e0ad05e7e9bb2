"""What a broadcast is sent with."""

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
    """What a broadcast is sent with: the definitions in force when it was started or went on."""

    broadcast: Broadcast
    version: int
    messages: Mapping[str, MessageTemplate]
    versions: Mapping[str, int]
    """of the messages"""
    topics: Mapping[str, Topic]
    rules: ContactRules
    told: Mapping[str, frozenset[str] | None]
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
        """A broadcast is a newsletter, whatever its message is when journeys send it; service stays service."""
        return self.rules.rank(self.template.priority if self.is_transactional else NEWSLETTER)

    def slots(self) -> Slots:
        return Slots(
            self.rules, self.template.channel, is_exempt=self.is_transactional, per_hour=self.broadcast.per_hour
        )


def sheet_of(live: ActivePlaybook, name: str, message: str = "") -> BroadcastContext | None:
    """A broadcast with all it is sent with; None when it, or its message, is not in force.

    `message` takes the place of its own when it is sent again.
    """
    playbook = live.playbook
    broadcast = playbook.broadcasts.get(name)
    if broadcast is None:
        return None
    named = {*broadcast.messages().values(), message or broadcast.message}
    if not named <= playbook.messages.keys():
        return None
    versions = {key.partition("/")[2]: n for key, n in live.versions.items() if key.startswith("message/")}
    told = {m: traits_named(playbook, m) for m in named}
    return BroadcastContext(
        broadcast,
        live.versions[f"broadcast/{name}"],
        playbook.messages,
        versions,
        playbook.topics,
        playbook.contact,
        told,
    )


def told_of(sheet: BroadcastContext) -> frozenset[str] | None:
    """The traits that any of the broadcast's messages names; None for all."""
    told = list(sheet.told.values())
    return None if None in told else frozenset[str]().union(*(names for names in told if names is not None))
