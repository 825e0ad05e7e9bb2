"""Drives a run by hand: answers what it asks from a small world, wakes it when it is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from keepers.contact.eligibility import ALLOW, Decision
from keepers.journeys.definition import Journey, begin
from keepers.journeys.parse import parse_journey
from keepers.journeys.requests import CheckCondition, CheckEligibility, ReadTrait, Reply, StepQuestion
from keepers.journeys.run import Effect, HistoryLine, Moved, NeedsAnswers, Run
from keepers.journeys.walk import advance

MONDAY = datetime(2026, 3, 2, 12, 0)
Answer = bool | Reply | Callable[[Run, datetime], bool | Reply]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def journey(*steps: dict[str, Any], **fields: Any) -> Journey:
    return parse_journey({"id": "j", "enter": [{"api": True}], "steps": list(steps), **fields})


class Customer:
    """One customer in one journey. `holds`: question → its answer, false unless told."""

    def __init__(self, definition: Journey, now: datetime = MONDAY, zone: str = "UTC", **trigger: Any) -> None:
        self.journey = definition
        self.now = now
        self.holds: dict[str, Answer] = {}
        self.traits: dict[str, Any] = {}
        self.decisions: dict[str, Decision] = {}
        self.questions: list[StepQuestion] = []
        self.effects: list[Effect] = []
        self.history: list[HistoryLine] = []
        self.watched: frozenset[CheckCondition | ReadTrait] = frozenset()
        self.run = begin(definition, profile_id=1, bucket_key="anna", zone=zone, now=now, trigger=trigger)

    def answer(self, question: StepQuestion) -> Any:
        self.questions.append(question)
        match question:
            case CheckCondition(name):
                found = self.holds.get(name, False)
                found = found(self.run, self.now) if callable(found) else found
                return found if isinstance(found, Reply) else Reply(found)
            case ReadTrait(trait):
                return self.traits.get(trait)
            case CheckEligibility(messages):
                return self.decisions.get(messages[0], ALLOW)

    def wake(self, now: datetime | None = None) -> Run:
        """One wake, and those due at the same instant after it."""
        self.now = now or self.now
        for _ in range(300):
            moved = self.once()
            if moved.run.status == "ended" or moved.run.wake_at is None or moved.run.wake_at > self.now:
                return self.run
        raise AssertionError("it never comes to rest")

    def once(self) -> Moved:
        answers: dict[StepQuestion, Any] = {}
        for _ in range(20):
            moved = advance(self.journey, self.run, self.now, answers)
            if isinstance(moved, Moved):
                break
            assert isinstance(moved, NeedsAnswers)
            assert moved.questions - set(answers), "asks again what was answered"
            answers |= {question: self.answer(question) for question in moved.questions}
        else:
            raise AssertionError("it asks for ever")
        assert isinstance(moved, Moved)
        self.run = moved.run
        self.effects += moved.effects
        self.history += moved.history
        self.watched = moved.watched
        return moved

    def after(self, span: timedelta) -> Run:
        return self.wake(self.now + span)

    def until_end(self, most: int = 100) -> Run:
        """Wakes it when it is due, until it has ended."""
        self.wake()
        for _ in range(most):
            if self.run.status == "ended":
                return self.run
            assert self.run.wake_at is not None, "it waits for ever"
            self.wake(max(self.run.wake_at, self.now))
        raise AssertionError("it never ends")

    def moves_to(self, zone: str) -> None:
        self.run = replace(self.run, zone=zone)

    @property
    def sent(self) -> list[str]:
        return [e.request.message for e in self.effects if hasattr(e.request, "message")]

    @property
    def passed(self) -> list[tuple[str | None, str]]:
        return [(line.step, line.data["port"]) for line in self.history if line.what == "passed"]
