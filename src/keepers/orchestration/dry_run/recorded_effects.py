"""Policy in a replay: what would have been sent, held and skipped, by each virtual moment; nothing is kept or sent."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from keepers.contact.eligibility import Allow, Decision, Facts, Hold, Skip, decide, together
from keepers.contact.rules import ContactRules
from keepers.journeys.requests import Call, Check, Send
from keepers.journeys.run import Effect, Run
from keepers.model.consent import Consent, Topic, address_hash
from keepers.orchestration.effects import WEBHOOK, EffectCollector, is_transactional
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import Asker, Checker
from keepers.render.definition import MessageTemplate
from keepers.store.profiles import consents as consents_
from keepers.store.profiles.suppressions import Suppression
from keepers.warehouse.profile_lookup import Person, contact_of, recipient_of

NO_MESSAGE = "no_message"


class Known(NamedTuple):
    """What is known of the past, by customer or address; lists in order of time."""

    consents: Mapping[int, Sequence[Consent]]
    suppressions: Mapping[tuple[str, str], Suppression]
    activity: Mapping[int, Sequence[datetime]]
    engaged: Mapping[int, Sequence[datetime]]
    sent: Mapping[str, list[tuple[datetime, str]]]
    """address → (when, channel) of marketing that really went out, and then of what the replay would send"""


class Sent(NamedTuple):
    """A message that would have gone out."""

    at: datetime
    profile_id: int
    channel: str
    message: str


class _Held(NamedTuple):
    until: datetime
    n: int
    run_id: int
    person: Person
    template: MessageTemplate
    decided_at: datetime


class DryRun(EffectCollector, Checker):
    """Answers policy's questions and takes down what runs want, in place of the checker and the wishes."""

    def __init__(
        self,
        roster: JourneyIndex,
        addresses: Mapping[str, str],
        secret: bytes,
        rules: ContactRules,
        topics: Mapping[str, Topic],
        known: Known,
    ) -> None:
        EffectCollector.__init__(self, roster, addresses, secret)
        self._rules = rules
        self._topics = topics
        self._known = known
        self._leaving = {j.id: {"goal", *(leaving.reason for leaving in j.exits)} for j in roster.live.values()}
        self._held: dict[int, list[_Held]] = {}
        self._counted = {hashed: list(listed) for hashed, listed in known.sent.items()}
        self._to_person: dict[int, list[tuple[datetime, str, str]]] = {}
        self._hashes: dict[tuple[str, str], str] = {}
        self.sent: list[Sent] = []
        self.calls = 0
        self.held = 0
        self.skipped: Counter[str] = Counter()

    def check(self, asked: Sequence[tuple[Asker, Person, Check]], now: datetime) -> None:
        """As `Checker.check`, each as of the asker's own moment."""
        for asker, person, question in asked:
            self.release(person.profile_id, asker.at)
            templates = [self._roster.playbook.messages.get(name) for name in question.messages]
            own = [
                self._decide(person, template, asker.at, asker.at) if template is not None else Skip(NO_MESSAGE)
                for template in templates
            ]
            asker.answers[question] = together(own) if question.is_exposure else own[0]

    def add(self, run: Run, person: Person, effects: Sequence[Effect], at: datetime) -> None:
        """As `Wishes.add`; what a run says and starts is not heard by anybody."""
        self.release(person.profile_id, at)
        for effect in effects:
            match effect.request:
                case Send(message, decision):
                    template = self._roster.playbook.messages.get(message)
                    if template is None:
                        self.skipped[NO_MESSAGE] += 1
                    else:
                        self._take(run.id, person, template, decision, at, at)
                case Call():
                    self.calls += 1
                case _:
                    pass
        if run.status == "ended" and run.reason in self._leaving[run.journey]:
            self._leave(run)

    def _leave(self, run: Run) -> None:
        """A run that left takes along what is still held for it."""
        held = self._held.get(run.profile_id)
        if held:
            left = self._held[run.profile_id] = [one for one in held if one.run_id != run.id]
            self.skipped["exited"] += len(held) - len(left)

    def release(self, profile_id: int, now: datetime) -> None:
        """Asks anew about what a customer's held messages were held until, up to a moment."""
        held = self._held.get(profile_id)
        while held and held[0].until <= now:
            one = held.pop(0)
            decision = self._decide(one.person, one.template, one.until, one.decided_at)
            self._take(one.run_id, one.person, one.template, decision, one.until, one.decided_at)

    def release_all(self, now: datetime) -> None:
        for profile_id in list(self._held):
            self.release(profile_id, now)

    def _take(
        self,
        run_id: int,
        person: Person,
        template: MessageTemplate,
        decision: Decision,
        at: datetime,
        decided: datetime,
    ) -> None:
        match decision:
            case Allow():
                self.sent.append(Sent(at, person.profile_id, template.channel, template.id))
                if not is_transactional(self._roster, template):
                    hashed = self._hash(person, template.channel)
                    self._counted.setdefault(hashed, []).append((at, template.channel))
                    self._to_person.setdefault(person.profile_id, []).append((at, template.channel, hashed))
            case Hold(until):
                self.held += at == decided
                held = _Held(until, len(self.sent) + self.held, run_id, person, template, decided)
                insort(self._held.setdefault(person.profile_id, []), held, key=lambda one: (one.until, one.n))
            case Skip(reason):
                self.skipped[reason] += 1

    def _decide(self, person: Person, template: MessageTemplate, now: datetime, decided_at: datetime) -> Decision:
        channel = template.channel
        topic = self._topics.get(template.topic)
        recipient = recipient_of(person, channel, self._addresses) or None
        hashed = self._hash(person, channel)
        suppression = self._known.suppressions.get((channel, hashed))
        contact = contact_of(person)
        sent: dict[str, tuple[datetime, ...]] = {}
        to_person = [(at, c) for at, c, where in self._to_person.get(person.profile_id, ()) if where != hashed]
        for at, by in (*self._counted.get(hashed, ()), *to_person):
            sent[by] = (*sent.get(by, ()), at)
        ahead = Counter[str](
            one.template.channel for one in self._held.get(person.profile_id, ()) if one.decided_at < decided_at
        )
        held = self._consents(person.profile_id, now)
        consent = consents_.standing(held, channel, template.topic)
        return decide(
            self._rules,
            Facts(
                now=now,
                zone=person.zone,
                channel=channel,
                recipient=recipient,
                is_transactional=is_transactional(self._roster, template),
                basis=topic.basis if topic is not None else "consent",
                consent=consent.state if consent is not None else None,
                suppression=suppression.reason if suppression is not None and suppression.at <= now else None,
                expires_at=decided_at + template.expires,
                last_activity_at=_last(self._known.activity, person.profile_id, now),
                engaged_at=_last(self._known.engaged, person.profile_id, now),
                country=contact.country,
                sent=sent,
                ahead=ahead,
            ),
        )

    def _consents(self, profile_id: int, now: datetime) -> dict[tuple[str, str], Consent]:
        held: dict[tuple[str, str], Consent] = {}
        for said in self._known.consents.get(profile_id, ()):
            if said.at <= now:
                held.pop((said.channel, said.topic), None)
                held[said.channel, said.topic] = said
        return held

    def _hash(self, person: Person, channel: str) -> str:
        recipient = recipient_of(person, channel, self._addresses) if channel != WEBHOOK else ""
        key = (channel, recipient)
        if key not in self._hashes:
            self._hashes[key] = address_hash(self._secret, channel, recipient) if recipient else ""
        return self._hashes[key]


def _last(times: Mapping[int, Sequence[datetime]], profile_id: int, now: datetime) -> datetime | None:
    """The last instant of a customer's up to `now`."""
    own = times.get(profile_id, ())
    n = bisect_right(own, now)
    return own[n - 1] if n else None
