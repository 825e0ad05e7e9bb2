"""What a journey accepts: every event, or only trusted ones; and whom that stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from keepers.conditions import ast, graph
from keepers.i18n.findings import Sentence, sentence
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import EventEntry, SegmentEntry, StageEntry
from keepers.model.consent import Topic
from keepers.playbook.load import Playbook
from keepers.render.definition import MessageTemplate

SeenTrust = Callable[[str], tuple[int, int]]
"""event that arrives → how many of its rows are trusted, and how many came by public keys"""


class TrustRemark(NamedTuple):
    """A warning about a definition (`journey/receipts`), and the field it is about."""

    key: str
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


def trusted_only(playbook: Playbook, journey: Journey) -> bool:
    """Whether a journey goes by trusted rows alone: as it says, else when it sends transactional messages."""
    if journey.trust is not None:
        return journey.trust == "server"
    return sends_transactional(playbook, journey)


def answered_for_trust(playbook: Playbook) -> frozenset[str]:
    """The segments and lifecycles (`segment:x`, `lifecycle:y`) that trusted journeys are entered by and that count all
    rows: they are answered of trusted rows alone besides."""
    entries = [e for journey in playbook.journeys.values() if trusted_only(playbook, journey) for e in journey.entries]
    segments = {e.segment for e in entries if isinstance(e, SegmentEntry)}
    lifecycles = {e.stage.rpartition(".")[0] for e in entries if isinstance(e, StageEntry)}
    found = {f"segment:{s.id}" for s in playbook.segments.values() if s.id in segments and s.trust != "server"}
    return frozenset(found | {f"lifecycle:{name}" for name in lifecycles & playbook.lifecycles.keys()})


def trust_remarks(playbook: Playbook, seen: SeenTrust | None) -> Iterator[TrustRemark]:
    """Journeys that anybody could make send transactional messages, entries whose events come by public keys alone; of
    trusted journeys and segments, what they ask about accounts and about how long.

    `seen` looks at what has arrived; without it only what needs no data is said.
    """
    for journey in playbook.journeys.values():
        if journey.trust == "any" and sends_transactional(playbook, journey):
            yield TrustRemark(f"journey/{journey.id}", "trust", sentence("trusts_anybody", name=journey.id))
        if not trusted_only(playbook, journey):
            continue
        for n, entry in enumerate(journey.entries):
            if isinstance(entry, EventEntry) and seen is not None:
                for event in sorted(graph.base_events(entry.event, playbook.events)):
                    trusted, public = seen(event)
                    if public and not trusted:
                        about = sentence("waits_for_server", name=journey.id, event=event, number=public)
                        yield TrustRemark(f"journey/{journey.id}", f"enter[{n}]", about)
        for condition in journey.questions().values():
            for name in _lasting(playbook, condition):
                yield TrustRemark(f"journey/{journey.id}", "", sentence("lasting_is_not_trusted", name=name))
    for segment in playbook.segments.values():
        if segment.trust != "server":
            continue
        if any(isinstance(part, ast.Account) for part in ast.walk(segment.who)):
            yield TrustRemark(f"segment/{segment.id}", "who", sentence("accounts_are_not_trusted"))
        for name in _lasting(playbook, segment.who):
            yield TrustRemark(f"segment/{segment.id}", "who", sentence("lasting_is_not_trusted", name=name))


def _lasting(playbook: Playbook, condition: ast.Condition) -> Iterator[str]:
    """The segments and stages of all rows of which a condition asks how long."""
    for part in ast.walk(condition):
        match part:
            case ast.InSegment(segment, lasting) if lasting:
                known = playbook.segments.get(segment)
                if known is None or known.trust != "server":
                    yield segment
            case ast.InStage(lifecycle, stage, lasting) if lasting:
                yield f"{lifecycle}.{stage}"
            case _:
                pass
