"""Whether messages that steps may send are eligible, decided for a whole wave of questions at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from keepers.contact.eligibility import NO_TEMPLATE, Decision, MessageCandidate, Skip, together
from keepers.journeys.requests import CheckEligibility, StepQuestion
from keepers.journeys.run import Run
from keepers.model.coupons import NO_CODE
from keepers.orchestration.journey_index import JourneyIndex
from keepers.playbook.trust import is_transactional
from keepers.render.definition import MessageTemplate
from keepers.store.database import Store
from keepers.store.messages import coupons
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.messages.coupons import CodeRequest
from keepers.warehouse.profile_lookup import ProfileSnapshot, contact_of, recipient_of


class EligibilityJob(Protocol):
    """A run at a step that sends: see `advance.Job`."""

    answers: dict[StepQuestion, object]
    at: datetime
    run: Run


class MessageDecisions(Protocol):
    """Answers the questions of steps whether their messages may go."""

    def check(self, checks: Sequence[tuple[EligibilityJob, ProfileSnapshot, CheckEligibility]], now: datetime) -> None:
        """Puts a decision into each asker's answers."""


class LiveMessageDecisions:
    """By the present state of the store. Places under the caps are taken only when a message is handed over."""

    def __init__(
        self, store: Store, index: JourneyIndex, eligibility: StoredEligibility, addresses: Mapping[str, str]
    ) -> None:
        self._store = store
        self._index = index
        self._eligibility = eligibility
        self._addresses = addresses

    def check(self, checks: Sequence[tuple[EligibilityJob, ProfileSnapshot, CheckEligibility]], now: datetime) -> None:
        """Puts a decision into each asker's answers, in a few queries for all of them."""
        templates = self._index.playbook.messages
        candidates = [
            candidate_for(self._index, templates[name], job.run.journey, profile, self._addresses, job.at)
            for job, profile, question in checks
            for name in question.messages
            if name in templates
        ]
        with self._store.read() as connection:
            decisions = iter(self._eligibility.decide(connection, candidates, now))
            answers: list[Decision] = []
            for _, _, question in checks:
                own = [next(decisions) if name in templates else NO_TEMPLATE for name in question.messages]
                answers.append(together(own) if question.is_exposure else own[0])
            wants = {
                n: self._want(question.coupon, job)
                for n, (job, _, question) in enumerate(checks)
                if question.coupon and not isinstance(answers[n], Skip)
            }
            has_code = coupons.available(connection, list(wants.values()), now) if wants else frozenset()
        for n, (job, _, question) in enumerate(checks):
            is_without = n in wants and wants[n].message_key not in has_code
            job.answers[question] = Skip(NO_CODE) if is_without else answers[n]

    def _want(self, pool: str, job: EligibilityJob) -> CodeRequest:
        """The code that delivery will request: a run that has a code of the pool gets the same again."""
        known = self._index.playbook.coupons.get(pool)
        once_per = known.every if known is not None else None
        return CodeRequest(pool, f"run {job.run.id}", job.run.profile_id, job.run.id, once_per)


def candidate_for(
    index: JourneyIndex,
    template: MessageTemplate,
    journey: str,
    profile: ProfileSnapshot,
    addresses: Mapping[str, str],
    at: datetime,
) -> MessageCandidate:
    """A message to a customer that a run may send, decided on at `at`. Its address hash is not made yet."""
    return MessageCandidate(
        profile_id=profile.profile_id,
        channel=template.channel,
        topic=template.topic,
        recipient=recipient_of(profile, template.channel, addresses) or None,
        priority=index.rank(template, journey),
        is_transactional=is_transactional(index.playbook.topics, template),
        expires_at=at + template.expires,
        contact=contact_of(profile, addresses),
        decided_at=at,
    )
