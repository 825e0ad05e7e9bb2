"""Asks policy whether messages that steps think of may go, for a whole wave at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from keepers.journeys.policy import Decision, together
from keepers.journeys.requests import Check, Question
from keepers.pipeline.facts import Candidate, Contact, Decider
from keepers.pipeline.perform import contact_of, is_transactional, recipient_of
from keepers.pipeline.roster import Roster
from keepers.render.definition import PRIORITIES
from keepers.store.database import Store
from keepers.warehouse.people import Person


class Asker(Protocol):
    """Whose run asks: see `advance.Job`."""

    answers: dict[Question, object]
    at: datetime


class Checker:
    """Policy at the time of decision. Caps are not taken yet: that is done when a message is handed over."""

    def __init__(self, store: Store, roster: Roster, decider: Decider, addresses: Mapping[str, str]) -> None:
        self._store = store
        self._roster = roster
        self._decider = decider
        self._addresses = addresses

    def check(self, asked: Sequence[tuple[Asker, Person, Check]], now: datetime) -> None:
        """Puts a decision into each asker's answers."""
        candidates: list[Candidate] = []
        for asker, person, question in asked:
            contact = contact_of(person)
            candidates += [self._candidate(name, person, contact, asker.at) for name in question.messages]
        with self._store.read() as connection:
            decisions = iter(self._decider.decide(connection, candidates, now))
        for asker, _, question in asked:
            own: list[Decision] = [next(decisions) for _ in question.messages]
            asker.answers[question] = together(own) if question.is_exposure else own[0]

    def _candidate(self, name: str, person: Person, contact: Contact, at: datetime) -> Candidate:
        template = self._roster.playbook.messages.get(name)
        if template is None:
            return Candidate(person.profile_id, "", "", None)
        return Candidate(
            profile_id=person.profile_id,
            channel=template.channel,
            topic=template.topic,
            recipient=recipient_of(person, template.channel, self._addresses) or None,
            priority=PRIORITIES.index(template.priority),
            is_transactional=is_transactional(self._roster, template),
            expires_at=at + template.expires,
            contact=contact,
            decided_at=at,
        )
