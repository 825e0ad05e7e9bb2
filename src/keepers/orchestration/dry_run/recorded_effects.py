"""Eligibility and effects of a dry run: what would be sent, held and skipped at each moment; nothing is stored."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple

import msgspec

from keepers.contact.agreements import Agreements
from keepers.contact.eligibility import NO_TEMPLATE, Allow, Contact, Decision, Hold, MessageCandidate, Skip, together
from keepers.contact.places import ContactHistory, OtherMessage
from keepers.contact.rules import ContactRules
from keepers.contact.wave import EligibilityWave, RecipientFacts
from keepers.journeys.requests import Call, CheckEligibility, Send
from keepers.journeys.run import Effect, Run
from keepers.model.consent import Topic, address_hash
from keepers.orchestration.effects import EffectCollector
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import EligibilityJob, candidate_for
from keepers.render.definition import MessageTemplate
from keepers.store.profiles.suppressions import Suppression
from keepers.warehouse.profile_lookup import ProfileSnapshot


class Known(NamedTuple):
    """What was known in the past, by customer or address; lists in order of time."""

    agreements: Agreements
    suppressions: Mapping[tuple[str, str], Suppression]
    activity: Mapping[int, Sequence[datetime]]
    """what lifts quiet hours: of known customers what trusted sources saw, of others everything"""
    engaged: Mapping[int, Sequence[datetime]]
    sent: Sequence[OtherMessage]
    """marketing that really went out"""


class Sent(NamedTuple):
    """A message that would have gone out."""

    at: datetime
    profile_id: int
    channel: str
    message: str


class _Held(NamedTuple):
    until: datetime
    id: int
    run_id: int
    profile: ProfileSnapshot
    candidate: MessageCandidate
    message: str


class _PastAndReplayed(ContactHistory):
    """The history as of a moment: runs are replayed side by side, so later messages of another run are left out."""

    def others(self, candidate: MessageCandidate, now: datetime) -> Iterator[OtherMessage]:
        for other in super().others(candidate, now):
            if other.decided_at > now:
                continue
            is_later = other.counted_at is not None and other.counted_at > now
            yield other._replace(counted_at=None) if is_later else other


class DryRun(EffectCollector):
    """Decides about messages and records what runs would do, in place of `LiveMessageDecisions` and effects."""

    def __init__(
        self,
        index: JourneyIndex,
        addresses: Mapping[str, str],
        secret: bytes,
        rules: ContactRules,
        topics: Mapping[str, Topic],
        known: Known,
    ) -> None:
        super().__init__(index, addresses, secret)
        self._known = known
        self._wave = EligibilityWave(rules, topics, _PastAndReplayed(known.sent))
        self._leaving = {j.id: {"goal", *(leaving.reason for leaving in j.exits)} for j in index.live.values()}
        self._held: dict[int, list[_Held]] = {}
        self._hashes: dict[tuple[str, str], str] = {}
        self._ids = count(max((other.id for other in known.sent), default=0) + 1)
        self.sent: list[Sent] = []
        self.calls = 0
        self.held = 0
        self.skipped: Counter[str] = Counter()

    def check(self, checks: Sequence[tuple[EligibilityJob, ProfileSnapshot, CheckEligibility]], now: datetime) -> None:
        """As `LiveMessageDecisions.check`, each as of the asker's own moment."""
        for job, profile, question in checks:
            self.release(profile.profile_id, job.at)
            templates = [self._index.playbook.messages.get(name) for name in question.messages]
            own = [
                self._decide(profile, self._candidate(job.run, profile, template, job.at), job.at)
                if template is not None
                else NO_TEMPLATE
                for template in templates
            ]
            job.answers[question] = together(own) if question.is_exposure else own[0]

    def add(self, run: Run, profile: ProfileSnapshot, effects: Sequence[Effect], at: datetime) -> None:
        """As `EffectCollector.add`; events and entries of a run are not replayed."""
        self.release(profile.profile_id, at)
        for effect in effects:
            match effect.request:
                case Send(message, decision):
                    template = self._index.playbook.messages.get(message)
                    if template is None:
                        self.skipped[NO_TEMPLATE.reason] += 1
                    else:
                        self._queue(run, profile, template, decision, at)
                case Call():
                    self.calls += 1
                case _:
                    pass
        if run.status == "ended" and run.reason in self._leaving[run.journey]:
            self._leave(run)

    def release(self, profile_id: int, now: datetime) -> None:
        """Decides again about a customer's held messages at the moments they were held until, up to `now`."""
        held = self._held.get(profile_id)
        while held and held[0].until <= now:
            one = held.pop(0)
            self._hand_over(one, one.until)

    def release_all(self, now: datetime) -> None:
        for profile_id in list(self._held):
            self.release(profile_id, now)

    def _leave(self, run: Run) -> None:
        """Skips what is still held for a run that left."""
        for one in [one for one in self._held.get(run.profile_id, ()) if one.run_id == run.id]:
            self._held[run.profile_id].remove(one)
            self._wave.history.record(one.candidate, Skip("exited"), one.until)
            self.skipped["exited"] += 1

    def _queue(
        self, run: Run, profile: ProfileSnapshot, template: MessageTemplate, decision: Decision, at: datetime
    ) -> None:
        candidate = msgspec.structs.replace(self._candidate(run, profile, template, at), message_id=next(self._ids))
        queued = _Held(at, candidate.message_id, run.id, profile, candidate, template.id)
        if isinstance(decision, Skip):
            self.skipped[decision.reason] += 1
            return
        send_after = decision.until if isinstance(decision, Hold) else at
        if not candidate.is_transactional:
            self._wave.history.add(
                OtherMessage(
                    candidate.message_id, profile.profile_id, candidate.address_hash, candidate.channel,
                    candidate.priority, at, send_after, candidate.expires_at,
                )
            )  # fmt: skip
        if isinstance(decision, Hold):
            self.held += 1
            self._hold(queued, send_after)
        else:
            self._hand_over(queued, at)

    def _hand_over(self, one: _Held, at: datetime) -> None:
        decision = self._decide(one.profile, one.candidate, at, reserving=True)
        match decision:
            case Allow():
                self.sent.append(Sent(at, one.profile.profile_id, one.candidate.channel, one.message))
            case Hold(until):
                self._hold(one, until)
            case Skip(reason):
                self.skipped[reason] += 1

    def _hold(self, one: _Held, until: datetime) -> None:
        waiting = self._held.setdefault(one.profile.profile_id, [])
        insort(waiting, one._replace(until=until), key=lambda held: (held.until, held.id))

    def _candidate(
        self, run: Run, profile: ProfileSnapshot, template: MessageTemplate, at: datetime
    ) -> MessageCandidate:
        candidate = candidate_for(self._index, template, run.journey, profile, self._addresses, at)
        return msgspec.structs.replace(candidate, address_hash=self._hash(candidate.channel, candidate.recipient or ""))

    def _decide(
        self, profile: ProfileSnapshot, candidate: MessageCandidate, now: datetime, *, reserving: bool = False
    ) -> Decision:
        """By what was known at `now`."""
        agreed, hashed = self._known.agreements, candidate.address_hash
        consent = agreed.effective(profile.profile_id, candidate.channel, candidate.topic, hashed, now)
        suppression = self._known.suppressions.get((candidate.channel, candidate.address_hash))
        contact = candidate.contact or Contact()
        recipient = RecipientFacts(
            consent.state if consent is not None else None,
            suppression.reason if suppression is not None and suppression.at <= now else None,
            msgspec.structs.replace(
                contact,
                last_activity_at=_last(self._known.activity, profile.profile_id, now),
                engaged_at=_last(self._known.engaged, profile.profile_id, now),
            ),
            is_confirmed=agreed.is_confirmed(profile.profile_id, candidate.channel, candidate.topic, hashed, now),
        )
        return self._wave.decide(candidate, recipient, now, reserving=reserving)

    def _hash(self, channel: str, recipient: str) -> str:
        key = (channel, recipient)
        if key not in self._hashes:
            self._hashes[key] = address_hash(self._secret, channel, recipient) if recipient else ""
        return self._hashes[key]


def _last(times: Mapping[int, Sequence[datetime]], profile_id: int, now: datetime) -> datetime | None:
    """The last instant of a customer's up to `now`."""
    own = times.get(profile_id, ())
    n = bisect_right(own, now)
    return own[n - 1] if n else None
