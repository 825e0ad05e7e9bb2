"""Random journeys, answers and clocks: a run is in one place, does each thing once, and never spins or is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, note
from hypothesis import strategies as st
from msgspec.structs import replace

from keepers.contact.eligibility import ALLOW, Hold, Skip
from keepers.journeys.definition import Journey, begin
from keepers.journeys.graph import check
from keepers.journeys.parse import parse_journey
from keepers.journeys.requests import Call, CheckCondition, ReadTrait, Reply, StepQuestion
from keepers.journeys.run import ARMS, Moved, Run
from keepers.journeys.version_change import move, resume
from keepers.journeys.walk import advance
from profiles import examples

START = datetime(2026, 3, 27, 9, 30)
ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
WHEN = {"did": "Order Completed"}
SPANS = ("0s", "1m", "3h", "1d", "9d")
HOURS = ({"from": "09:00", "to": "18:00"}, {"weekdays": ["mo", "fr"]}, {"from": "22:00", "to": "02:30"})
DELAYS = ({"until": "02:30"}, {"weekdays": ["su"]}, {"until_date": "renewal_at", "offset": "-1d", "at": "09:00"})


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


class Chance:
    """What happens next, drawn where it is needed; the simplest comes first, so that a failing life shrinks to it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def choice(self, options: Sequence[Any]) -> Any:
        return self._draw(st.sampled_from(options))

    def number(self, least: int, most: int) -> int:
        return self._draw(st.integers(least, most))

    def happens(self, percent: int) -> bool:
        return self._draw(st.integers(0, 99)) >= 100 - percent


@st.composite
def chances(draw: st.DrawFn) -> Chance:
    """Draws on while the test runs, like `st.data()`, but without a line of the report for each draw."""
    return Chance(draw)


def step(chance: Chance, name: str, names: list[str]) -> dict[str, Any]:
    """Any step, leading anywhere."""

    def go() -> str:
        return chance.choice(["", "end", *names])

    match 14 - chance.number(0, 14):  # an exit is the simplest
        case 0 | 1:
            body: dict[str, Any] = {"message": "one", "next": go(), "otherwise": go()}
        case 2:
            body = {"delay": chance.choice(SPANS), "next": go()}
        case 3:
            body = {"delay": chance.choice(DELAYS), "next": go(), "otherwise": go()}
        case 4:
            body = {"wait": {"when": WHEN}, "next": go()}
        case 5:
            body = {"wait": {"event": "Paid"}, "timeout": chance.choice(SPANS), "next": go(), "on_timeout": go()}
        case 6:
            body = {"window": chance.choice(HOURS), "next": go()}
        case 7 | 8:
            body = {"branch": [{"when": WHEN, "go": go()} for _ in range(chance.number(1, 3))], "else": go()}
        case 9:
            body = {"split": [{"go": go()}, {"go": go(), "weight": 9}]}
        case 10:
            variants = [{"id": "red", "go": go()}, {"id": "blue", "go": go()}]
            body = {"experiment": {"variants": variants, "holdout": 0.3, "holdout_go": go()}, "otherwise": go()}
        case 11:
            body = {"update": {"traits": {"x": {"ref": "trigger.x"}}}, "next": go()}
        case 12:
            body = {"webhook": {"url": "https://shop.example"}, "timeout": "1h", "next": go(), "on_failure": go()}
        case 13:
            body = {"jump": chance.choice(names)}
        case _:
            body = {"exit": "done"}
    return {"id": name, **body}


def graph(chance: Chance) -> Journey:
    """A random journey that `check` lets pass: loops it refuses get a delay put into them."""
    names = [f"s{n}" for n in range(chance.number(1, 8))]
    steps = [step(chance, name, names) for name in names]
    definition_data: dict[str, Any] = {"id": "j", "enter": [{"api": True}], "steps": steps}
    if chance.happens(40):
        definition_data["goal"] = {"when": WHEN, "exit": chance.happens(50)}
    if chance.happens(30):
        definition_data["exits"] = [{"when": WHEN, "reason": "left"}]
    while True:
        definition = parse_journey(definition_data)
        wrong = [finding for finding in check(definition) if finding.level == "error"]
        if not wrong:
            note(f"journey: {definition_data}")
            return definition
        place = int(wrong[0].field.removeprefix("steps[").removesuffix("]"))
        steps[place] = {"id": names[place], "delay": "2h", "next": chance.choice(names)}


