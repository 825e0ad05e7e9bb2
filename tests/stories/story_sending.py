"""The steps of stories about journeys and messages; the mail really goes out, to a mailbox on this machine.

A step has `at` (UTC) and any of:
`agrees: {WHO: TOPIC or [TOPICS]}` / `objects:` consent to e-mail by topic (`*` for all), given or taken back ·
`agreed: {WHO: TOPIC}` the same brought by an import, with `agreed_at: WHEN` if the list says when ·
`apply: PLAYBOOK` with `running: move` · `pause: JOURNEY` · `resume: JOURNEY` · `leave: {JOURNEY: [WHO]}` ·
`enrol: {JOURNEY: [WHO]}` with `data: {…}` · `suppress: {ADDRESS: REASON}` ·
`report: {kind: bounced, message: TEMPLATE, who: WHO, is_hard: true}` news of the newest such message ·
`broadcast: {start: ID}`, or stop, resume, resend · `codes: {POOL: [CODE]}` imported ·
`switch: {sending: false}` · `deliver: now` sends what is due, after a tick.
Then, after a tick: `runs: {JOURNEY: {WHO: “at STEP” or “ended: REASON”}}` · `entered: {JOURNEY: {WHO: TIMES}}` runs
so far · `wakes: {JOURNEY: {WHO: WHEN}}` · `refused: {JOURNEY: {WHO: REASON}}` · `passed: {JOURNEY: {WHO: [“STEP
REASON”]}}` what they came through, in order · `decided: [“WHO: TEMPLATE STATUS REASON”]` all messages so far,
everybody's in order, of held ones until when · `mail: [“ADDRESS: SUBJECT”]` all that arrived so far ·
`events: {WHO: [NAMES]}` what Keepers said of them so far, in order · `arms: {WHO: [ARM]}` what they were exposed to ·
`traits: {WHO: {…}}` · `called: [BODY]` all calls of webhooks so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from sqlalchemy import select

from keepers.app.operations import playbook as playbooks
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.broadcasts import control
from keepers.devtools.mailbox import Mailbox
from keepers.model.consent import Consent, address_hash
from keepers.model.message import DeliveryReport
from keepers.model.moments import parse_instant
from keepers.orchestration import run_control
from keepers.store.journeys import entry_rejections, run_history, runs
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import coupons, delivery_reports, messages, sending_switches
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.core import log
from keepers.store.schema.journeys import entry_rejections as rejections_table
from keepers.store.schema.messages import messages as message_table
from keepers.warehouse.profile_lookup import load_profiles
from stories.answering import Answers

KEYS = frozenset(
    {
        *("agrees", "agreed", "agreed_at", "objects", "running", "pause", "resume", "leave", "enrol", "suppress"),
        *("report", "switch"),
        *("deliver", "runs", "entered", "wakes", "refused", "passed", "decided", "mail", "events", "arms", "traits"),
        *("called", "codes", "broadcast"),
    }
)


def mailbox_for(folder: Path, at: datetime) -> Mailbox:
    """A mailbox for a story's workspace, which is told to send there. Webhooks may call this machine."""
    mailbox = Mailbox(folder / "mailbox", smtp_port=0, http_port=None, now=lambda: at)
    mailbox.start()
    with (folder / "keepers.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            f'[channels.email]\nhost = "127.0.0.1"\nport = {mailbox.smtp_port}\ntls = "none"\n'
            'sender = "Test shop <hello@shop.example>"\n[public]\nurl = "https://mail.shop.example"\n'
            '[channels.webhook]\nallow = ["127.0.0.0/8"]\n'
        )
    return mailbox


