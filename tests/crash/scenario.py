"""What is killed: a world that gets work in rounds, processes that do it, and what must hold at the end."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from processes import Working


class Place(NamedTuple):
    """Where a world is made: a folder of its own, a migrated SQLite store to copy, the PostgreSQL to use, if any."""

    folder: Path
    migrated: Path
    address: str | None


KILLS_PER_ROUND = 5
LEAST_ROUNDS = 2
"""so that work also comes upon what earlier work left"""


class Scenario(ABC):
    """One kind of work. A module of `crash.scenarios` whose `SCENARIO` is such a class is killed by `make crash`.

    Rounds add the same work in every world, so that two worlds of as many rounds can be compared.
    """

    span_s = 1.0
    """how long work takes at first; the harness learns it from processes that end before they are killed"""

    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        self.place = place
        self.rounds = rounds
        self.chance = chance

    @abstractmethod
    def begin_round(self, number: int) -> None:
        """Adds the work of a round."""

    @abstractmethod
    def start(self) -> list[Working]:
        """Processes that do the round's work, or go on with it; each is killed."""

    def wait(self, working: Working, span_s: float) -> None:
        """Waits for the moment of a kill."""
        time.sleep(self.chance.random() * span_s)

    def end_round(self) -> None:
        """The round's work done to its end by processes that nobody kills."""
        for working in self.start():
            assert working.wait(120) == 0

    @abstractmethod
    def outcome(self) -> Any:
        """After all rounds: checks what must hold whatever was killed. What it returns equals that of an undisturbed
        world; None where there is nothing to compare."""

    def remark(self) -> str:
        """What the report says beside the number of kills."""
        return ""


def rounds_of(kills: int) -> int:
    """How many rounds a world has for so many kills."""
    return max(ceil(kills / KILLS_PER_ROUND), LEAST_ROUNDS)


def run(scenario: Scenario, kills: int) -> int:
    """All rounds, with so many kills; returns how many processes died at work."""
    span_s, died = scenario.span_s, 0
    for number in range(scenario.rounds):
        scenario.begin_round(number)
        until = kills * (number + 1) // scenario.rounds
        while died < until:
            killed = 0
            for working in scenario.start():
                scenario.wait(working, span_s)
                killed += working.kill()
            died += killed
            if not killed:
                # The work was done before its moment: that of later rounds is shorter than it was taken for.
                span_s *= 0.7
                break
        scenario.end_round()
    return died
