"""What a journey accepts: every event, or only trusted ones; and whom that stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from keepers.conditions import graph
from keepers.i18n.findings import Sentence, sentence
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import EventEntry
from keepers.model.consent import Topic
from keepers.playbook.load import Playbook
from keepers.render.definition import MessageTemplate

SeenTrust = Callable[[str], tuple[int, int]]
"""event that arrives → how many of its rows are trusted, and how many came by public keys"""


class TrustRemark(NamedTuple):
    """A warning about a journey, and the field it is about."""

    journey: str
    field: str
    sentence: Sentence


def is_transactional(topics: Mapping[str, Topic], template: MessageTemplate) -> bool:
    """Whether a message's topic is one that customers cannot do without."""
    topic = topics.get(template.topic)
    return topic is not None and topic.kind == "transactional"


def sends_transactional(playbook: Playbook, journey: Journey) -> bool:
    """Whether a journey has messages that go out without consent, caps and quiet hours."""
    sent = (playbook.messages.get(name) for step in journey.steps.values() for name in step.messages())
    return any(template is not None and is_transactional(playbook.topics, template) for template in sent)


def is_trusted(playbook: Playbook, journey: Journey) -> bool:
    """Whether a journey goes by trusted rows alone: as it says, else when it sends transactional messages."""
    if journey.trust is not None:
        return journey.trust == "server"
    return sends_transactional(playbook, journey)


def trust_remarks(playbook: Playbook, seen: SeenTrust | None) -> Iterator[TrustRemark]:
    """Journeys that anybody could make send transactional messages, and entries whose events come by public keys alone.

    `seen` looks at what has arrived; without it only what needs no data is said.
    """
    for journey in playbook.journeys.values():
        if journey.trust == "any" and sends_transactional(playbook, journey):
            yield TrustRemark(journey.id, "trust", sentence("trusts_anybody", name=journey.id))
        if seen is None or not is_trusted(playbook, journey):
            continue
        for n, entry in enumerate(journey.entries):
            if isinstance(entry, EventEntry):
                for event in sorted(graph.base_events(entry.event, playbook.events)):
                    trusted, public = seen(event)
                    if public and not trusted:
                        about = sentence("waits_for_server", name=journey.id, event=event, number=public)
                        yield TrustRemark(journey.id, f"enter[{n}]", about)