class Sending:
    """What a story does and sees of journeys and messages."""

    def __init__(
        self,
        workspace: Workspace,
        mailbox: Mailbox | None,
        name: Callable[[int], str],
        number: Callable[[str], int],
        answers: Answers | None,
    ) -> None:
        self._workspace = workspace
        self._answers = answers
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
        for who, topics in step.get("agreed", {}).items():
            since = parse_instant(step["agreed_at"]) if "agreed_at" in step else at
            self._consent(who, topics, "subscribed", since, imported_at=at)
        if "pause" in step:
            run_control.pause(self._store, self._workspace.active_playbook(), step["pause"], at)
        if "resume" in step:
            run_control.resume(self._store, self._workspace.active_playbook(), step["resume"], at)
        for journey, who in step.get("enrol", {}).items():
            ids = [self._number(one) for one in who]
            run_control.enrol(self._store, self._workspace.active_playbook(), journey, ids, at, step.get("data"))
        for journey, who in step.get("leave", {}).items():
            with self._store.read() as connection:
                held = runs.of_profiles(connection, [self._number(one) for one in who])
            for run in (run for listed in held.values() for run in listed if run.journey == journey):
                run_control.leave(self._store, run.id, at)
        for address, reason in step.get("suppress", {}).items():
            hashed = address_hash(self._workspace.secret, "email", address)
            with self._store.begin() as connection:
                suppressions.add(connection, [Suppression("email", hashed, reason, at, "story")])
        for verb, name in step.get("broadcast", {}).items():
            self._broadcast(verb, name, at)
        for name, is_on in step.get("switch", {}).items():
            with self._store.begin() as connection:
                sending_switches.put(connection, name, is_on, "told by the story", at)
        for pool, codes in step.get("codes", {}).items():
            with self._store.begin() as connection:
                coupons.put(connection, pool, codes, at)
        if "report" in step:
            self._report(step["report"], at)

    def apply(self, at: datetime, running: str) -> None:
        with patch.object(self._workspace, "clock", lambda: at):
            playbooks.apply_playbook(self._workspace, COMMAND_LINE, playbooks.ApplyPlaybook(running=running))

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
            assert (where := self._runs(journey)) == who, f"runs of {journey}: {where}"
        for journey, who in step.get("refused", {}).items():
            assert (why := self._refused(journey)) == who, f"refused by {journey}: {why}"
        for journey, who in step.get("entered", {}).items():
            assert (found := self._entered(journey)) == who, f"runs so far of {journey}: {found}"
        for journey, who in step.get("wakes", {}).items():
            wanted = {name: parse_instant(at) if at else None for name, at in who.items()}
            waking = {name: self._newest(journey, name).wake_at for name in who}
            assert waking == wanted, f"{journey} wakes {waking}"
        for journey, who in step.get("passed", {}).items():
            for name, lines in who.items():
                assert (way := self._passed(journey, name)) == lines, f"way of {name} through {journey}: {way}"
        if "decided" in step:
            assert (decided := self._decided()) == _by_name(step["decided"]), f"decided: {decided}"
        if "mail" in step:
            assert self._mailbox is not None
            arrived = _by_name(f"{m.recipient}: {m.subject}" for m in reversed(self._mailbox.messages(limit=1000)))
            assert arrived == _by_name(step["mail"]), f"mail: {arrived}"
        for who, names in step.get("events", {}).items():
            assert (events := self._events(who)) == names, f"events of {who}: {events}"
        for who, arms in step.get("arms", {}).items():
            seen = self._properties(who, "Experiment Viewed")
            assert [properties["variation_id"] for properties in seen] == arms, f"arms of {who}"
        for who, traits in step.get("traits", {}).items():
            person = load_profiles(self._workspace.warehouse, [self._number(who)])[self._number(who)]
            assert {name: person.traits.get(name) for name in traits} == traits, f"traits of {who}"
        if "called" in step:
            assert self._answers is not None
            assert self._answers.called == step["called"]

    def _consent(self, who: str, topics: Any, state: Any, at: datetime, imported_at: datetime | None = None) -> None:
        statements = [
            Consent(self._number(who), "email", topic, state, at, "story", holds_for="person")
            for topic in (topics if isinstance(topics, list) else [topics])
        ]
        with self._store.begin() as connection:
            consents.record(connection, statements, imported_at or at, is_import=imported_at is not None)

    def _broadcast(self, verb: str, name: str, at: datetime) -> None:
        store, live = self._store, self._workspace.active_playbook()
        match verb:
            case "start":
                control.start(store, live, name, at)
            case "stop":
                control.stop(store, name, at)
            case "resume":
                control.resume(store, live, name, at)
            case "resend":
                control.resend(store, live, name, at)
            case _:
                raise AssertionError(f"“{verb}” is nothing that is done to a broadcast")

    def _report(self, given_report: dict[str, Any], at: datetime) -> None:
        with self._store.begin() as connection:
            sent = messages.of_profile(connection, self._number(given_report["who"]))
            newest = next(m for m in sent if m.message == given_report["message"])
            fields = {k: v for k, v in given_report.items() if k not in ("who", "message", "kind")}
            delivery_reports.append(
                connection, [DeliveryReport(given_report["kind"], newest.channel, at, key=newest.key, **fields)]
            )

    def _runs(self, journey: str) -> dict[str, str]:
        """Everybody's newest run of a journey."""
        found: dict[str, str] = {}
        for run in self._all_runs(journey):
            where = f"at {run.step}" if run.status == "active" else f"ended: {run.reason}"
            found[self._name(run.profile_id)] = where
        return found

    def _entered(self, journey: str) -> dict[str, int]:
        return dict(Counter(self._name(run.profile_id) for run in self._all_runs(journey)))

    def _newest(self, journey: str, who: str) -> RunRow:
        return next(run for run in reversed(self._all_runs(journey)) if self._name(run.profile_id) == who)

    def _all_runs(self, journey: str) -> list[RunRow]:
        """By id, so in the order they were begun."""
        table = runs.journey_runs.c
        with self._store.read() as connection:
            ids = connection.execute(select(table.id).where(table.journey == journey)).scalars().all()
            return sorted(runs.get_many(connection, ids).values(), key=lambda run: run.id)

    def _passed(self, journey: str, who: str) -> list[str]:
        """The way of somebody's newest run: steps with the port they were left by or the reason, if there is one."""
        run = self._newest(journey, who)
        with self._store.read() as connection:
            recorded = run_history.of_runs(connection, [run.id])[run.id]
        lines = []
        for line in recorded:
            if line.what == "passed":
                port = line.data.get("port", "next")
                lines.append(f"{line.step} {line.reason or ('' if port == 'next' else port)}".rstrip())
            elif line.what in ("goal", "refused"):
                lines.append(f"{line.step} {line.what} {line.reason}".rstrip())
        return lines

    def _refused(self, journey: str) -> dict[str, str]:
        with self._store.read() as connection:
            whose = connection.execute(select(rejections_table.c.profile_id).distinct()).scalars().all()
            listed = [r for who in whose for r in entry_rejections.of_profile(connection, who) if r.journey == journey]
        return {self._name(r.profile_id): r.reason for r in listed}

    def _decided(self) -> list[str]:
        table = message_table.c
        query = select(table.profile_id, table.message, table.status, table.reason, table.send_after)
        with self._store.read() as connection:
            rows = connection.execute(query.order_by(table.id)).all()
        lines = []
        for who, message, status, reason, send_after in rows:
            until = f" until {send_after:%Y-%m-%d %H:%M}" if status == "held" else ""
            lines.append(f"{self._name(who)}: {message} {status} {reason}".rstrip() + until)
        return _by_name(lines)

    def _events(self, who: str) -> list[str]:
        return [event for event, _ in self._tracks(who)]

    def _properties(self, who: str, event: str) -> list[dict[str, Any]]:
        """The properties of each such event."""
        return [msgspec.json.decode(body)["properties"] for name, body in self._tracks(who) if name == event]

    def _tracks(self, who: str) -> list[Any]:
        query = select(log.c.event, log.c.body).where(log.c.source == "keepers", log.c.profile_id == self._number(who))
        with self._store.read() as connection:
            return list(connection.execute(query.where(log.c.kind == "track").order_by(log.c.seq)).all())


def _by_name(lines: Iterable[str]) -> list[str]:
    """Everybody's in their order; whose turn comes first means nothing."""
    return sorted(lines, key=lambda line: line.partition(": ")[0])
