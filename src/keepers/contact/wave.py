"""Eligibility of many messages, one after the other: the same live, in bulk and in a dry run, which load the facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from keepers.contact.breakers import stream_of
from keepers.contact.eligibility import Contact, Decision, Facts, MessageCandidate, decide
from keepers.contact.places import ContactHistory, DailyAllowance
from keepers.contact.rules import ContactRules
from keepers.model.consent import ConsentState, SuppressionReason, Topic


class RecipientFacts(NamedTuple):
    """What is known of one message's recipient: of the address, of what was agreed to, and of the customer."""

    consent: ConsentState | None = None
    suppression: SuppressionReason | None = None
    contact: Contact = Contact()
    is_written_to: bool = False
    """the address has a message of the same broadcast already"""
    is_confirmed: bool = False
    """somebody who reads at the address agreed to be written to there"""
    is_known: bool = False
    """somebody said who the customer is: then anybody could say that they are active"""


class SendingStops(NamedTuple):
    """What is switched off: everything, or streams by the reason their circuit breaker opened for."""

    is_sending_stopped: bool = False
    breakers: Mapping[str, str] = {}


NO_STOPS = SendingStops()


class EligibilityWave:
    """One evaluator over loaded facts; with `reserving` what is decided counts for those that follow."""

    def __init__(
        self,
        rules: ContactRules,
        topics: Mapping[str, Topic],
        history: ContactHistory,
        stops: SendingStops = NO_STOPS,
        allowance: DailyAllowance | None = None,
    ) -> None:
        self._rules = rules
        self._topics = topics
        self._stops = stops
        self._allowance = allowance
        self.history = history

    def decide(
        self, candidate: MessageCandidate, recipient: RecipientFacts, now: datetime, *, reserving: bool = False
    ) -> Decision:
        """Whether a message may go at `now`. The candidate's address hash is known, unless it has no address."""
        decision = decide(self._rules, self._facts(candidate, recipient, now))
        if reserving:
            if self._allowance is not None:
                decision = self._allowance.decide(candidate, decision)
            self.history.record(candidate, decision, now)
        return decision

    def _facts(self, candidate: MessageCandidate, recipient: RecipientFacts, now: datetime) -> Facts:
        topic = self._topics.get(candidate.topic)
        contact = recipient.contact
        sent, ahead = self.history.counts(candidate, now)
        return Facts(
            now=now,
            zone=contact.zone,
            channel=candidate.channel,
            recipient=candidate.recipient,
            is_transactional=candidate.is_transactional,
            basis=topic.basis if topic is not None else "consent",
            consent=recipient.consent,
            suppression=recipient.suppression,
            is_written_to=recipient.is_written_to,
            is_unconfirmed=candidate.channel in contact.unconfirmed
            and not candidate.is_confirmation
            # It is the address of who confirmed it, not of the customer that a transactional message is for.
            and (candidate.is_transactional or not recipient.is_confirmed),
            is_sending_stopped=self._stops.is_sending_stopped,
            breaker=self._stops.breakers.get(stream_of(candidate.channel, candidate.is_transactional)),
            engaged_at=contact.engaged_at,
            is_run_alive=candidate.is_run_alive,
            expires_at=candidate.expires_at,
            last_activity_at=contact.trusted_activity_at if recipient.is_known else contact.last_activity_at,
            country=contact.country,
            sent=sent,
            ahead=ahead,
        )
