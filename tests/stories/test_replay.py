"""`keepers replay`: what a journey would have done over recorded history, told by small histories."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import workspaces
from keepers.app.messaging.replay import ReplayJourney, replay_journey
from keepers.app.operations.maintenance import RunBackfill, backfill
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Consent
from keepers.model.identity import Trust
from keepers.store.messages.messages import MessageRow, queue
from keepers.store.profiles import consents
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages
from stories.writing import completed

START = datetime(2026, 3, 2, 12)
"""a Monday"""
DAY = timedelta(days=1)
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "tips", "name": "Tips"}],
    "segments": [{"id": "buyers", "who": {"did": "Order Completed"}}],
    "mails": {"hello": {"topic": "tips", "expires": "3d"}, "nudge": {"topic": "tips", "expires": "3d"}},
}
JOURNEY: dict[str, Any] = {
    "id": "welcome",
    "enter": [{"event": "Signed Up"}],
    "goal": {"when": {"did": "Order Completed", "since": {"ref": "run.entered_at"}}},
    "steps": [
        {"id": "hello", "message": "hello"},
        {"id": "rest", "delay": "2d"},
        {"id": "again", "message": "hello"},
        {"id": "late", "delay": {"until": "23:00"}},
        {"id": "nudge", "message": "nudge"},
    ],
}


@pytest.fixture
def past(tmp_path: Path, migrated_folder: Path) -> Path:
    """Three sign up on three days; one buys after a day, one never agreed to tips, one takes it back."""
    folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook=completed(PLAYBOOK))
    with workspaces.opened(folder) as workspace:
        _did(workspace, START - DAY, "ida", "Visit")
        for n, who in enumerate(("ida", "bob", "cy")):
            at = START + n * DAY
            call = {"type": "identify", "userId": who, "traits": {"email": f"{who}@example.com"}}
            workspaces.send(workspace.store, at, [call | {"messageId": f"i{who}"}])
            _did(workspace, at, who, "Signed Up")
        _did(workspace, START + DAY, "ida", "Order Completed")
        _tick(workspace, START + 30 * DAY)
        with workspace.store.begin() as connection:
            statements = [
                Consent(workspace.find_profile(who), "email", "tips", state, at, "form", holds_for="person")
                for who, state, at in (
                    ("ida", "subscribed", START - DAY),
                    ("cy", "subscribed", START - DAY),
                    ("cy", "unsubscribed", START + 3 * DAY),
                )
            ]
            consents.record(connection, statements, START + 30 * DAY, is_import=True)
        workspaces.write_playbook(folder, completed(PLAYBOOK | {"journeys": [JOURNEY]}) or {})
    return folder


def _did(workspace: Workspace, at: datetime, who: str, event: str, trust: Trust = "server") -> None:
    call = {"type": "track", "event": event, "userId": who, "messageId": f"{who} {event} {at}", "properties": {}}
    workspaces.send(workspace.store, at, [call], trust=trust)


def _tick(workspace: Workspace, at: datetime) -> None:
    with workspace.sequencing("a test") as ticker:
        ticker.tick(at)


def _replay(workspace: Workspace, name: str = "welcome", **arguments: Any) -> dict[str, Any]:
    request = ReplayJourney(id=name, since="60d", **arguments)
    done: dict[str, Any] = wire_format.plain(replay_journey(workspace, COMMAND_LINE, request))
    return done


def test_a_draft_runs_over_the_past_with_the_consent_and_hours_of_then(past: Path) -> None:
    with workspaces.opened(past) as workspace:
        done = _replay(workspace)
        again = _replay(workspace)
    assert done == again
    assert (done["entered"], done["goals"], done["goal_days"]) == (3, 1, [1.0, 1.0])
    assert {d["day"]: d["entered"] for d in done["days"] if d["entered"]} == {
        "2026-03-02": 1, "2026-03-03": 1, "2026-03-04": 1
    }  # fmt: skip
    assert done["ended"] == {"goal": 1, "no_consent": 1, "unsubscribed": 1}
    # Ida's and Cy's first; Bob never agreed, and Cy took it back before the second.
    assert done["sent"] == {"email": 2}
    assert done["skipped"] == {"no_consent": 3, "unsubscribed": 2}
    assert done["busiest"] == {"1": 2}


def test_what_anybody_may_send_enters_no_trusted_journey_of_then(past: Path) -> None:
    workspaces.write_playbook(past, completed(PLAYBOOK | {"journeys": [JOURNEY | {"trust": "server"}]}) or {})
    with workspaces.opened(past) as workspace:
        _did(workspace, START + 5 * DAY, "dora", "Signed Up", "public")
        _tick(workspace, START + 30 * DAY)
        trusted = _replay(workspace)
    workspaces.write_playbook(past, completed(PLAYBOOK | {"journeys": [JOURNEY | {"trust": "any"}]}) or {})
    with workspaces.opened(past) as workspace:
        anybody = _replay(workspace)
    assert (trusted["entered"], anybody["entered"]) == (3, 4)


def test_caps_and_quiet_hours_hold_by_the_virtual_clock(past: Path) -> None:
    steps = [
        {"id": "one", "message": "hello"},
        {"id": "rest", "delay": "11h"},
        {"id": "two", "message": "nudge"},
        {"id": "far", "delay": "3d"},
        {"id": "three", "message": "nudge"},
    ]
    drafted = [{"id": "often", "enter": [{"event": "Signed Up"}], "if": {"trait": "email", "eq": "ida@example.com"}}]
    drafted[0]["steps"] = steps
    workspaces.write_playbook(past, completed(PLAYBOOK | {"journeys": drafted}) or {})
    with workspaces.opened(past) as workspace:
        done = _replay(workspace, "often")
        more = completed(PLAYBOOK | {"journeys": drafted, "contact": {"caps": {"email": {"1d": 5, "7d": 2}}}})
        workspaces.write_playbook(past, more or {})
        capped = _replay(workspace, "often")
    # The second waits for the morning and then meets the cap of a day; the third is at eleven at night too.
    assert (done["sent"], done["skipped"], done["held"]) == ({"email": 2}, {"cap.email.1d": 1}, 2)
    assert (capped["sent"], capped["skipped"], capped["held"]) == ({"email": 2}, {"cap.email.7d": 1}, 2)


def test_what_really_went_out_on_another_channel_counts_under_the_cap_of_all(past: Path) -> None:
    contact = {"caps": {"email": {}, "all": {"7d": 1}}}
    workspaces.write_playbook(past, completed(PLAYBOOK | {"journeys": [JOURNEY], "contact": contact}) or {})
    with workspaces.opened(past) as workspace:
        text = MessageRow(
            "text", workspace.find_profile("ida"), "code", "sms", "tips", "+48601100200", "hash of the number",
            START - DAY, START - DAY, status="sent", counted_at=START - DAY,
        )  # fmt: skip
        before = _replay(workspace)
        with workspace.store.begin() as connection:
            queue(connection, [text])
        after = _replay(workspace)
    assert (before["sent"], after["sent"]) == ({"email": 2}, {"email": 1})
    assert after["skipped"]["cap.all.7d"] == before["skipped"].get("cap.all.7d", 0) + 1


def test_nothing_is_performed_or_kept(past: Path) -> None:
    with workspaces.opened(past) as workspace:
        _tick(workspace, START + 31 * DAY)
        before = workspaces.outcome(workspace)
        _replay(workspace)
        assert workspaces.outcome(workspace) == before
        with workspace.store.read() as connection:
            for table in (journey_runs, messages):
                assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_segments_that_were_recorded_let_in_as_they_did_then(past: Path) -> None:
    drafted = [{"id": "thanks", "enter": [{"segment": "buyers"}], "steps": [{"id": "rest", "delay": "1d"}]}]
    drafted.append({"id": "new", "enter": [{"segment": "unheard"}], "steps": [{"id": "rest", "delay": "1d"}]})
    segments = [*PLAYBOOK["segments"], {"id": "unheard", "who": {"did": "Visit"}}]
    workspaces.write_playbook(past, completed(PLAYBOOK | {"journeys": drafted, "segments": segments}) or {})
    with workspaces.opened(past) as workspace:
        backfill(workspace, COMMAND_LINE, RunBackfill())
        thanks = _replay(workspace, "thanks")
        new = _replay(workspace, "new")
    assert (thanks["entered"], thanks["ended"], thanks["unrecorded"]) == (1, {"finished": 1}, [])
    assert [d["day"] for d in thanks["days"] if d["entered"]] == ["2026-03-03"]
    assert (new["entered"], new["unrecorded"]) == (0, ["segment:unheard"])


def test_the_command_draws_bars_and_refuses_nonsense(past: Path) -> None:
    shown = workspaces.keepers("-w", past, "replay", "welcome", "--since", "60d")
    assert shown.code == 0, shown.err
    assert "Entered 3" in shown.out
    assert "Would have sent email 2" in shown.out
    assert "█" in shown.out
    assert workspaces.keepers("-w", past, "replay", "welcome", "--json").json["entered"] == 3
    assert workspaces.keepers("-w", past, "replay", "welcom").code != 0
    assert workspaces.keepers("-w", past, "replay", "welcome", "--sample", "lots").code == 2


def test_who_was_silent_for_long_is_left_alone_by_then(past: Path) -> None:
    drafted = [
        {
            "id": "late",
            "enter": [{"event": "Signed Up"}],
            "if": {"trait": "email", "eq": "ida@example.com"},
            "steps": [
                {"id": "soon", "message": "hello"},
                {"id": "rest", "delay": "20d"},
                {"id": "m", "message": "nudge"},
            ],
        }
    ]
    counts = []
    for sunset in ({"after": "180d", "grace": "14d"}, {"after": "5d", "grace": "5d"}):
        written = completed(PLAYBOOK | {"journeys": drafted, "contact": {"sunset": sunset}})
        workspaces.write_playbook(past, written or {})
        with workspaces.opened(past) as workspace:
            done = _replay(workspace, "late")
        counts.append((done["sent"], done["skipped"]))
    # Her order a day after she signed up is the last that was heard of her.
    assert counts == [({"email": 2}, {}), ({"email": 1}, {"sunset": 1})]
