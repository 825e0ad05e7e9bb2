"""A shop with a journey, for what is measured of journeys and delivery: its playbook, its customers, its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
from sqlalchemy import func, select

from benchmarks.smtp import CONNECTIONS
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.create import create
from keepers.app.workspace.files.folder import PLAYBOOK
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Consent
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted
from keepers.store.profiles import consents, identities
from keepers.store.schema.messages import messages

NOW = datetime(2026, 3, 2, 10)
TOPIC = "tips"
_BATCH = 500
_BODY = """
<mj-section><mj-column>
  <mj-text>Hello {{ customer.first_name | default: 'there' }}, thank you for signing up to {{ company.name }}.</mj-text>
  <mj-button href="https://shop.example/start?plan={{ trigger.plan }}">Start</mj-button>
  <mj-text><a href="{{ links.preferences }}">Preferences</a> <a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
</mj-column></mj-section>
"""


def _message(name: str, subject: str) -> dict[str, Any]:
    content = {"en": {"subject": subject, "body": _BODY}}
    return {"id": name, "channel": "email", "topic": TOPIC, "expires": "30d", "content": content}


WELCOME: dict[str, Any] = {
    "id": "welcome",
    "enter": [{"event": "Signed Up"}],
    "goal": {"when": {"did": "Order Completed", "since": {"ref": "run.entered_at"}}},
    "steps": [
        {"id": "rest", "delay": "1d"},
        {
            "id": "fork",
            "branch": [{"when": {"did": "Order Completed", "count": {"gte": 2}}, "go": "note"}],
            "else": "half",
        },
        {"id": "half", "split": [{"weight": 50, "go": "nudge"}, {"weight": 50, "go": "note"}]},
        {"id": "nudge", "message": "nudge"},
        {"id": "note", "update": {"traits": {"welcomed": True}}},
        {"id": "wait", "wait": {"event": "Plan Changed"}, "timeout": "2d", "on_timeout": "last"},
        {"id": "last", "branch": [{"when": {"did": "Product Viewed", "within": "7d"}, "go": "thanks"}], "else": "end"},
        {"id": "thanks", "message": "thanks"},
    ],
}
"""a delay, a branch, a split, a message for half, a trait, a wait with its time out, and a goal asked at each wake"""
HELLO: dict[str, Any] = {
    "id": "hello",
    "enter": [{"event": "Signed Up"}],
    "steps": [{"id": "hello", "message": "hello"}],
}
"""a message at once"""


def playbook(*journeys: dict[str, Any]) -> dict[str, Any]:
    """With neither caps nor quiet hours, so that all that is decided goes."""
    return {
        "topics": [{"id": TOPIC, "name": "Tips"}],
        "contact": {"caps": {}, "quiet": {}},
        "messages": [_message("hello", "Hello"), _message("nudge", "Still there"), _message("thanks", "Thank you")],
        "journeys": list(journeys),
    }


def make(folder: Path, book: dict[str, Any], settings: str = "") -> Path:
    """A workspace with this playbook, and nothing else, applied."""
    create(folder, [], "Shop", "UTC")
    for file in (folder / PLAYBOOK).glob("*.yaml"):
        file.unlink()
    if settings:
        with (folder / "keepers.toml").open("a", encoding="utf-8") as toml:
            toml.write(settings)
    (folder / PLAYBOOK / "own.yaml").write_text(yaml.safe_dump(book), encoding="utf-8")
    with opened(folder) as workspace:
        apply_playbook(workspace, COMMAND_LINE, ApplyPlaybook())
    return folder


def mail_settings(port: int) -> str:
    """E-mail by an SMTP server on this machine, for `make`."""
    return (
        f'[channels.email]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'
        f'sender = "Shop <hello@shop.example>"\nmax_connections = {CONNECTIONS}\n'
        '[public]\nurl = "https://mail.shop.example"\n'
    )


def require_statuses(workspace: Workspace, expected: dict[str, int]) -> None:
    """Raises RuntimeError unless there are just so many messages of each status: a figure counts for nothing else."""
    with workspace.store.read() as connection:
        rows = connection.execute(
            select(messages.c.status, messages.c.reason, func.count()).group_by(messages.c.status, messages.c.reason)
        ).all()
    found: Counter[str] = Counter()
    for status, _, number in rows:
        found[status] += number
    if found != Counter(expected):
        raise RuntimeError(f"messages should be {expected}; they are {[tuple(row) for row in rows]}")


@contextmanager
def opened(folder: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(folder)
    try:
        yield workspace
    finally:
        workspace.close()


def send(workspace: Workspace, at: datetime, calls: Sequence[dict[str, Any]]) -> None:
    """Puts calls into the inbox as the Tracking API does when they arrive at `at`."""
    bodies = [msgspec.json.encode({"batch": calls[start : start + _BATCH]}) for start in range(0, len(calls), _BATCH)]
    with workspace.store.begin_inbox() as connection:
        inbox.append(connection, [Accepted(at, "key", "server", "/v1/batch", body) for body in bodies])


def settle(workspace: Workspace, number: int, at: datetime) -> None:
    """So many customers with addresses who agreed to e-mail, loaded and evaluated."""
    send(workspace, at, [_identify(n, at) for n in range(number)])
    tick(workspace, at)
    with workspace.store.begin() as connection:
        ids = identities.find_many(connection, [("user_id", f"u{n}") for n in range(number)])
        agreed = [Consent(who, "email", TOPIC, "subscribed", at, "bench", holds_for="person") for who in ids.values()]
        consents.record(connection, agreed, at, is_import=True)
    tick(workspace, at)


def sign_ups(number: int, at: datetime) -> list[dict[str, Any]]:
    """One each of the first customers."""
    return [
        {
            "type": "track",
            "messageId": f"s{n}-{at.timestamp()}",
            "userId": f"u{n}",
            "event": "Signed Up",
            "timestamp": f"{at.isoformat()}Z",
            "properties": {"plan": "pro" if n % 3 else "free", "source": "ad"},
        }
        for n in range(number)
    ]


def tick(workspace: Workspace, at: datetime) -> Any:
    with workspace.sequencing("bench") as ticker:
        return ticker.tick(at)


def _identify(n: int, at: datetime) -> dict[str, Any]:
    traits = {"email": f"u{n}@example{n % 50}.com", "first_name": f"Name {n}", "country": "PL", "plan": "free"}
    return {
        "type": "identify", "messageId": f"i{n}", "userId": f"u{n}", "timestamp": f"{at.isoformat()}Z", "traits": traits
    }  # fmt: skip
