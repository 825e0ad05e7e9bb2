"""Asks policy whether messages that steps think of may go, for a whole wave at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from keepers.contact.eligibility import Contact, Decision, MessageCandidate, Skip, together
from keepers.journeys.requests import Check, StepQuestion
from keepers.journeys.run import Run
from keepers.model.coupons import NO_CODE
from keepers.orchestration.effects import is_transactional
from keepers.orchestration.journey_index import JourneyIndex
from keepers.store.database import Store
from keepers.store.messages import coupons
from keepers.store.messages.contact_history import Decider
from keepers.store.messages.coupons import Want
from keepers.warehouse.profile_lookup import Person, contact_of, recipient_of


class Asker(Protocol):
    """Whose run asks: see `advance.Job`."""

    answers: dict[StepQuestion, object]
    at: datetime
    run: Run


class Checker:
    """Policy at the time of decision. Caps are not taken yet: that is done when a message is handed over."""

    def __init__(self, store: Store, roster: JourneyIndex, decider: Decider, addresses: Mapping[str, str]) -> None:
        self._store = store
        self._roster = roster
        self._decider = decider
        self._addresses = addresses

    def check(self, asked: Sequence[tuple[Asker, Person, Check]], now: datetime) -> None:
        """Puts a decision into each asker's answers."""
        candidates: list[MessageCandidate] = []
        for asker, person, question in asked:
            contact = contact_of(person)
            candidates += [self._candidate(name, person, contact, asker.at) for name in question.messages]
        with self._store.read() as connection:
            decisions = iter(self._decider.decide(connection, candidates, now))
            answers: list[Decision] = []
            for _, _, question in asked:
                own: list[Decision] = [next(decisions) for _ in question.messages]
                answers.append(together(own) if question.is_exposure else own[0])
            wants = {
                n: self._want(question.coupon, asker)
                for n, (asker, _, question) in enumerate(asked)
                if question.coupon and not isinstance(answers[n], Skip)
            }
            has_code = coupons.available(connection, list(wants.values()), now) if wants else frozenset()
        for n, (asker, _, question) in enumerate(asked):
            is_without = n in wants and wants[n].message_key not in has_code
            asker.answers[question] = Skip(NO_CODE) if is_without else answers[n]

    def _want(self, pool: str, asker: Asker) -> Want:
        """What delivery will ask for: a run that has a code of the pool gets the same again."""
        known = self._roster.playbook.coupons.get(pool)
        once_per = known.every if known is not None else None
        return Want(pool, f"run {asker.run.id}", asker.run.profile_id, asker.run.id, once_per)

    def _candidate(self, name: str, person: Person, contact: Contact, at: datetime) -> MessageCandidate:
        template = self._roster.playbook.messages.get(name)
        if template is None:
            return MessageCandidate(person.profile_id, "", "", None)
        return MessageCandidate(
            profile_id=person.profile_id,
            channel=template.channel,
            topic=template.topic,
            recipient=recipient_of(person, template.channel, self._addresses) or None,
            priority=self._roster.playbook.contact.rank(template.priority),
            is_transactional=is_transactional(self._roster, template),
            expires_at=at + template.expires,
            contact=contact,
            decided_at=at,
        )
