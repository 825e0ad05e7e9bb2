"""Journeys at work under random events, clocks, edits, merges, pauses and changes of consent keep their promises."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

import workspaces
from keepers.app.operations import playbook as playbooks
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.channels.base import Channel
from keepers.delivery.worker import Deliverer
from keepers.model.consent import Consent
from keepers.model.errors import ConflictError, NotFoundError
from keepers.model.message import Outcome, Outgoing
from keepers.orchestration import run_control
from keepers.store.profiles import consents
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages
from profiles import examples
from stories.writing import completed

START = datetime(2026, 3, 2, 9)
PEOPLE = ("ida", "bob", "cy")
WHO = st.sampled_from(PEOPLE)
EVENTS = ("Go", "Look", "Order Completed")
STEPS = st.lists(
    st.sampled_from(
        [
            {"message": "hello"},
            {"message": "nudge"},
            {"delay": "6h"},
            {"delay": {"until": "10:00"}},
            {"wait": {"event": "Look"}, "timeout": "1d"},
            {"emit": {"event": "Look"}},
            {"split": [{"go": "last"}, {"go": "last", "weight": 10}]},
        ]
    ),
    min_size=1,
    max_size=4,
)
REENTRY = st.sampled_from(["never", "after_exit", {"per": "n"}])
CAP = {"1d": 2, "7d": 4}
STEPS_OF_A_LIFE = 8 if settings.default.max_examples <= 100 else 20


class _Sink:
    """Takes every message."""

    async def open(self) -> None:
        pass

    async def send(self, message: Outgoing) -> Outcome:
        return Outcome("sent", provider_id=message.key)

    async def close(self) -> None:
        pass


class Shop(RuleBasedStateMachine):
    """Two of the three customers share an address."""

    numbers = count()
    folder: Path
    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        place = self.folder / f"shop{next(Shop.numbers)}"
        self.steps = [{"message": "hello"}, {"delay": "6h"}]
        self.place = workspaces.make(place, self.migrated, playbook=self._playbook("after_exit"))
        self.workspace = Workspace.open(place)
        self.now = START
        self.sent = count()
        self.known: set[int] = set()
        self.agreed: list[tuple[int, str, datetime]] = []
        for who in PEOPLE:
            email = "cy@example.com" if who == "cy" else "both@example.com"
            self._send({"type": "identify", "userId": who, "traits": {"email": email}})
        self._tick()
        sink: Channel = _Sink()
        sending = self.workspace.sending
        self.deliverer = Deliverer(
            self.workspace.store, sending.eligibility, sending.message_builder.make, {"email": sink}, {}, None, "a test"
        )
        self.consent("ida", "subscribed")
        self.consent("bob", "subscribed")

    def _playbook(self, reentry: Any) -> dict[str, Any]:
        steps = [{"id": f"s{n}_{next(iter(step))}", **step} for n, step in enumerate(self.steps)]
        journeys = [
            {
                "id": "first",
                "enter": [{"event": "Go"}],
                "reentry": reentry,
                "exits": [{"when": {"did": "Order Completed", "since": {"ref": "run.entered_at"}}, "reason": "bought"}],
                "steps": [*steps, {"id": "last", "delay": "1h"}],
            },
            {"id": "second", "enter": [{"event": "Look"}], "reentry": "after_exit",
             "steps": [{"id": "hello", "message": "hello"}, {"id": "rest", "delay": "1d"}]},
        ]  # fmt: skip
        made = completed(
            {
                "topics": [{"id": "tips", "name": "Tips"}],
                "mails": {"hello": "tips", "nudge": {"topic": "tips", "priority": "cart"}},
                "contact": {"caps": {"email": CAP}},
                "journeys": journeys,
            }
        )
        assert made is not None
        return made

    def _send(self, call: dict[str, Any]) -> None:
        call |= {"messageId": f"m{next(self.sent)}", "timestamp": self.now.isoformat() + "Z"}
        workspaces.send(self.workspace.store, self.now, [call])

    def _tick(self) -> None:
        with self.workspace.sequencing("a test") as ticker:
            ticker.tick(self.now)
        self.workspace.sending.refresh()

    @rule(who=WHO, event=st.sampled_from(EVENTS), n=st.integers(1, 3))
    def does(self, who: str, event: str, n: int) -> None:
        self._send({"type": "track", "userId": who, "event": event, "properties": {"n": n}})

    @rule(hours=st.sampled_from([1, 5, 14, 30, 100]))
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self._tick()
        self.deliverer.run_once(self.now)

    @rule(who=WHO, event=st.sampled_from(EVENTS), visitor=st.sampled_from(["v1", "v2"]), signs_in=st.booleans())
    def visits(self, who: str, event: str, visitor: str, signs_in: bool) -> None:
        call = {"type": "track", "anonymousId": visitor, "event": event, "properties": {"n": 9}}
        self._send(call | ({"userId": who} if signs_in else {}))

    @rule(steps=STEPS, reentry=REENTRY, running=st.sampled_from(["finish", "move", "exit"]))
    def edits(self, steps: list[dict[str, Any]], reentry: Any, running: str) -> None:
        self.steps = steps
        workspaces.write_playbook(self.place, self._playbook(reentry))
        self.workspace.clock = lambda: self.now
        playbooks.apply_playbook(self.workspace, COMMAND_LINE, playbooks.ApplyPlaybook(running=running))

    @rule(on=st.booleans(), journey=st.sampled_from(["first", "second"]))
    def pauses(self, on: bool, journey: str) -> None:
        live = self.workspace.active_playbook()
        with suppress(ConflictError):  # it is so already
            (run_control.pause if on else run_control.resume)(self.workspace.store, live, journey, self.now)

    @rule(who=WHO, state=st.sampled_from(["subscribed", "unsubscribed"]))
    def consent(self, who: str, state: Any) -> None:
        try:
            profile_id = self.workspace.find_profile(who)
        except NotFoundError:
            return
        with self.workspace.store.begin() as connection:
            consents.record(
                connection,
                [Consent(profile_id, "email", "tips", state, self.now, "test", holds_for="person")],
                self.now,
            )
        self.agreed.append((profile_id, state, self.now))

    @invariant()
    def check_promises(self) -> None:
        table, sent = journey_runs.c, messages.c
        with self.workspace.store.read() as connection:
            ran = connection.execute(select(table.id, table.journey, table.profile_id, table.status, table.step)).all()
            rows = connection.execute(
                select(
                    sent.run_id, sent.step, sent.visit, sent.status, sent.address_hash, sent.profile_id, sent.sent_at
                )
            ).all()
            ways = dict(connection.execute(select(table.id, table.entry_key)).all())
        assert self.known <= {row.id for row in ran}, "a run is lost"
        self.known |= {row.id for row in ran}
        once = [(r.journey, r.profile_id) for r in ran if r.status == "active" and not ways[r.id].startswith("n=")]
        assert all(number == 1 for number in Counter(once).values()), "a customer is in two places of a journey"
        assert all(number == 1 for number in Counter((r.run_id, r.step, r.visit) for r in rows).values())
        gone_out = [r for r in rows if r.status == "sent"]
        for window, most in ((timedelta(days=1), CAP["1d"]), (timedelta(days=7), CAP["7d"])):
            for r in gone_out:
                within = [o for o in gone_out if o.address_hash == r.address_hash and 0 <= _s(r, o) < _total(window)]
                assert len(within) <= most, "a cap is exceeded"
        for r in gone_out:
            states = [state for who, state, at in self.agreed if who == r.profile_id and at < r.sent_at]
            latest = [state for who, state, at in self.agreed if who == r.profile_id and at == r.sent_at]
            assert "subscribed" in (states[-1:] + latest), "sent without consent"

    def teardown(self) -> None:
        if hasattr(self, "deliverer"):
            self.deliverer.close()
            self.workspace.close()


def _s(one: Any, other: Any) -> float:
    return float((one.sent_at - other.sent_at).total_seconds())


def _total(window: timedelta) -> float:
    return window.total_seconds()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_journeys_keep_their_promises_whatever_happens(tmp_path: Path, migrated_folder: Path) -> None:
    Shop.folder, Shop.migrated = tmp_path, migrated_folder
    slow = examples(0.1, stateful_step_count=STEPS_OF_A_LIFE, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Shop, settings=slow)
