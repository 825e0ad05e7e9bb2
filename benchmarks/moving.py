"""Journeys: steps passed per second by many runs due at once, on SQLite, beside the pure rules on the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import func, select

from benchmarks import shop
from benchmarks.figures import Figure, Plan, timed
from keepers.app.workspace.workspace import Workspace
from keepers.contact.eligibility import Allow
from keepers.journeys.definition import Journey
from keepers.journeys.requests import CheckCondition, CheckEligibility, ReadTrait, Reply, StepQuestion
from keepers.journeys.run import Moved, Run
from keepers.journeys.walk import advance
from keepers.store.bulk import insert_rows
from keepers.store.journeys import runs
from keepers.store.journeys.runs import RunRow
from keepers.store.schema.journeys import run_history
from keepers.warehouse.fixed_tables import LOADED

RUNS = 50_000
_GOAL = 20_000
_ALL = 10_000_000


class _Spent(Struct):
    """Seconds that steps took, by way."""

    passed: int = 0
    moved: int = 0
    ours: float = 0.0
    pure: float = 0.0
    pure_passed: int = 0
    bare: float = 0.0
    bare_rows: int = 0


def measure(plan: Plan) -> list[Figure]:
    """Runs of a welcome journey wake twice: when its delay is over, and when its wait has timed out."""
    number = max(round(RUNS * plan.scale / (5 if plan.quick else 1)), 100)
    folder = shop.make(plan.folder / "journeys", shop.playbook(shop.WELCOME))
    with shop.opened(folder) as workspace:
        plan.say(f"journeys: {number:,} customers")
        shop.settle(workspace, number, shop.NOW)
        shop.send(workspace, shop.NOW, shop.sign_ups(number, shop.NOW))
        plan.say("journeys: entering")
        took, done = timed(lambda: shop.tick(workspace, shop.NOW + timedelta(minutes=1)))
        if done.entered != number:
            raise RuntimeError(f"{done.entered} of {number} entered")
        spent = _Spent()
        for at in (shop.NOW + timedelta(days=1, minutes=2), shop.NOW + timedelta(days=3, minutes=3)):
            plan.say(f"journeys: all that is due by {at:%d %B}")
            _wake(workspace, at, spent)
        # The split decides who is nudged; the journey sends nothing else, and nothing delivers here.
        shop.require_statuses(workspace, {"queued": _passed(workspace, "nudge")})
    rate = spent.passed / spent.ours
    by_rules = spent.pure_passed / spent.pure
    remark = (
        f"{number:,} runs passed {spent.passed:,} steps in {spent.moved:,} moves ({spent.moved / spent.ours:,.0f}/s). "
        f"Yardstick: the pure rules on the same runs. Lines of trail by executemany alone: "
        f"{spent.bare_rows / spent.bare:,.0f}/s. Entering, from the inbox on: {number / took:,.0f} customers/s"
    )
    return [
        Figure("journeys", rate, "steps/s", by_rules, rate / by_rules, f"≥ {_GOAL:,} steps/s", rate >= _GOAL, remark)
    ]


def _wake(workspace: Workspace, at: datetime, spent: _Spent) -> None:
    """All that is due, until nothing is: the runs that said something go on once that is loaded."""
    live, ticker = workspace.active_playbook(), workspace.ticker
    while True:
        ticker.load()
        before = _passed(workspace)
        with workspace.store.read() as connection:
            due = runs.due(connection, at, _ALL)
        journey = next(iter(live.playbook.journeys.values()))
        seconds, moves = timed(_by_rules, journey, due, at)
        spent.pure += seconds
        spent.pure_passed += sum(line.what == "passed" for move in moves for line in move.history)
        seconds, written = timed(_bare, workspace, moves)
        spent.bare += seconds
        spent.bare_rows += written
        with workspace.sequencing("bench") as held:
            seconds, done = timed(
                workspace.advancer.advance, live, held.queries, at, workspace.warehouse.watermark(LOADED)
            )
        if not done.moved:
            return
        spent.ours += seconds
        spent.moved += done.moved
        spent.passed += _passed(workspace) - before


def _passed(workspace: Workspace, step: str | None = None) -> int:
    """Steps passed so far: all, or the passes of one."""
    with workspace.store.read() as connection:
        query = select(func.count()).select_from(run_history).where(run_history.c.what == "passed")
        if step is not None:
            query = query.where(run_history.c.step == step)
        return int(connection.execute(query).scalar_one())


def _by_rules(journey: Journey, due: Sequence[RunRow], at: datetime) -> list[Moved]:
    """The same runs by the pure rules alone, all answers at hand."""
    found = []
    for row in due:
        run = Run(
            row.id, row.journey, row.version, row.profile_id, f"u{row.profile_id}", row.zone, row.entered_at, row.step,
            row.since, row.visits, row.vars, row.trigger, row.state, row.wake_at,
        )  # fmt: skip
        answers: dict[StepQuestion, object] = {}
        while not isinstance(moved := advance(journey, run, at, answers), Moved):
            answers |= {question: _answer(question) for question in moved.questions}
        found.append(moved)
    return found


def _answer(question: StepQuestion) -> object:
    match question:
        case CheckCondition():
            return Reply(False)
        case CheckEligibility():
            return Allow()
        case ReadTrait():
            return None


def _bare(workspace: Workspace, moves: Sequence[Moved]) -> int:
    """The trail's rows written once more, and taken back."""
    rows = [
        (move.run.id, line.at, line.step, line.visit, line.what, line.reason, "{}")
        for move in moves
        for line in move.history
    ]
    with workspace.store.engine.connect() as connection, connection.begin() as transaction:
        insert_rows(connection, run_history, ("run_id", "at", "step", "visit", "what", "reason", "data"), rows)
        transaction.rollback()
    return len(rows)