class Life:
    """A run in a world of chance. Every advance is checked."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.says_yes = False
        """to every question that does not end the run"""
        self.journey = graph(chance)
        self.now = START
        self.done: Counter[tuple[str, int]] = Counter()
        self.watched: frozenset[CheckCondition | ReadTrait] = frozenset()
        self.run = begin(
            self.journey, profile_id=1, bucket_key=str(chance.number(0, 999)), zone=chance.choice(ZONES), now=START
        )
        self.entered = 1

    def answer(self, question: StepQuestion) -> Any:
        chance = self.chance
        if isinstance(question, CheckCondition):
            is_final = question.question == "goal" or question.question.startswith("exit.")
            holds = chance.happens(3 if is_final else 50) or (self.says_yes and not is_final)
            later = self.now + timedelta(hours=chance.number(1, 200)) if chance.happens(50) else None
            return Reply(holds, later)
        if isinstance(question, ReadTrait):
            return chance.choice([None, "soon", "2026-04-01", (self.now + timedelta(days=3)).isoformat()])
        return chance.choice([ALLOW, Hold(self.now + timedelta(hours=9), "quiet_hours"), Skip("no_consent")])

    def once(self) -> Moved:
        before = self.run
        answers: dict[StepQuestion, Any] = {}
        for _ in range(len(self.journey.steps) + 3):
            moved = advance(self.journey, before, self.now, answers)
            assert moved == advance(self.journey, before, self.now, dict(answers))
            if isinstance(moved, Moved):
                break
            assert moved.questions - set(answers)
            answers |= {question: self.answer(question) for question in moved.questions}
        else:
            raise AssertionError("it asks for ever")
        assert isinstance(moved, Moved)
        self.holds(before, moved)
        note(f"{self.now}: {[(line.what, line.step, line.data) for line in moved.history]}")
        self.run = moved.run
        self.watched = moved.watched
        return moved

    def holds(self, before: Run, moved: Moved) -> None:
        run = moved.run
        for effect in moved.effects:
            self.done[effect.step, effect.visit] += 1
            assert self.done[effect.step, effect.visit] == 1, "done twice"
            assert 1 <= effect.visit <= run.visits[effect.step]
        for line in moved.history:
            target = self.journey.routes[line.step].get(line.data["port"]) if line.what == "passed" else None
            self.entered += target is not None
        assert sum(run.visits.values()) == self.entered, "a step was entered that nothing led to"
        assert all(run.visits.get(s, 0) >= n for s, n in before.visits.items())
        assert run.entered_at == before.entered_at
        assert before.since <= run.since <= self.now
        if run.status == "ended":
            assert run.reason
            assert run.wake_at is None
            assert not moved.watched
        else:
            assert run.step in self.journey.steps
            assert run.wake_at is not None or moved.watched, "it is lost"
            assert run.wake_at is None or run.wake_at >= self.now, "it is late"
        for name, arm in before.vars.get(ARMS, {}).items():
            is_there = arm in self.journey.routes.get(name, {})
            assert run.vars[ARMS][name] == arm or not is_there, "assigned twice"

    def settle(self) -> None:
        """Wakes the run until nothing is due at this instant."""
        passed: Counter[str] = Counter()
        for _ in range(200):
            moved = self.once()
            for line in moved.history:
                if line.what == "passed" and line.step is not None and self.journey.steps[line.step].waits:
                    passed[line.step] += 1
                    assert passed[line.step] == 1, "round a loop without waiting"
            if self.run.status == "ended" or self.run.wake_at != self.now:
                return
        raise AssertionError("it never comes to rest")

    def live(self) -> None:
        """Time passes, a little or a lot, and things happen."""
        chance = self.chance
        match chance.number(0, 9):
            case 9:
                self.run = replace(self.run, zone=chance.choice(ZONES))
            case 1:
                began = self.now
                self.now += timedelta(hours=chance.number(0, 100))
                self.run = resume(self.run, began, self.now)
            case 2 if self.run.step is not None:
                self.edit()
            case 3:
                self.run = replace(self.run, profile_id=2, bucket_key="another")
            case 4 | 5:
                hooks = [step for step in self.journey.steps.values() if step.head == "webhook"]
                answer = {"status": chance.choice([200, 204, 404, 0]), "body": {}}
                self.run = replace(self.run, vars=self.run.vars | {hook.id: answer for hook in hooks})
            case _:
                pass
        wake_at = self.run.wake_at
        due = wake_at if wake_at is not None and chance.happens(60) else self.now
        self.now = max(due, self.now) + timedelta(seconds=chance.choice([0, 0, 1, 60, 4000, 86400, 3_000_000]))

    def edit(self) -> None:
        new = replace(graph(self.chance), version=self.run.version + 1)
        moved = move(self.run, self.journey, new, self.now, "move")
        assert moved.status == "ended" or moved.version == new.version
        assert all(moved.visits[name] >= visits for name, visits in self.run.visits.items())
        self.entered += sum(moved.visits.values()) - sum(self.run.visits.values())
        self.run, self.journey = moved, new


@examples(2, suppress_health_check=SLOW)
@given(chances())
def test_a_run_is_in_one_place_does_each_thing_once_and_is_never_lost(chance: Chance) -> None:
    life = Life(chance)
    for _ in range(25):
        life.settle()
        if life.run.status == "ended":
            return
        life.live()


@examples(1, suppress_health_check=SLOW)
@given(chances())
def test_a_journey_without_loops_ends_when_every_wait_is_over(chance: Chance) -> None:
    names = [f"s{n}" for n in range(chance.number(1, 8))]
    steps = [step(chance, name, names[n + 1 :] or ["end"]) for n, name in enumerate(names)]
    life = Life(chance)
    note(f"journey: {steps}")
    life.journey = parse_journey({"id": "j", "enter": [{"api": True}], "steps": steps})
    life.run = begin(life.journey, profile_id=1, bucket_key="a", zone="Europe/Warsaw", now=START)
    for turn in range(200):
        life.says_yes = turn > 50  # a wait without a timeout is over when its condition holds
        life.settle()
        if life.run.status == "ended":
            return
        life.now = max(life.run.wake_at or life.now + timedelta(days=30), life.now)
    raise AssertionError("it never ends")


@examples(1, suppress_health_check=SLOW)
@given(chances())
def test_calls_are_made_once_a_visit_however_often_the_run_is_woken(chance: Chance) -> None:
    life = Life(chance)
    calls: Counter[tuple[str, int]] = Counter()
    for _ in range(15):
        moved = life.once()
        calls.update((e.step, e.visit) for e in moved.effects if isinstance(e.request, Call))
        if life.run.status == "ended":
            break
        life.now += timedelta(seconds=life.chance.choice([0, 1, 600]))
    assert not calls or max(calls.values()) == 1
