"""Runs a story in a real workspace: what happens arrives through the inbox, time is skipped from step to step.

A step has `at` (UTC) and one of:
`did: EVENT` by `who` (a user) or `visitor` (anonymous), with `with:` properties and `time:` when it happened, if not
then · `has: {trait: value}` · `signs_in_as: USER` (a visitor becomes known) · `joins: ACCOUNT` with `with:` the
account's traits; any of them `imported: true`, as a platform's history, or `public: true`, as by a write key ·
`apply: PLAYBOOK` · `tick: now`
· `backfill: same_history` · `unmerge: VISITOR`
· `then:` what is true after a tick: lifecycle → stage → who, or segment → who, everybody who is in it
· `as_of: {…}` the same as of that moment, without a tick · `since: {definition: {who: time}}`
· `moves: {definition: [“who: from → to at TIME”]}` all moves so far, in order · `initial: {definition: […]}` likewise.
More, about journeys and messages, in `story_sending.py`.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import workspaces
from keepers.app.operations.maintenance import RunBackfill, backfill
from keepers.app.tick import until_idle
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.devtools.mailbox import Mailbox
from keepers.evaluation.active_queries import ActiveQueries
from keepers.ingest.identify import unmerge
from keepers.model.identity import IdentityKind, Trust, bucket_key
from keepers.model.moments import format_instant, parse_instant
from stories import story_sending
from stories.answering import Answers
from stories.story_sending import mailbox_for
from stories.writing import completed

IDENTIFIERS: tuple[tuple[str, str, IdentityKind], ...] = (
    ("who", "userId", "user_id"),
    ("visitor", "anonymousId", "anonymous_id"),
    ("signs_in_as", "userId", "user_id"),
    ("joins", "groupId", "group_id"),
)


class StoryRunner:
    """One story under way."""

    def __init__(
        self, folder: Path, workspace: Workspace, mailbox: Mailbox | None = None, answers: Answers | None = None
    ) -> None:
        self._folder = folder
        self._answers = answers
        self._workspace = workspace
        self._sending = story_sending.Sending(workspace, mailbox, self._name, self._profile, answers)
        self._numbers = count(1)
        self._names: dict[str, str] = {}

    def step(self, step: dict[str, Any]) -> None:
        at = parse_instant(step["at"])
        keys = set(step) - {"at"}
        if keys & {"did", "has", "signs_in_as", "joins"}:
            self._send(at, step)
        if "apply" in step:
            workspaces.write_playbook(self._folder, completed(step["apply"], self._answers))
            self._sending.apply(at, step.get("running", "finish"))
        self._sending.act(at, step)
        if "unmerge" in step:
            key = bucket_key("anonymous_id", step["unmerge"])
            visitors = self._workspace.warehouse.cursor().execute(
                "SELECT profile_id FROM profiles WHERE bucket_key = ?", [key]
            )
            ((profile_id,),) = visitors.fetchall()
            unmerge(self._workspace.store, profile_id, at)
        if keys & {"tick", "then", "moves", "initial", "since", "unmerge", *story_sending.KEYS}:
            self._tick(at)
        if "deliver" in step:
            self._sending.deliver(at)
            self._tick(at)
        self._sending.see(step)
        if "then" in step:
            self._expect(step["then"], self._states(), at)
            self._expect(step["then"], self._as_of(at), at)
        if "as_of" in step:
            self._expect(step["as_of"], self._as_of(at), at)
        for key, is_initial in (("moves", False), ("initial", True)):
            for definition, wanted in step.get(key, {}).items():
                assert self._changes(definition, is_initial) == wanted, f"{key} of {definition}"
        for definition, wanted in step.get("since", {}).items():
            found = self._since(definition)
            assert {who: found.get(who) for who in wanted} == {
                who: format_instant(parse_instant(time)) for who, time in wanted.items()
            }
        if "backfill" in step:
            self._backfill(at)

    def close(self) -> None:
        self._sending.close()

    def _profile(self, name: str) -> int:
        """Whom a name of the story means by now."""
        return self._workspace.find_profile(name)

    def _send(self, at: datetime, step: dict[str, Any]) -> None:
        call: dict[str, Any] = {"messageId": f"m{next(self._numbers)}"}
        call["timestamp"] = format_instant(parse_instant(step.get("time", step["at"])))
        for field, key, kind in IDENTIFIERS:
            if field in step:
                call[key] = step[field]
                self._names[bucket_key(kind, step[field])] = step[field]
        properties = {k: v.isoformat() if isinstance(v, date) else v for k, v in step.get("with", {}).items()}
        if "did" in step:
            call |= {"type": "track", "event": step["did"], "properties": properties}
        elif "joins" in step:
            call |= {"type": "group", "traits": properties}
        else:
            traits = {k: v.isoformat() if isinstance(v, date) else v for k, v in step.get("has", {}).items()}
            call |= {"type": "identify", "traits": traits}
        path = "/v1/import" if step.get("imported") else "/v1/batch"
        trust: Trust = "public" if step.get("public") else "server"
        workspaces.send(self._workspace.store, at, [call], path, trust)

    def _tick(self, at: datetime) -> None:
        with self._workspace.sequencing("a story") as ticker:
            until_idle(ticker, at)

    def _states(self) -> list[tuple[int, int, int]]:
        cursor = self._workspace.warehouse.cursor()
        return cursor.execute("SELECT query_id, profile_id, value FROM states WHERE value > 0").fetchall()

    def _as_of(self, at: datetime) -> list[tuple[int, int, int]]:
        queries = self._workspace.active_queries()
        cursor = self._workspace.evaluator.as_of(queries, list(queries.by_id), at)
        return cursor.execute("SELECT query_id, profile_id, value FROM asof_states WHERE value > 0").fetchall()

    def _expect(self, wanted: dict[str, Any], found: list[tuple[int, int, int]], at: datetime) -> None:
        queries = self._workspace.active_queries()
        for definition, who in wanted.items():
            number, stages = _number(queries, definition)
            by_stage = who if isinstance(who, dict) else {"in": who}
            for stage, names in by_stage.items():
                value = stages.index(stage) + 1
                there = {self._name(profile) for query_id, profile, v in found if (query_id, v) == (number, value)}
                assert there == set(names or ()), f"{definition} {stage} at {at}"

    def _changes(self, definition: str, is_initial: bool) -> list[str]:
        cursor = self._workspace.warehouse.cursor()
        rows = cursor.execute(
            """
            SELECT c.profile_id, coalesce(f.stage, '—'), coalesce(t.stage, '—'), c."at"
            FROM changes c
            JOIN standing_queries q ON q.query_id = c.query_id
             AND split_part(q.definition, ':', 2) = ? AND q.definition NOT LIKE 'account:%'
            LEFT JOIN standing_query_values f ON f.query_id = c.query_id AND f.value = c.from_value
            LEFT JOIN standing_query_values t ON t.query_id = c.query_id AND t.value = c.to_value
            WHERE c.initial = ?
            ORDER BY c."at", c.n
            """,
            [definition, is_initial],
        ).fetchall()
        return [
            f"{self._name(who)}: {source} → {target} at {time:%Y-%m-%d %H:%M}" for who, source, target, time in rows
        ]

    def _since(self, definition: str) -> dict[str, str]:
        number, _ = _number(self._workspace.active_queries(), definition)
        cursor = self._workspace.warehouse.cursor()
        rows = cursor.execute(
            "SELECT profile_id, since FROM states WHERE query_id = ? AND value > 0", [number]
        ).fetchall()
        return {self._name(who): format_instant(since) for who, since in rows}

    def _backfill(self, at: datetime) -> None:
        self._tick(at)
        ticked = workspaces.outcome(self._workspace)
        backfill(self._workspace, COMMAND_LINE, RunBackfill())
        filled = workspaces.outcome(self._workspace)
        assert filled.fold == ticked.fold
        assert filled.states == ticked.states
        assert filled.changes == ticked.changes

    def _name(self, profile_id: int) -> str:
        """The id by which the story met a subject first."""
        cursor = self._workspace.warehouse.cursor()
        ((key,),) = cursor.execute("SELECT bucket_key FROM profiles WHERE profile_id = ?", [profile_id]).fetchall()
        return self._names[key]


def run_story(story: dict[str, Any], folder: Path, migrated: Path, address: str | None = None) -> None:
    """A whole story in a new workspace. Raises AssertionError naming the step at which it goes another way."""
    answers = Answers(story["answers"]) if "answers" in story else None
    workspaces.lay_out(
        folder,
        migrated,
        lifecycles=story.get("lifecycles", ()),
        playbook=completed(story.get("playbook"), answers),
        zone=story.get("zone", "UTC"),
        address=address,
    )
    is_mailed = any("deliver" in step for step in story["steps"])
    mailbox = mailbox_for(folder, datetime(2026, 1, 1)) if is_mailed else None
    with workspaces.applied(folder) as workspace:
        runner = StoryRunner(folder, workspace, mailbox, answers)
        try:
            for number, step in enumerate(story["steps"], start=1):
                try:
                    runner.step(step)
                except AssertionError as wrong:
                    raise AssertionError(f"step {number}, {step}: {wrong}") from wrong
        finally:
            runner.close()
            if answers is not None:
                answers.stop()


def _number(queries: ActiveQueries, definition: str) -> tuple[int, list[str]]:
    lifecycle = queries.definitions.lifecycles.get(definition)
    if lifecycle is not None:
        return queries.by_id[f"lifecycle:{definition}"].number, [stage.id for stage in lifecycle.stages]
    return queries.by_id[f"segment:{definition}"].number, ["in"]
