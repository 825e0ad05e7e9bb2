"""The steps of stories about journeys and messages; the mail really goes out, to a mailbox on this machine.

A step has `at` (UTC) and any of:
`agrees: {WHO: TOPIC or [TOPICS]}` / `objects:` consent to e-mail by topic (`*` for all), given or taken back ·
`apply: PLAYBOOK` with `running: move` · `pause: JOURNEY` · `resume: JOURNEY` · `enrol: {JOURNEY: [WHO]}` ·
`report: {kind: bounced, message: TEMPLATE, who: WHO, is_hard: true}` news of the newest such message ·
`switch: {sending: false}` · `deliver: now` sends what is due, after a tick.
Then, after a tick: `runs: {JOURNEY: {WHO: “at STEP” or “ended: REASON”}}` · `refused: {JOURNEY: {WHO: REASON}}` ·
`decided: [“WHO: TEMPLATE STATUS REASON”]` all messages so far · `mail: [“ADDRESS: SUBJECT”]` all that arrived so far ·
`events: {WHO: [NAMES]}` what Keepers said of them so far, in order.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

import workspaces
from keepers.channels.mailbox import Mailbox
from keepers.cli.commands import COMMANDS
from keepers.model.consent import Consent
from keepers.model.delivery import Report
from keepers.pipeline import publishing
from keepers.store import consents, messages, refusals, reports, runs, switches
from keepers.store.journey_tables import entry_refusals
from keepers.store.message_tables import messages as message_table
from keepers.store.tables import log
from keepers.wire import Workspace

KEYS = frozenset(
    {
        *("agrees", "objects", "running", "pause", "resume", "enrol", "report", "switch", "deliver"),
        *("runs", "refused", "decided", "mail", "events"),
    }
)


def mailbox_for(folder: Path, at: datetime) -> Mailbox:
    """A mailbox for a story's workspace, which is told to send there."""
    mailbox = Mailbox(folder / "mailbox", smtp_port=0, http_port=None, now=lambda: at)
    mailbox.start()
    with (folder / "keepers.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            f'[channels.email]\nhost = "127.0.0.1"\nport = {mailbox.smtp_port}\ntls = "none"\n'
            'sender = "Test shop <hello@shop.example>"\n[public]\nurl = "https://mail.shop.example"\n'
        )
    return mailbox


class Sending:
    """What a story does and sees of journeys and messages."""

    def __init__(self, workspace: Workspace, mailbox: Mailbox | None, name: Any, number: Any) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._mailbox = mailbox
        self._name = name
        self._number = number
        self._deliverer: Any = None

    def act(self, at: datetime, step: dict[str, Any]) -> None:
        """What happens, before the tick."""
        for key, state in (("agrees", "subscribed"), ("objects", "unsubscribed")):
            for who, topics in step.get(key, {}).items():
                self._consent(who, topics, state, at)
        if "pause" in step:
            publishing.pause(self._store, self._workspace.in_force(), step["pause"], at)
        if "resume" in step:
            publishing.resume(self._store, self._workspace.in_force(), step["resume"], at)
        for journey, who in step.get("enrol", {}).items():
            ids = [self._number(one) for one in who]
            publishing.enrol(self._store, self._workspace.in_force(), journey, ids, at, step.get("with"))
        for name, is_on in step.get("switch", {}).items():
            with self._store.begin() as connection:
                switches.put(connection, name, is_on, "told by the story", at)
        if "report" in step:
            self._report(step["report"], at)

    def apply(self, running: str) -> None:
        COMMANDS["apply"](self._workspace, workspaces.silent, running=running)

    def deliver(self, at: datetime) -> None:
        self._workspace.sending.refresh()
        if self._deliverer is None:
            self._deliverer = self._workspace.sending.deliverer("story")
        self._deliverer.run_once(at)

    def close(self) -> None:
        if self._deliverer is not None:
            self._deliverer.close()
        if self._mailbox is not None:
            self._mailbox.stop()

    def see(self, step: dict[str, Any]) -> None:
        """What is true after the tick."""
        for journey, who in step.get("runs", {}).items():
            assert self._runs(journey) == who, f"runs of {journey}"
        for journey, who in step.get("refused", {}).items():
            assert self._refused(journey) == who, f"refused by {journey}"
        if "decided" in step:
            assert self._decided() == step["decided"]
        if "mail" in step:
            assert self._mailbox is not None
            arrived = reversed(self._mailbox.messages(limit=1000))
            assert [f"{mail.recipient}: {mail.subject}" for mail in arrived] == step["mail"]
        for who, names in step.get("events", {}).items():
            assert self._events(who) == names, f"events of {who}"

    def _consent(self, who: str, topics: Any, state: Any, at: datetime) -> None:
        said = [
            Consent(self._number(who), "email", topic, state, at, "story")
            for topic in (topics if isinstance(topics, list) else [topics])
        ]
        with self._store.begin() as connection:
            consents.record(connection, said, at)

    def _report(self, told: dict[str, Any], at: datetime) -> None:
        with self._store.begin() as connection:
            sent = messages.of_profile(connection, self._number(told["who"]))
            newest = next(m for m in sent if m.message == told["message"])
            given = {k: v for k, v in told.items() if k not in ("who", "message", "kind")}
            reports.append(connection, [Report(told["kind"], newest.channel, at, key=newest.key, **given)], at)

    def _runs(self, journey: str) -> dict[str, str]:
        """Everybody's newest run of a journey."""
        found: dict[str, str] = {}
        with self._store.read() as connection:
            everybody = connection.execute(select(runs.journey_runs.c.profile_id).distinct()).scalars().all()
            for listed in runs.of_profiles(connection, everybody, only_active=False).values():
                for run in listed:
                    if run.journey == journey:
                        where = f"at {run.step}" if run.status == "active" else f"ended: {run.reason}"
                        found[self._name(run.profile_id)] = where
        return found

    def _refused(self, journey: str) -> dict[str, str]:
        with self._store.read() as connection:
            people = connection.execute(select(entry_refusals.c.profile_id).distinct()).scalars().all()
            listed = [r for who in people for r in refusals.of_profile(connection, who) if r.journey == journey]
        return {self._name(r.profile_id): r.reason for r in listed}

    def _decided(self) -> list[str]:
        table = message_table.c
        query = select(table.profile_id, table.message, table.status, table.reason).order_by(table.id)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [f"{self._name(row[0])}: {row[1]} {row[2]} {row[3]}".rstrip() for row in rows]

    def _events(self, who: str) -> list[str]:
        query = select(log.c.event).where(log.c.source == "keepers", log.c.profile_id == self._number(who))
        with self._store.read() as connection:
            rows = connection.execute(query.where(log.c.kind == "track").order_by(log.c.seq)).scalars().all()
        return list(rows)
