"""Random journeys, answers and clocks: a run is in one place, does each thing once, and never spins or is lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from keepers.journeys.advance import advance
from keepers.journeys.definition import Journey
from keepers.journeys.graph import check
from keepers.journeys.moving import move, resume
from keepers.journeys.parse import parse_journey
from keepers.journeys.policy import ALLOW, Hold, Skip
from keepers.journeys.requests import Ask, Call, Look, Question, Reply
from keepers.journeys.run import ARMS, Moved, Run, begin

START = datetime(2026, 3, 27, 9, 30)
ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
WHEN = {"did": "Order Completed"}
SPANS = ("0s", "1m", "3h", "1d", "9d")
HOURS = ({"from": "09:00", "to": "18:00"}, {"weekdays": ["mo", "fr"]}, {"from": "22:00", "to": "02:30"})
DELAYS = ({"until": "02:30"}, {"weekdays": ["su"]}, {"until_date": "renewal_at", "offset": "-1d", "at": "09:00"})


def step(chance: random.Random, name: str, names: list[str]) -> dict[str, Any]:
    """Any step, leading anywhere."""

    def go() -> str:
        return chance.choice([*names, "end", ""])

    match chance.randrange(15):
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
            body = {"branch": [{"when": WHEN, "go": go()} for _ in range(chance.randint(1, 3))], "else": go()}
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


def graph(chance: random.Random) -> Journey:
    """A random journey that `check` lets pass: loops it refuses get a delay put into them."""
    names = [f"s{n}" for n in range(chance.randint(1, 8))]
    steps = [step(chance, name, names) for name in names]
    told: dict[str, Any] = {"id": "j", "enter": [{"api": True}], "steps": steps}
    if chance.random() < 0.4:
        told["goal"] = {"when": WHEN, "exit": chance.random() < 0.5}
    if chance.random() < 0.3:
        told["exits"] = [{"when": WHEN, "reason": "left"}]
    while True:
        definition = parse_journey(told)
        wrong = [finding for finding in check(definition) if finding.level == "error"]
        if not wrong:
            return definition
        place = int(wrong[0].field.removeprefix("steps[").removesuffix("]"))
        steps[place] = {"id": names[place], "delay": "2h", "next": chance.choice(names)}


class Life:
    """A run in a world of chance. Every advance is checked."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.journey = graph(chance)
        self.now = START
        self.done: Counter[tuple[str, int]] = Counter()
        self.watched: frozenset[Ask | Look] = frozenset()
        self.run = begin(
            self.journey, profile_id=1, bucket_key=str(chance.random()), zone=chance.choice(ZONES), now=START
        )
        self.entered = 1

    def answer(self, question: Question) -> Any:
        chance = self.chance
        if isinstance(question, Ask):
            is_final = question.question == "goal" or question.question.startswith("exit.")
            holds = chance.random() < (0.03 if is_final else 0.5)
            later = self.now + timedelta(hours=chance.randint(1, 200))
            return Reply(holds, later if chance.random() < 0.5 else None)
        if isinstance(question, Look):
            return chance.choice([None, "soon", "2026-04-01", (self.now + timedelta(days=3)).isoformat()])
        return chance.choice([ALLOW, Hold(self.now + timedelta(hours=9), "quiet_hours"), Skip("no_consent")])

    def once(self) -> Moved:
        before = self.run
        answers: dict[Question, Any] = {}
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
        self.run = moved.run
        self.watched = moved.watched
        return moved

    def holds(self, before: Run, moved: Moved) -> None:
        run = moved.run
        for effect in moved.effects:
            self.done[effect.step, effect.visit] += 1
            assert self.done[effect.step, effect.visit] == 1, "done twice"
            assert 1 <= effect.visit <= run.visits[effect.step]
        for line in moved.trail:
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
            for line in moved.trail:
                if line.what == "passed" and line.step is not None and self.journey.steps[line.step].waits:
                    passed[line.step] += 1
                    assert passed[line.step] == 1, "round a loop without waiting"
            if self.run.status == "ended" or self.run.wake_at != self.now:
                return
        raise AssertionError("it never comes to rest")

    def live(self) -> None:
        """Time passes, a little or a lot, and things happen."""
        chance = self.chance
        match chance.randrange(10):
            case 0:
                self.run = replace(self.run, zone=chance.choice(ZONES))
            case 1:
                began = self.now
                self.now += timedelta(hours=chance.randint(0, 100))
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
        due = wake_at if wake_at is not None and chance.random() < 0.6 else self.now
        self.now = max(due, self.now) + timedelta(seconds=chance.choice([0, 0, 1, 60, 4000, 86400, 3_000_000]))

    def edit(self) -> None:
        new = replace(graph(self.chance), version=self.run.version + 1)
        moved = move(self.run, self.journey, new, self.now, "move")
        assert moved.status == "ended" or moved.version == new.version
        assert all(moved.visits[name] >= visits for name, visits in self.run.visits.items())
        self.entered += sum(moved.visits.values()) - sum(self.run.visits.values())
        self.run, self.journey = moved, new


@settings(max_examples=400)
@given(st.integers(0, 2**32))
def test_a_run_is_in_one_place_does_each_thing_once_and_is_never_lost(seed: int) -> None:
    life = Life(random.Random(seed))
    for _ in range(25):
        life.settle()
        if life.run.status == "ended":
            return
        life.live()


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_a_journey_without_loops_ends_when_every_wait_is_over(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"s{n}" for n in range(chance.randint(1, 8))]
    steps = [step(chance, name, names[n + 1 :] or ["end"]) for n, name in enumerate(names)]
    life = Life(chance)
    life.journey = parse_journey({"id": "j", "enter": [{"api": True}], "steps": steps})
    life.run = begin(life.journey, profile_id=1, bucket_key="a", zone="Europe/Warsaw", now=START)
    for _ in range(200):
        life.settle()
        if life.run.status == "ended":
            return
        life.now = max(life.run.wake_at or life.now + timedelta(days=30), life.now)
    raise AssertionError("it never ends")


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_calls_are_made_once_a_visit_however_often_the_run_is_woken(seed: int) -> None:
    life = Life(random.Random(seed))
    calls: Counter[tuple[str, int]] = Counter()
    for _ in range(15):
        moved = life.once()
        calls.update((e.step, e.visit) for e in moved.effects if isinstance(e.request, Call))
        if life.run.status == "ended":
            break
        life.now += timedelta(seconds=life.chance.choice([0, 1, 600]))
    assert not calls or max(calls.values()) == 1
