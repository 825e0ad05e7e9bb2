"""A plug-in is one file: each of these is written into an empty folder, found by its registry, and used end to end."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select

import workspaces
from keepers import channels, scores
from keepers.app.tick import until_idle
from keepers.channels import registry as channel_registry
from keepers.conditions import operators
from keepers.conditions.parsing.definitions import parse_segment
from keepers.conditions.wording import describe
from keepers.evaluation.active_queries import Definitions, build
from keepers.journeys.graph import check
from keepers.journeys.schema import journey_schema
from keepers.journeys.steps import flow
from keepers.journeys.steps import registry as steps
from keepers.model.errors import DefinitionError
from keepers.model.identity import bucket_key
from keepers.model.moments import parse_instant
from keepers.scores import registry as score_registry
from keepers.store.schema.messages import messages
from properties.running import answers_at, loaded
from properties.scenario import Scenario
from properties.scenario import at as moment
from unit.journeys.driving import MONDAY, Customer, journey


@contextmanager
def plug_in(folder: Path, package: ModuleType, name: str, source: str, discover: Callable[[], None]) -> Iterator[None]:
    """One more file in a package, known to its registry until the test ends."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    package.__path__.append(str(folder))
    importlib.invalidate_caches()
    try:
        discover()
        yield
    finally:
        package.__path__.remove(str(folder))
        sys.modules.pop(f"{package.__name__}.{name}", None)
        importlib.invalidate_caches()
        discover()


STEP = '''
"""Survey: asks for an opinion, and waits until a trait tells the customer's."""

from collections.abc import Iterator
from typing import Any, ClassVar

from keepers.contact.eligibility import Skip
from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.requests import NEXT, CheckEligibility, Go, ReadTrait, Send, Wait
from keepers.journeys.steps.step import Passing, Seen, Step, StepReference
from keepers.model.fields import Id, Target


class Survey(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "survey"
    summary: ClassVar[TextId] = text_id("step", "Ask for an opinion")
    waits: ClassVar[bool] = True
    has_answer: ClassVar[bool] = True

    survey: Id
    opinion: str
    next: Target = ""

    def run(self, seen: Seen) -> Passing:
        if (yield ReadTrait(self.opinion)) is not None:
            return NEXT
        if "asked" in seen.state:
            return Wait(None, seen.state)
        decision = yield CheckEligibility((self.survey,))
        if isinstance(decision, Skip):
            return NEXT
        yield Send(self.survey, decision)
        return Wait(None, {"asked": True})

    def ports(self) -> dict[str, str]:
        return {"next": self.next}

    def references(self) -> Iterator[StepReference]:
        yield StepReference("message", self.survey, "survey")

    def traits(self) -> Iterator[tuple[str, str]]:
        yield self.opinion, "opinion"

    def may_wait_forever(self) -> bool:
        return True
'''


def test_a_step_is_one_file(tmp_path: Path) -> None:
    with plug_in(tmp_path, flow, "survey", STEP, steps.discover):
        assert "Survey" in journey_schema()["$defs"]
        body = {"url": "https://shop.example/x", "body": {"said": {"ref": "run.ask.score"}}}
        definition = journey(
            {"id": "ask", "survey": "how_was_it", "opinion": "nps"},
            {"id": "tell", "webhook": body},
            {"id": "a", "jump": "ask"},
        )
        assert [(f.field, f.level) for f in check(definition, messages=["other"])] == [
            ("steps[0].survey", "error"), ("steps[0]", "warning"), ("steps[0]", "warning"),
        ]  # fmt: skip
        anna = Customer(definition)
        assert anna.wake().step == "ask"
        assert anna.sent == ["how_was_it"]
        anna.traits["nps"] = 9
        assert anna.wake(parse_instant("2026-03-02T13:00:00Z")).step == "tell"
    assert "survey" not in steps.STEPS


OPERATOR = '''
"""Day of the month: one of some days, as [1, 15]."""

from keepers.conditions.comparisons import never, sure
from keepers.conditions.operators import Operator, register
from keepers.conditions.parsing.operands import OperandKind
from keepers.i18n.catalogues import text_id
from keepers.model.errors import UserError


def days(data, zone, refs):
    if not isinstance(data, list) or not all(isinstance(day, int) and 1 <= day <= 31 for day in data):
        raise UserError("expected days of the month, as [1, 15]")
    return tuple(data)


def holds(value, operand, clock):
    return never() if value.date is None else sure(value.date.day().isin(operand))


ROW = Operator(
    id="day_of_month",
    aliases=("monthday",),
    operand=OperandKind("days", days, words=lambda operand: "/".join(str(day) for day in operand)),
    doc="The date's day of the month is one of these.",
    words=text_id("operator", "falls on day {0}"),
    holds=holds,
    uses_local_date=True,
)
register(ROW)
'''


