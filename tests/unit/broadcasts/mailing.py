"""A shop with customers who agreed to news, for tests of broadcasts: started, ticked, delivered at given instants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

import workspaces
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.tick import until_idle
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.broadcasts import control
from keepers.broadcasts.progress import AudiencePreview, SendingStatus
from keepers.delivery.worker import Deliverer, Options
from keepers.model.consent import Consent
from keepers.model.message import Outcome, Outgoing
from keepers.store.messages import coupons, engagement_requests
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.profiles import consents
from keepers.store.schema.core import log
from keepers.store.schema.messages import messages
from unit.delivery.posting import Wire

MIDNIGHT = datetime(2026, 3, 2)
NOW = datetime(2026, 3, 2, 12)
"""a Monday at noon"""
BODY = (
    "<mj-section><mj-column><mj-text>Hello {{ customer.first_name | default: 'you' }} {{ offer.code }}"
    " <a href='{{ links.unsubscribe }}'>stop</a></mj-text></mj-column></mj-section>"
)
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
LOOSE: dict[str, Any] = {"caps": {"email": {}, "sms": {}, "push": {}, "all": {}}, "quiet": {"email": {}}}


def playbook(*broadcasts: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A playbook with a topic, two messages and these broadcasts of the message `spring`."""
    texts = {name: {"en": {"subject": name.title(), "body": BODY}} for name in ("spring", "again")}
    return {
        "topics": [{"id": "news", "name": "News"}],
        "segments": [{"id": "vip", "who": {"trait": "vip", "eq": True}}],
        "messages": [
            {"id": name, "channel": "email", "topic": "news", "content": content} for name, content in texts.items()
        ],
        "broadcasts": [{"id": "b", "message": "spring", **broadcast} for broadcast in broadcasts or ({},)],
        **sections,
    }


