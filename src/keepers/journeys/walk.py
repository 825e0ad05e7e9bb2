"""Moves a run through its steps as far as the answers reach. Pure: the same arguments give the same value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from keepers.journeys.definition import Journey
from keepers.journeys.references import keys_of
from keepers.journeys.requests import (
    CheckCondition,
    CheckEligibility,
    Go,
    Leave,
    ReadTrait,
    RememberArm,
    Result,
    StepQuestion,
    Wait,
)
from keepers.journeys.run import (
    ARMS,
    GOAL,
    PASSED,
    PAUSED,
    REST,
    Effect,
    HistoryLine,
    Moved,
    NeedsAnswers,
    Run,
    What,
)
from keepers.journeys.steps.step import Seen, Step
from keepers.model.moments import format_instant, parse_instant
from keepers.model.reasons import Reason

MAX_ENTRIES = 100
"""steps entered in one call; a longer way continues in the next"""
LOOP_REST = timedelta(hours=1)
"""how long a run rests in a loop whose wait has nothing to wait for (a condition that holds, an open window)"""
FINISHED = "finished"
_UNKNOWN: Any = object()


class _Unanswered(Exception):  # noqa: N818 - not an error: control flow
    def __init__(self, questions: frozenset[StepQuestion]) -> None:
        self.questions = questions


def advance(journey: Journey, run: Run, now: datetime, answers: Mapping[StepQuestion, Any]) -> NeedsAnswers | Moved:
    """The moved run, or the questions to be answered first, as of `now`; then it is called again with all answers.

    `answers`: CheckCondition → Reply, ReadTrait → the value or None, CheckEligibility → Decision. Goal and exits
    come first. It stops early, with `wake_at` = now, before a question that can only be answered once the
    effects so far are stored.
    """
    if run.status != "active":
        return Moved(run, (), (), frozenset())
    exit_questions = journey.exit_questions
    if GOAL in run.vars:
        exit_questions = tuple(question for question in exit_questions if question.question != "goal")
    walk = _Walk(journey, run, now, answers)
    missing = {question for question in exit_questions if question not in answers}
    if missing:
        # The step's own questions are asked in the same wave.
        ahead = walk.go(())
        return NeedsAnswers(frozenset(missing | (ahead.questions if isinstance(ahead, NeedsAnswers) else set())))
    for question in exit_questions:
        if answers[question].holds:
            if question.question != "goal":
                return walk.ended(journey.exits[int(question.question.removeprefix("exit."))].reason)
            if journey.goal is None or journey.goal.exit:
                return walk.ended("goal")
            walk.record_goal()
            exit_questions = tuple(other for other in exit_questions if other != question)
    return walk.go(exit_questions)


class _Walk:
    """One call, step by step; nothing of it is stored unless it is returned."""

    __slots__ = (
        "answers",
        "begun",
        "effects",
        "entries",
        "history",
        "is_new",
        "journey",
        "now",
        "passed",
        "questions",
        "run",
        "seen",
        "since",
        "state",
        "step_id",
        "vars",
        "visits",
    )  # fmt: skip

    def __init__(self, journey: Journey, run: Run, now: datetime, answers: Mapping[StepQuestion, Any]) -> None:
        self.journey = journey
        self.run = run
        self.now = now
        self.answers = answers
        self.effects: list[Effect] = []
        self.history: list[HistoryLine] = []
        self.entries = 0
        self.visits = run.visits
        self.vars = run.vars
        self.questions: list[CheckCondition | ReadTrait] = []
        """questions of the step just run, which it may wait for"""
        self.step_id = run.step or journey.first
        self.since = self.begun = run.since
        self.state = run.state
        self.is_new = PASSED in run.state
        """whether the step has not yet run on this visit"""
        self.passed: list[str] = list(run.state.get(PASSED, ()))
        """waits passed since the run last waited, so that a loop is noticed"""
        seen = self.seen = Seen()
        seen.journey = journey.id
        seen.now = now
        seen.zone = run.zone
        seen.bucket_key = run.bucket_key
        seen.lookup = keys_of(run)

    def go(self, exit_questions: tuple[CheckCondition, ...]) -> NeedsAnswers | Moved:
        """From the run's stored position to where it waits, ends or must stop."""
        state = self.state
        if self.run.step is None:
            self._enter(self.step_id)
        elif PAUSED in state:
            self.begun += timedelta(seconds=state[PAUSED])
        if REST in state:
            rest = parse_instant(state[REST])
            if self.now < rest:
                return self._waiting(Wait(rest, {REST: state[REST]}), exit_questions)
        elif not self.is_new:
            self.passed = [self.step_id]  # it has waited here: passing it again at once would be a loop
        while self.entries < MAX_ENTRIES:
            step = self.journey.steps.get(self.step_id)
            if step is None:
                return self.ended(str(Reason("step_removed")))
            try:
                result = self._run(step)
            except _Unanswered as stop:
                must_stand_there = self.entries and any(self._is_bound(q) for q in stop.questions)
                if self.effects or must_stand_there:
                    return self._short(exit_questions)
                return NeedsAnswers(stop.questions)
            if type(result) is Wait:
                return self._waiting(result, exit_questions)
            if type(result) is Leave:
                return self.ended(result.reason)
            assert type(result) is Go
            if step.waits:
                if self.is_new and step.id in self.passed:
                    rest = self.now + LOOP_REST
                    return self._waiting(
                        Wait(rest, {REST: format_instant(rest)}), exit_questions, str(Reason("nothing_to_wait_for"))
                    )
                self.passed.append(step.id)
            self._record("passed", result.reason, {"port": result.port})
            target = self.journey.routes[step.id].get(result.port)
            if target is None:
                return self.ended(FINISHED if result.port == "next" else result.reason or FINISHED)
            self._enter(target)
        return self._short(exit_questions)

    def record_goal(self) -> None:
        """Records a goal that does not end the run."""
        self.vars = {**self.vars, GOAL: format_instant(self.now)}
        self._record("goal")

    def ended(self, reason: str) -> Moved:
        """Ends the run."""
        self._record("ended", reason)
        return self._moved({}, None, frozenset(), "ended", reason)

    def _enter(self, step_id: str) -> None:
        if self.visits is self.run.visits:
            self.visits = dict(self.visits)
        self.visits[step_id] = self.visits.get(step_id, 0) + 1
        self.entries += 1
        self.step_id = step_id
        self.since = self.begun = self.now
        self.state = {}
        self.is_new = True

    def _record(self, what: What, reason: str = "", data: dict[str, Any] | None = None) -> None:
        visit = self.visits.get(self.step_id, 0)
        self.history.append(HistoryLine(self.now, self.step_id, visit, what, reason, data or {}))

    def _run(self, step: Step) -> Result:
        """One step's generator to its end. Raises _Unanswered at its first question without an answer."""
        seen = self.seen
        step_id = step.id
        arms = self.vars.get(ARMS)
        visit = self.visits.get(step_id, 1)
        seen.since = self.since
        seen.begun = self.begun
        seen.state = self.state
        seen.visit = visit
        seen.arm = arms.get(step_id) if arms else None
        seen.vars = self.vars
        seen.reachable = self.journey.reachable.get(step_id, ())
        self.questions = []
        before = len(self.effects)
        passing = step.run(seen)
        answer: Any = None
        try:
            while True:
                request = passing.send(answer)
                kind = type(request)
                if kind is CheckCondition or kind is ReadTrait or kind is CheckEligibility:
                    assert len(self.effects) == before, "a step performs nothing before its last question"
                    answer = self._answer((request,))[0]
                elif kind is tuple:
                    assert len(self.effects) == before, "a step performs nothing before its last question"
                    answer = self._answer(request)
                elif kind is RememberArm:
                    self.vars = {**self.vars, ARMS: {**(arms or {}), step_id: request.arm}}
                    answer = None
                else:
                    self.effects.append(Effect(step_id, visit, request))
                    answer = None
        except StopIteration as end:
            result: Result = end.value
            return result

    def _answer(self, questions: tuple[StepQuestion, ...]) -> tuple[Any, ...]:
        answers = self.answers
        found = tuple(answers.get(question, _UNKNOWN) for question in questions)
        missing = [q for q, answer in zip(questions, found, strict=True) if answer is _UNKNOWN]
        # Effects since the run was stored may change any answer; a question about the time at a step needs a stored run
        # at that step.
        if self.effects or (self.entries and any(self._is_bound(q) for q in questions)):
            missing = list(questions)
        if missing:
            raise _Unanswered(frozenset(missing))
        self.questions += [q for q in questions if not isinstance(q, CheckEligibility)]
        return found

    def _is_bound(self, question: StepQuestion) -> bool:
        return isinstance(question, CheckCondition) and question.question in self.journey.bound

    def _short(self, exit_questions: tuple[CheckCondition, ...]) -> Moved:
        """Stops before a step that is to be run at once."""
        state: dict[str, Any] = {PASSED: self.passed}
        return self._moved(self._with_pause(state), self.now, frozenset(exit_questions))

    def _waiting(self, wait: Wait, exit_questions: tuple[CheckCondition, ...], reason: str = "") -> Moved:
        watched = frozenset((*exit_questions, *self.questions))
        changes = [self.answers[question].changes_at for question in watched if type(question) is CheckCondition]
        wake_at = min((w for w in (wait.until, *changes) if w is not None), default=None)
        if self.is_new or reason:
            until = {"until": format_instant(wait.until)} if wait.until is not None else {}
            self._record("waits", reason, until)
        return self._moved(self._with_pause(wait.state), wake_at, watched)

    def _with_pause(self, state: dict[str, Any]) -> dict[str, Any]:
        """The pause belongs to this visit of the step."""
        return {**state, PAUSED: self.state[PAUSED]} if PAUSED in self.state else state

    def _moved(
        self,
        state: dict[str, Any],
        wake_at: datetime | None,
        watched: frozenset[CheckCondition | ReadTrait],
        status: Literal["active", "ended"] = "active",
        reason: str = "",
    ) -> Moved:
        run = self.run
        kept = Run(
            run.id, run.journey, run.version, run.profile_id, run.bucket_key, run.zone, run.entered_at, self.step_id,
            self.since, self.visits, self.vars, run.trigger, state, wake_at, status, reason, run.hops,
        )  # fmt: skip
        return Moved(kept, tuple(self.effects), tuple(self.history), watched)