def test_an_operator_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "day_of_month.py"
    path.write_text(OPERATOR, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("day_of_month", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        with pytest.raises(DefinitionError, match="days of the month"):
            parse_segment({"id": "x", "who": {"trait": "birthday", "day_of_month": "first"}})
        early = {"trait": "birthday", "monthday": [1, 2]}
        rules = {"early": early, "late": {"not": early}}
        segments = {name: parse_segment({"id": name, "who": who}) for name, who in rules.items()}
        assert describe(segments["early"].who) == "birthday falls on day 1/2"
        scenario = Scenario()
        for who, birthday in ((1, "1990-05-02"), (2, "1990-05-03"), (3, "never")):
            scenario.person(who, moment(0))
            scenario.add("identify", who, moment(0), data={"birthday": birthday})
        with loaded(scenario) as warehouse:
            answers = answers_at(warehouse, build(Definitions(segments=segments)), moment(5))
        members = sorted(key for key, (value, _) in answers.items() if value)
        assert members == [("segment:early", 1), ("segment:late", 2), ("segment:late", 3)]
        with pytest.raises(ValueError, match="already an operator"):
            operators.register(module.ROW)
    finally:
        operators.unregister(module.ROW)
    assert "monthday" not in operators.BY_NAME


CHANNEL = '''
"""Fax: one page of text."""

from msgspec import Struct

from keepers.channels.base import ChannelContext, ChannelKind
from keepers.model.message import Outcome, Outgoing

SENT: list[tuple[str, str, str]] = []


class FaxSettings(Struct, frozen=True, forbid_unknown_fields=True):
    line: str = ""
    """The line to send by."""


class FaxChannel:
    def __init__(self, settings: FaxSettings, around: ChannelContext) -> None:
        self.line = settings.line

    async def open(self) -> None:
        pass

    async def send(self, message: Outgoing) -> Outcome:
        SENT.append((self.line, message.recipient, message.content.text))
        return Outcome("sent")

    async def close(self) -> None:
        pass


KIND = ChannelKind(
    id="fax",
    settings=FaxSettings,
    make=FaxChannel,
    address_trait="fax",
    event_name="Fax",
    parts=("title", "text"),
    required=("text",),
    is_counted=True,
    caps={"1d": 1},
    engagement={"received": "Fax Sent"},
    canonical=lambda address, country: address.replace(" ", ""),
)
'''
SHOP: dict[str, Any] = {
    "topics": [{"id": "news", "basis": "legitimate_interest", "channels": ["fax"]}],
    "messages": [
        {"id": "hello", "channel": "fax", "topic": "news", "content": {"en": {"text": "Hello {{ customer.name }}"}}},
        {"id": "again", "channel": "fax", "topic": "news", "content": {"en": {"text": "Again"}}},
    ],
    "segments": [{"id": "faxed", "who": {"engaged": {"with": "received", "channel": "fax"}}}],
    "journeys": [
        {
            "id": "welcome",
            "enter": [{"event": "Signed Up"}],
            "steps": [{"id": "a", "message": "hello"}, {"id": "b", "message": "again"}],
        }
    ],
}


def test_a_channel_is_one_file(tmp_path: Path, migrated_folder: Path) -> None:
    (tmp_path / "plug").mkdir()
    with plug_in(tmp_path / "plug", channels, "fax", CHANNEL, channel_registry.discover):
        folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook=SHOP)
        with (folder / "keepers.toml").open("a", encoding="utf-8") as settings:
            settings.write('[channels.fax]\nline = "7"\n')
        with workspaces.opened(folder) as workspace:
            anna = {"userId": "anna", "timestamp": "2026-03-02T12:00:00Z"}
            calls = [
                {**anna, "type": "identify", "messageId": "1", "traits": {"fax": "+48 1", "name": "Anna"}},
                {**anna, "type": "track", "messageId": "2", "event": "Signed Up"},
            ]
            workspaces.send(workspace.store, MONDAY, calls)
            deliverer = workspace.sending.deliverer("test")
            with workspace.sequencing("a test") as ticker:
                until_idle(ticker, MONDAY)
                deliverer.run_once(MONDAY)
                until_idle(ticker, MONDAY + timedelta(minutes=1))
            deliverer.close()
            assert sys.modules["keepers.channels.fax"].SENT == [("7", "+481", "Hello Anna\n")]
            with workspace.store.read() as connection:
                decided = connection.execute(select(messages.c.message, messages.c.status, messages.c.reason)).all()
            assert sorted(tuple(row) for row in decided) == [("again", "skipped", "cap.fax.1d"), ("hello", "sent", "")]
            ((number,),) = (
                workspace.warehouse.cursor()
                .execute(
                    "SELECT count(*) FROM states JOIN standing_queries USING (query_id) "
                    "WHERE definition = 'segment:faxed' AND value > 0"
                )
                .fetchall()
            )
            assert number == 1


SCORE = '''
"""Habit: on how many days a customer came, weighed by how often customers come."""

from datetime import timedelta

from msgspec import Struct

from keepers.conditions.comparisons import ComparedValue
from keepers.conditions.compile.did import live
from keepers.conditions.compile.event_rows import RowColumns, RowSource
from keepers.conditions.compile.tables import SubjectRows
from keepers.model.fields import mapping
from keepers.scores.score import Score


class Habit(Struct, frozen=True):
    event: str = "Visited"


class Weight(Struct, frozen=True):
    weight: float = 0.0


class HabitDays:
    name = "habit_days"

    def __init__(self, event, weight):
        self.event, self.weight, self.signature = event, weight, f"habit {event} {weight}"

    def request(self, features):
        days = features.figure(
            self.event,
            ("habit", "days"),
            lambda rows: rows.table.day.nunique(where=live(rows, features.now_of(rows.table))),
            kind="int64",
        )
        return lambda row: (ComparedValue(number=row[days].cast("float64") * self.weight), ())


class HabitScore(Score):
    id = "habit"
    traits = ("habit_days",)
    settings = Habit
    figures = Weight
    revised_after = timedelta(days=7)

    def parse(self, data, at=""):
        return Habit(**mapping(data, ("event",), at))

    def event(self, settings):
        return settings.event

    def computed(self, settings, figures):
        return {"habit_days": HabitDays(settings.event, figures.weight)}

    def signature(self, settings, figures):
        return [settings, figures]

    def history(self, settings, schema, derived, mode):
        rows = RowSource(schema, derived, SubjectRows(schema, mode)).rows(settings.event, RowColumns())
        return None if rows is None else (rows.table.aggregate(n=rows.table.count()),)

    def fit(self, rows, now):
        return Weight(weight=float(rows[0][0][0]))

    def is_enough(self, figures):
        return figures.weight >= 3
'''


def test_a_score_is_one_file(tmp_path: Path, migrated_folder: Path) -> None:
    (tmp_path / "plug").mkdir()
    with plug_in(tmp_path / "plug", scores, "habit", SCORE, score_registry.discover):
        playbook = {
            "habit": {"event": "Came"},
            "segments": [{"id": "regulars", "who": {"trait": "habit_days", "gte": 6}}],
        }
        folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook=playbook)
        with workspaces.opened(folder) as workspace:
            came = [("anna", "2026-02-27"), ("anna", "2026-02-28"), ("bob", "2026-02-28")]
            calls = [
                {
                    "type": "track",
                    "event": "Came",
                    "userId": who,
                    "messageId": f"{who} {day}",
                    "timestamp": f"{day}T12:00:00Z",
                }
                for who, day in came
            ]
            workspaces.send(workspace.store, MONDAY, calls)
            with workspace.sequencing("a test") as ticker:
                until_idle(ticker, MONDAY)
            live = workspace.active_playbook()
            assert live.figures["habit"].weight == 3
            assert live.fitted_at["habit"] == MONDAY
            rows = (
                workspace.warehouse.cursor()
                .execute(
                    "SELECT bucket_key FROM states JOIN standing_queries USING (query_id) "
                    "JOIN profiles USING (profile_id) "
                    "WHERE definition = 'segment:regulars' AND value > 0"
                )
                .fetchall()
            )
            assert rows == [(bucket_key("user_id", "anna"),)]
            queries = workspace.active_queries()
            assert queries.reads[queries.by_id["segment:regulars"].number].events == {"Came"}
    assert "habit" not in score_registry.SCORES