class Shop:
    """One workspace of `size` customers u0, u1 … with addresses of their own, all of whom agreed to news."""

    def __init__(self, folder: Path, migrated: Path, written: dict[str, Any], address: str | None = None) -> None:
        workspaces.lay_out(folder, migrated, playbook=written, address=address)
        self.folder = folder
        self.workspace = Workspace.open(folder)
        apply_playbook(self.workspace, COMMAND_LINE, ApplyPlaybook())
        self.wire = Wire()

    def reopen(self) -> None:
        """As in a new process: nothing is remembered but what is stored."""
        self.workspace.close()
        self.workspace = Workspace.open(self.folder)

    def customers(
        self, *traits_of: dict[str, Any], size: int = 0, agree: bool = True, at: datetime = MIDNIGHT
    ) -> list[int]:
        """Makes customers of these traits, and `size` of none, who sign up at an instant."""
        listed = [*traits_of, *({} for _ in range(size))]
        first = self._number()
        calls = []
        for n, traits in enumerate(listed, start=first):
            own = {"email": f"u{n}@example.com", "first_name": f"N{n}", **traits}
            calls.append({"type": "identify", "userId": f"u{n}", "messageId": f"m{n}", "traits": own})
        workspaces.send(self.workspace.store, at, calls)
        self.tick(at)
        ids = [self.workspace.find_profile(f"u{n}") for n in range(first, first + len(listed))]
        if agree:
            with self.workspace.store.begin() as connection:
                agreed = [Consent(i, "email", "news", "subscribed", at, "form", holds_for="person") for i in ids]
                consents.record(connection, agreed, at, is_import=True)
            self.tick(at)
        return ids

    def apply(self, written: dict[str, Any]) -> None:
        workspaces.write_playbook(self.folder, written)
        apply_playbook(self.workspace, COMMAND_LINE, ApplyPlaybook())

    def start(self, name: str = "b", at: datetime = NOW, **options: Any) -> None:
        control.start(self.workspace.store, self.workspace.active_playbook(), name, at, **options)

    def preview(self, name: str = "b", at: datetime = NOW, locale: str = "en") -> AudiencePreview:
        w = self.workspace
        return control.preview(
            w.store, w.evaluator, w.active_playbook(), w.active_queries(), name, w.addresses, w.secret, at,
            locale=locale,
        )  # fmt: skip

    def tick(self, at: datetime = NOW) -> None:
        with self.workspace.sequencing("a test") as ticker:
            until_idle(ticker, at)

    def tick_once(self, at: datetime = NOW) -> None:
        with self.workspace.sequencing("a test") as ticker:
            ticker.tick(at)

    def deliver(self, at: datetime = NOW, answer: Callable[[Outgoing], Outcome] | None = None) -> None:
        if answer is not None:
            self.wire.answer = answer
        sending = self.workspace.sending
        sending.refresh()
        with Deliverer(
            self.workspace.store,
            sending.eligibility,
            sending.message_builder.make,
            {"email": self.wire},
            {},
            None,
            "w",
            Options(),
        ) as worker:
            worker.run_once(at)

    def send(self, at: datetime = NOW) -> None:
        """Tick, delivery, tick: everything that is due."""
        self.tick(at)
        self.deliver(at)
        self.tick(at)

    def status(self, name: str = "b", locale: str = "en") -> SendingStatus:
        return control.statuses(self.workspace.store, name, locale)[0]

    def stop(self, at: datetime = NOW) -> int:
        return control.stop(self.workspace.store, "b", at)

    def resume(self, at: datetime = NOW) -> int:
        return control.resume(self.workspace.store, self.workspace.active_playbook(), "b", at)

    def resend(self, at: datetime, message: str = "") -> None:
        control.resend(self.workspace.store, self.workspace.active_playbook(), "b", at, message)

    def engage(self, profiles: Sequence[int], at: datetime, url: str = "", *, is_machine: bool = False) -> None:
        """Opens, or clicks where there is a `url`, of the newest message of each profile."""
        with self.workspace.store.begin() as connection:
            rows = []
            for profile in profiles:
                query = select(messages.c.id).where(messages.c.profile_id == profile).order_by(messages.c.id.desc())
                message_id = connection.execute(query).scalars().first() or 0
                agent = "Barracuda Sentinel (EE)" if is_machine else BROWSER
                rows.append(EngagementRow(message_id, at, url, agent, f"ip{profile}", "HEAD" if is_machine else "GET"))
            engagement_requests.append(connection, rows)

    def did(self, event: str, who: Sequence[str], at: datetime) -> None:
        calls = [
            {"type": "track", "event": event, "userId": one, "messageId": f"{event}{one}{at}", "timestamp": f"{at}Z"}
            for one in who
        ]
        workspaces.send(self.workspace.store, at, calls)
        self.tick(at)

    def rows(self, *names: str, status: str | None = None) -> list[Any]:
        """Columns of all messages, by profile."""
        query = select(*(messages.c[name] for name in names)).order_by(messages.c.profile_id, messages.c.id)
        if status is not None:
            query = query.where(messages.c.status == status)
        with self.workspace.store.read() as connection:
            found = connection.execute(query).all()
        return [row[0] if len(names) == 1 else tuple(row) for row in found]

    def reasons(self) -> Counter[str]:
        """`status` or `status(reason)` of all messages."""
        return Counter(f"{status}({reason})" if reason else status for status, reason in self.rows("status", "reason"))

    def events(self, name: str) -> list[int]:
        """Profiles of whom Keepers said this."""
        query = select(log.c.profile_id).where(log.c.event == name, log.c.source == "keepers").order_by(log.c.seq)
        with self.workspace.store.read() as connection:
            return list(connection.execute(query).scalars())

    def codes(self, pool: str, *codes: str) -> None:
        with self.workspace.store.begin() as connection:
            coupons.put(connection, pool, codes, NOW)

    def close(self) -> None:
        self.workspace.close()

    def _number(self) -> int:
        cursor = self.workspace.warehouse.cursor()
        return len(cursor.execute("SELECT profile_id FROM profiles").fetchall())


def hours(number: float) -> timedelta:
    return timedelta(hours=number)
