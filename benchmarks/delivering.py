"""Delivery whole: queued messages claimed, asked about, rendered, sent by SMTP and written down, beside a bare
aiosmtplib loop with one ready message to the same sink."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import uvloop

from benchmarks import shop, smtp
from benchmarks.figures import Figure, Plan, median, timed
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import address_hash
from keepers.model.message import Outgoing
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import identities

_MESSAGES = 3000
_DUE = shop.NOW + timedelta(minutes=5)


def measure(plan: Plan) -> list[Figure]:
    """Messages per second, the median of the rounds."""
    number = max(round(_MESSAGES * plan.scale / (3 if plan.quick else 1)), 50)
    rounds = 1 if plan.quick else 3
    ours, bare = [], []
    with smtp.sink() as port:
        folder = shop.make(plan.folder / "deliver", shop.playbook(shop.HELLO), shop.mail_settings(port))
        with shop.opened(folder) as workspace:
            plan.say(f"delivery: {number:,} customers")
            shop.settle(workspace, number, shop.NOW)
            people = _people(workspace, number)
            with workspace.sending.deliverer("bench") as deliverer:
                for round_number in range(rounds):
                    plan.say(f"delivery: round {round_number + 1} of {rounds}")
                    rows = _queue(workspace, people, round_number)
                    ready = workspace.sending.message_builder.make(rows[:1], _DUE)[0]
                    assert isinstance(ready, Outgoing), ready
                    took, done = timed(lambda: deliverer.run_once(_DUE))
                    if done.sent != number:
                        raise RuntimeError(f"{done.sent} of {number} messages were sent: {done}")
                    ours.append(number / took)
                    took, _ = timed(uvloop.run, smtp.bare(port, number, ready))
                    bare.append(number / took)
            shop.require_statuses(workspace, {"sent": number * rounds})
    rate, beside = median(ours), median(bare)
    remark = "whole: claimed, policy asked again, looked up, rendered, copied, handed over, written down as an event"
    return [
        Figure("messages delivered", rate, "messages/s", beside, rate / beside, "≥ 80 %", rate / beside >= 0.8, remark)
    ]


def _people(workspace: Workspace, number: int) -> list[int]:
    with workspace.store.read() as connection:
        return list(identities.find_many(connection, [("user_id", f"u{n}") for n in range(number)]).values())


def _queue(workspace: Workspace, people: Sequence[int], round_number: int) -> list[MessageRow]:
    made = []
    for n, profile_id in enumerate(people):
        recipient = f"u{n}@example{n % 50}.com"
        made.append(
            MessageRow(
                key_of("bench", round_number, n), profile_id, "hello", "email", shop.TOPIC, recipient,
                address_hash(workspace.secret, "email", recipient), shop.NOW, shop.NOW,
                journey="hello", step="hello", data={"trigger": {"event": "Signed Up", "plan": "pro"}},
            )
        )  # fmt: skip
    with workspace.store.begin() as connection:
        messages.queue(connection, made)
    return made
