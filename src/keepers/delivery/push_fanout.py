"""One push to all of a customer's browsers."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from keepers.channels.base import Channel
from keepers.model.errors import problem
from keepers.model.message import Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.profiles import push_subscriptions


@dataclass
class EveryBrowser:
    """Web push to each browser of a customer. Sent when one took it; browsers that are gone are removed."""

    channel: Channel
    store: Store

    async def open(self) -> None:
        await self.channel.open()

    async def send(self, message: Outgoing) -> Outcome:
        with self.store.read() as connection:
            browsers = push_subscriptions.of_profiles(connection, [message.profile_id]).get(message.profile_id, [])
        outcomes: list[Outcome] = []
        gone: list[str] = []
        for browser in browsers:
            content = msgspec.structs.replace(message.content, data={**message.content.data, **browser.keys})
            one = msgspec.structs.replace(message, recipient=browser.endpoint, content=content)
            outcome = await self.channel.send(one)
            outcomes.append(outcome)
            if outcome.status == "bounced":
                gone.append(browser.endpoint)
        if gone:
            with self.store.begin() as connection:
                push_subscriptions.remove(connection, gone)
        if not outcomes:
            return Outcome(
                "failed", problem("The customer has no browser that takes notifications."), "no_subscription"
            )
        best = min(outcomes, key=lambda o: ("sent", "deferred", "failed", "bounced").index(o.status))
        # A browser that is gone does not make the customer a hard bounce.
        return msgspec.structs.replace(best, is_hard=False)

    async def close(self) -> None:
        await self.channel.close()
